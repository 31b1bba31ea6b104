use imagestore_core::{Check, Context, ErrorKind, FileRole, Image, Protocol, Trust};
use imagestore_lxcimages::{Binding, LxcImages, LxcImagesProtocol, Mode};
use imagestore_testkit::conformance::{Expected, run_all};
use imagestore_testkit::{MemoryFault, MemoryTransport, keys};
use imagestore_verify::{Channel, Proof, Sha256};

use crate::tree::{BASE, BUILD, Tree, chain, contents, line, lookup, url};

const NAME: &str = "ubuntu/trusty/amd64/default";
const PLACE: &str = "/images/ubuntu/trusty/amd64/default/20240531_12:00";

fn digests(image: &Image) -> Vec<Sha256> {
    let checks = image.downloads.iter().flat_map(|download| &download.checks);
    checks
        .filter_map(|check| match check {
            Check::Digest(digest) => Some(*digest),
            _ => None,
        })
        .collect()
}

fn signatures(image: &Image) -> Vec<String> {
    let checks = image.downloads.iter().flat_map(|download| &download.checks);
    let locations = checks.filter_map(|check| match check {
        Check::Signature {
            locations,
            keys: found,
        } => {
            assert_eq!(found.fingerprints(), [keys::images().fingerprint()]);
            Some(locations)
        }
        _ => None,
    });
    locations.flatten().map(ToString::to_string).collect()
}

#[tokio::test]
async fn does_what_every_source_does() {
    let tree = Tree::new();
    let expected = Expected::image(NAME, BUILD, [FileRole::Metadata, FileRole::Rootfs])
        .with_alias("ubuntu/trusty")
        .with_alias("ubuntu/trusty/x86_64")
        .with_alias("ubuntu/trusty/amd64/default/20240531_12:00")
        .with_missing("ubuntu/trusty/amd64/cloud")
        .with_missing("fedora/19")
        .with_missing("ubuntu/trusty/amd64/default/20200101")
        .with_listing("", ["ubuntu"])
        .with_listing("ubuntu/trusty", ["amd64", "arm64"])
        .with_listing("ubuntu/trusty/aarch64", ["cloud"])
        .with_listing(NAME, [BUILD]);
    run_all(&*tree.source(Tree::remote()), &expected).await;
    assert_eq!(tree.warnings.all(), [""; 0]);
}

#[tokio::test]
async fn describes_the_build_and_binds_its_files() {
    let tree = Tree::new();
    let image = tree.lookup("ubuntu/trusty").await.expect("it is there");
    assert_eq!(image.id.remote(), "https+lxc-images://images.example");
    assert_eq!((image.id.path(), image.id.build()), (NAME, BUILD));
    let properties: Vec<_> = image
        .properties
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    assert_eq!(
        properties,
        [
            "architecture=amd64",
            "bound=yes",
            "build=20240531_12:00",
            "distribution=ubuntu",
            "mode=user",
            "release=trusty",
            "variant=default",
        ]
    );
    assert_eq!((image.expires_at, image.fingerprint), (None, None));
    let (meta, rootfs) = contents(NAME, BUILD);
    assert_eq!(digests(&image), [Sha256::of(&meta), Sha256::of(&rootfs)]);
    assert_eq!(
        signatures(&image),
        [
            url(&format!("{PLACE}/meta.tar.xz.asc")),
            url(&format!("{PLACE}/rootfs.tar.xz.asc")),
        ]
    );
    let names: Vec<_> = image.files().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["meta.tar.xz", "rootfs.tar.xz"]);
    // The index and the list of digests speak for it.
    assert_eq!(image.proofs().len(), 2);
    assert!(
        image
            .proofs()
            .iter()
            .all(|proof| matches!(proof, Proof::Signature(_)))
    );
    // The files themselves are for whoever keeps them.
    assert_eq!(
        tree.transport
            .count(&url(&format!("{PLACE}/rootfs.tar.xz"))),
        0
    );
}

#[tokio::test]
async fn appends_paths_to_the_prefix_of_the_remote_and_of_each_mirror() {
    let tree = Tree::empty();
    let text = "alpine;3.19;armv7l;default;2024-05-31;images/alpine/3.19/armv7l/2024-05-31\n";
    let index = "https://first.example/lxc/images/meta/1.0/index-user";
    tree.transport
        .put_signed(index, text, keys::images(), keys::at(keys::SIGNED));
    let trust = Trust::Signatures(keys::keyring(keys::images()));
    let place = "https+lxc-images://first.example/lxc/images"
        .parse()
        .expect("a url");
    let remote = imagestore_core::RemoteConfig::new("a".parse().expect("a name"), place, trust)
        .with_mirrors(vec![
            "https://mirror.example/lxc-images".parse().expect("a url"),
        ]);
    let image = lookup(&*tree.source(remote), "alpine/3.19/armhf")
        .await
        .expect("it is there");
    let locations: Vec<_> = image.downloads[1]
        .locations
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        locations,
        [
            "https://first.example/lxc/images/images/alpine/3.19/armv7l/2024-05-31/rootfs.tar.xz",
            "https://mirror.example/lxc-images/images/alpine/3.19/armv7l/2024-05-31/rootfs.tar.xz",
        ]
    );
    assert_eq!(signatures(&image)[3], format!("{}.asc", locations[1]));
    assert_eq!(image.id.path(), "alpine/3.19/armv7l/default");
}

