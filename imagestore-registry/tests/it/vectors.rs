//! The index of the protocol's own description, where it is at hand. The unit tests hold the same
//! rules.

use std::fs;

use imagestore_registry::Index;
use imagestore_testkit::oracle;

fn vector(name: &str) -> Option<Index> {
    let folder = oracle::shared("vectors/registry")?;
    let bytes = fs::read(folder.join(name)).expect("a file");
    Some(Index::parse(&bytes).expect("an index"))
}

#[test]
fn the_index_of_the_description_is_read_whole() {
    let Some(index) = vector("index.json") else {
        return;
    };
    assert_eq!(
        (index.version(), index.generated_at(), index.serial()),
        (1, Some(1_415_397_644), None)
    );
    let names: Vec<_> = index.servers().iter().map(|server| server.name()).collect();
    assert_eq!(names, ["lxc-images", "ubuntu"]);
    let server = &index.servers()[0];
    assert_eq!(
        server.describe(Some("fr_CH")),
        Some("Ca c'est Juste un exemple.")
    );
    assert_eq!(
        server.describe(Some("fr_FR")),
        Some("Ça c'est juste un exemple.")
    );
    assert_eq!(server.trusted_keys(), ["/keys/0xBAEFF88C22F6E216"]);
    assert_eq!(server.trusted_certs().len(), 1);
    assert_eq!(
        server.check().expect("usable").to_string(),
        "https+lxc-images://images.linuxcontainers.org"
    );
    let ubuntu = &index.servers()[1];
    assert_eq!(ubuntu.arguments()["base"], "ubuntu-core");
    assert_eq!(ubuntu.check().expect("usable").protocol(), "system-image");
    for (name, release) in [
        ("ubuntu", "trusty"),
        ("ubuntu/devel", "vivid"),
        ("ubuntu/lts", "trusty"),
        ("ubuntu/stable", "utopic"),
    ] {
        let alias = index.alias(&name.parse().expect(name)).expect(name);
        assert_eq!(alias.server().expect(name), "lxc-images");
        assert_eq!(alias.arguments()["release"], release);
    }
}

#[test]
fn the_proposed_additions_are_read() {
    let Some(index) = vector("index.json.proposed-v1-with-extensions.json") else {
        return;
    };
    assert_eq!(
        (index.serial(), index.expires_at()),
        (Some(42), Some(1_418_076_044))
    );
    let url = index.servers()[0].check().expect("usable");
    assert_eq!(
        url.to_string(),
        "https+lxc-images://images.linuxcontainers.org"
    );
}