#[tokio::test]
async fn a_build_without_digests_is_not_bound_and_may_be_refused() {
    let tree = Tree::new();
    let sums = url(&format!("{PLACE}/SHA256SUMS"));
    tree.transport.remove(&sums);
    let image = tree.lookup(NAME).await.expect("signatures are enough");
    assert_eq!(image.properties["bound"], "no");
    assert_eq!(digests(&image), []);
    assert_eq!(signatures(&image).len(), 2);

    let strict = tree.source(Tree::with_arguments(&[("binding", "required")]));
    let error = lookup(&*strict, NAME).await.expect_err("they are not");
    assert_eq!(error.kind(), ErrorKind::Untrusted);
    assert_eq!(
        error.to_string(),
        "nothing binds the files of the build to each other: it has no SHA256SUMS: \
         ubuntu/trusty/amd64/default/20240531_12:00; \
         with the argument binding = \"preferred\" their signatures are enough"
    );
    let strict = LxcImagesProtocol::new().with_binding(Binding::Require);
    let strict = strict
        .source(Tree::remote(), &tree.context())
        .expect("a remote");
    assert_eq!(
        lookup(&*strict, NAME)
            .await
            .expect_err("they are not")
            .kind(),
        ErrorKind::Untrusted
    );

    // "Could not ask" is not "is not there".
    tree.transport.fail(&sums, MemoryFault::Unreachable);
    assert_eq!(
        tree.lookup(NAME).await.expect_err("no answer").kind(),
        ErrorKind::Network
    );
}

#[tokio::test]
async fn digests_must_name_both_files() {
    let tree = Tree::new();
    let put = |text: &str| {
        tree.put_signed(
            &format!("{PLACE}/SHA256SUMS"),
            text.as_bytes(),
            keys::images(),
            keys::SIGNED,
        );
    };
    let digest = Sha256::of(b"x");
    put(&format!("{digest}  rootfs.tar.xz\n"));
    let error = tree.lookup(NAME).await.expect_err("no meta");
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert_eq!(
        error.to_string(),
        format!("the list of digests does not name `meta.tar.xz`: {BASE}{PLACE}/SHA256SUMS")
    );
    put(&format!("{digest} rootfs.tar.xz\n{digest} meta.tar.xz\n"));
    let image = tree.lookup(NAME).await.expect("one blank is enough");
    assert_eq!(digests(&image), [digest, digest]);
    put("<html>\n");
    let error = tree.lookup(NAME).await.expect_err("no list");
    assert_eq!(error.kind(), ErrorKind::Malformed);
}

#[tokio::test]
async fn digests_signed_long_after_the_build_are_odd() {
    let tree = Tree::empty();
    let name = "ubuntu/trusty/amd64/default";
    tree.put_index("index-user", &line(name, "20240520"), keys::SIGNED);
    tree.put_build(name, "20240520");
    let image = tree.lookup(name).await.expect("a server may sign anew");
    assert_eq!(image.properties["bound"], "yes");
    let text = "the SHA256SUMS of the build was signed at 1717200000, \
                not between 1716076800 and 1716768000: ubuntu/trusty/amd64/default/20240520";
    assert_eq!(tree.warnings.all(), [text]);
    let strict = tree.source(Tree::with_arguments(&[("binding", "required")]));
    let error = lookup(&*strict, name).await.expect_err("it is refused");
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Untrusted, text)
    );
}

#[tokio::test]
async fn the_mode_chooses_the_index_and_never_falls_back_to_the_other() {
    let tree = Tree::new();
    let system = tree.source(Tree::with_arguments(&[("mode", "system")]));
    let error = lookup(&*system, NAME).await.expect_err("no index-system");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(
        chain(&error),
        "the remote has no index for mode `system`: https+lxc-images://images.example; \
         with the argument mode = \"user\" the other one is used\n\
         status 404: https://images.example/meta/1.0/index-system"
    );
    tree.put_index("index-system", &line(NAME, BUILD), keys::SIGNED);
    assert_eq!(
        lookup(&*system, NAME)
            .await
            .expect("it is there")
            .properties["mode"],
        "system"
    );
    tree.transport.forget_requests();
    let system = LxcImagesProtocol::new().with_mode(Mode::System);
    let system = system
        .source(Tree::remote(), &tree.context())
        .expect("a remote");
    lookup(&*system, NAME).await.expect("it is there");
    assert_eq!(tree.transport.count(&url("/meta/1.0/index-system")), 1);
    assert_eq!(tree.transport.count(&url("/meta/1.0/index-user")), 0);
}

#[tokio::test]
async fn a_compat_level_falls_back_only_when_there_is_no_index_for_it() {
    let tree = Tree::new();
    let source = tree.source(Tree::with_arguments(&[("compat", "4")]));
    let image = lookup(&*source, NAME).await.expect("the plain index");
    assert_eq!(image.properties["compat"], "4");
    assert_eq!(tree.transport.count(&url("/meta/1.0/index-user.4")), 1);

    // No stepping down, and no way around what is there.
    tree.put_index(
        "index-user.4",
        &line("old/1/amd64/default", BUILD),
        keys::SIGNED,
    );
    let error = lookup(&*source, NAME)
        .await
        .expect_err("the index of the level has it not");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    for (fault, kind) in [
        (MemoryFault::Unreachable, ErrorKind::Network),
        (MemoryFault::Status(503), ErrorKind::Network),
        (MemoryFault::Html, ErrorKind::Untrusted),
    ] {
        tree.transport.fail(&url("/meta/1.0/index-user.4"), fault);
        assert_eq!(
            lookup(&*source, NAME)
                .await
                .expect_err("no way around")
                .kind(),
            kind,
            "{fault:?}"
        );
    }
    tree.transport.heal(&url("/meta/1.0/index-user.4"));
    tree.transport.remove(&url("/meta/1.0/index-user.4.asc"));
    let error = lookup(&*source, NAME).await.expect_err("not signed");
    assert_eq!(error.kind(), ErrorKind::Untrusted);
}

#[test]
fn arguments_have_known_values() {
    for (name, value, message) in [
        (
            "mode",
            "root",
            "remote `lxc` has an argument `mode` of another value: `root`; it is `user` or `system`",
        ),
        (
            "binding",
            "no",
            "remote `lxc` has an argument `binding` of another value: `no`; it is `required` or `preferred`",
        ),
        (
            "compat",
            "0",
            "remote `lxc` has an argument `compat` of another value: `0`; it is a number from 1 on",
        ),
        (
            "compat",
            "+4",
            "remote `lxc` has an argument `compat` of another value: `+4`; it is a number from 1 on",
        ),
    ] {
        let context = Context::new(std::sync::Arc::new(MemoryTransport::new()));
        let remote = Tree::with_arguments(&[(name, value)]);
        let error = LxcImages::new(remote, context).expect_err(message);
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::InvalidConfig, message)
        );
    }
}

#[tokio::test]
async fn a_remote_trusted_by_its_channel_needs_digests() {
    let tree = Tree::new();
    let transport = MemoryTransport::new().with_channel(Channel::new("tls certificate sha256:00"));
    for path in [
        "/meta/1.0/index-user".to_owned(),
        format!("{PLACE}/SHA256SUMS"),
    ] {
        transport.put(
            &url(&path),
            tree.transport.file(&url(&path)).expect("it is there"),
        );
    }
    let transport = std::sync::Arc::new(transport);
    let place = "https+lxc-images://images.example".parse().expect("a url");
    let remote =
        imagestore_core::RemoteConfig::new("a".parse().expect("a name"), place, Trust::Channel);
    let source = LxcImages::new(remote, Context::new(transport.clone())).expect("a remote");
    let image = lookup(&source, NAME).await.expect("it is there");
    assert_eq!(digests(&image).len(), 2);
    assert_eq!(signatures(&image).len(), 0);
    assert!(
        image
            .proofs()
            .iter()
            .all(|proof| matches!(proof, Proof::Channel(_)))
    );

    transport.remove(&url(&format!("{PLACE}/SHA256SUMS")));
    let error = lookup(&source, NAME)
        .await
        .expect_err("nothing to check against");
    assert_eq!(error.kind(), ErrorKind::Untrusted);
    assert_eq!(
        error.to_string(),
        "nothing says what the files of the build should be: it has no SHA256SUMS, and the remote is \
         trusted without keys: ubuntu/trusty/amd64/default/20240531_12:00; give the remote trusted_keys"
    );
}

#[tokio::test]
async fn lines_that_cannot_be_used_are_counted_in_a_warning() {
    let tree = Tree::new();
    let text = format!("{}ubuntu;trusty\n\u{1b};a;b;c;d;/e\n", line(NAME, BUILD));
    tree.put_index("index-user", &text, keys::SIGNED);
    tree.lookup(NAME).await.expect("a good line");
    assert_eq!(
        tree.warnings.all(),
        [
            "2 of 3 lines cannot be used, the first is line 2: https://images.example/meta/1.0/index-user"
        ]
    );
}
