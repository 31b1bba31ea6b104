use imagestore_core::{Check, ErrorKind, FileRole, ImageSource};
use imagestore_simplestreams::Simplestreams;
use imagestore_testkit::conformance::{Expected, run_all};
use imagestore_verify::{Proof, Sha256};

use crate::tree::{NEW, OLD, Tree, chain, file, items, lookup, product, sha, url};

const NAME: &str = "ubuntu/trusty/amd64/default";

#[tokio::test]
async fn does_what_every_source_does() {
    let tree = Tree::new();
    let fingerprint = sha(&format!("meta of default {NEW}tar of default {NEW}"));
    let expected = Expected::image(
        NAME,
        &format!("{NEW}+tar"),
        [FileRole::Metadata, FileRole::Rootfs],
    )
    .with_alias("ubuntu/trusty")
    .with_alias("ubuntu/14.04")
    .with_alias("Ubuntu/trusty/x86_64")
    .with_alias("ubuntu/14.04/amd64")
    .with_alias(&format!("ubuntu/14.04/amd64/{NEW}"))
    .with_alias(&format!("{NAME}/{NEW}"))
    .with_alias(&format!("{NAME}/{NEW}+tar"))
    .with_alias("ubuntu:trusty:amd64:default")
    .with_alias(&format!("ubuntu:trusty:amd64:default/{NEW}"))
    .with_alias(&fingerprint)
    .with_missing("ubuntu/trusty/amd64/cloud")
    .with_missing("fedora/19")
    .with_missing("ubuntu/trusty/amd64/default/20200101")
    .with_missing(&sha("something else"))
    .with_missing(&fingerprint[..32])
    .with_listing("", ["ubuntu", "ubuntu/14.04", "ubuntu/trusty"])
    .with_listing("ubuntu", ["14.04", "trusty"])
    .with_listing("ubuntu/trusty", ["amd64", "arm64"])
    .with_listing("ubuntu/trusty/aarch64", ["cloud"])
    .with_listing(NAME, [OLD, NEW])
    .with_listing(&format!("{NAME}/{NEW}"), []);
    run_all(&*tree.source(Tree::remote()), &expected).await;
    let machines = Expected::image(
        NAME,
        &format!("{NEW}+disk-kvm"),
        [FileRole::Metadata, FileRole::Disk],
    );
    let remote = Tree::with_arguments(&[("type", "virtual-machine")]);
    run_all(&*tree.source(remote), &machines).await;
}

#[tokio::test]
async fn describes_the_image_and_what_must_hold_for_it() {
    let tree = Tree::new();
    let image = tree.lookup("ubuntu/trusty").await.expect("it is there");
    assert_eq!(
        image.id.to_string(),
        format!("https+simplestreams://images.example/{NAME} build {NEW}+tar")
    );
    let (meta, tar) = (
        format!("meta of default {NEW}"),
        format!("tar of default {NEW}"),
    );
    let found: Vec<_> = image
        .downloads
        .iter()
        .map(|download| {
            let [Check::Digest(digest)] = download.checks.as_slice() else {
                panic!("one digest, not {:?}", download.checks);
            };
            let file = &download.files[0];
            (
                file.name.as_str(),
                download.locations[0].as_str(),
                *digest,
                download.size,
            )
        })
        .collect();
    let place = url(&format!("images/ubuntu/trusty/default/{NEW}"));
    assert_eq!(
        found,
        [
            (
                "incus.tar.xz",
                &*format!("{place}/meta"),
                Sha256::of(meta.as_bytes()),
                Some(meta.len() as u64)
            ),
            (
                "rootfs.tar.xz",
                &*format!("{place}/tar"),
                Sha256::of(tar.as_bytes()),
                Some(tar.len() as u64)
            ),
        ]
    );
    assert_eq!(
        image.fingerprint,
        Some(Sha256::of((meta + &tar).as_bytes()))
    );
    let properties: Vec<_> = image
        .properties
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    assert_eq!(
        properties,
        [
            "architecture=amd64",
            "build=20240531_12:00",
            "description=Ubuntu 14.04 amd64 (default) (20240531_12:00)",
            "distribution=ubuntu",
            "form=tar",
            "os=Ubuntu",
            "product=ubuntu:trusty:amd64:default",
            "release=trusty",
            "release_title=14.04",
            "requirements.cgroup=v1",
            "type=container",
            "variant=default",
        ]
    );
    // The index and the product file speak for it.
    assert_eq!(image.proofs().len(), 2);
    assert!(
        image
            .proofs()
            .iter()
            .all(|proof| matches!(proof, Proof::Channel(_)))
    );
}

#[tokio::test]
async fn takes_the_form_that_is_asked_for() {
    let tree = Tree::new();
    for (arguments, path, wanted) in [
        (&[][..], NAME, "rootfs.tar.xz"),
        (&[("prefer", "squashfs")], NAME, "rootfs.squashfs"),
        (&[("type", "virtual-machine")], NAME, "disk-kvm.img"),
        (&[], &*format!("{NAME}/{OLD}+squashfs"), "rootfs.squashfs"),
        (
            &[],
            &*format!("{NAME}/{OLD}+combined"),
            "lxd_combined.tar.gz",
        ),
        (&[], &*format!("{NAME}/{OLD}+disk-kvm"), "disk-kvm.img"),
    ] {
        let source = tree.source(Tree::with_arguments(arguments));
        let image = lookup(&*source, path).await.expect(path);
        let last = image.files().last().expect("a file").name.clone();
        assert_eq!(last, wanted, "{arguments:?} {path}");
    }
    for (name, value, wanted) in [
        ("type", "vm", "it is `container` or `virtual-machine`"),
        ("prefer", "zip", "it is `squashfs` or `tar`"),
    ] {
        let remote = Tree::with_arguments(&[(name, value)]);
        let error = Simplestreams::new(remote, tree.context()).expect_err(value);
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert_eq!(error.remedy(), Some(wanted));
    }
}

#[tokio::test]
async fn one_index_serves_many_lookups() {
    let tree = Tree::new();
    let source = Simplestreams::new(Tree::remote(), tree.context()).expect("in order");
    for path in ["ubuntu/trusty", NAME, "ubuntu/14.04"] {
        lookup(&source, path).await.expect(path);
        source
            .list(&"".parse().expect("the root"))
            .await
            .expect("a listing");
    }
    assert_eq!(tree.transport.count(&url("streams/v1/index.json")), 1);
    assert_eq!(tree.transport.count(&url("streams/v1/images.json")), 1);
    source.forget();
    lookup(&source, NAME).await.expect(NAME);
    assert_eq!(tree.transport.count(&url("streams/v1/images.json")), 2);
}

#[tokio::test]
async fn says_when_two_images_share_a_name() {
    let one = product("u", "amd64", "default", &[NEW]);
    let other = product("u", "amd64", "cloud", &[NEW]);
    let tree = Tree::of(&file(&format!(r#""one":{one},"other":{other}"#)));
    let error = tree.lookup("u").await.expect_err("two");
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert_eq!(
        error.to_string(),
        "several products go by this name, `one` and `other`: `u`; \
         refer to one of them by the name of the product"
    );
    tree.lookup("one")
        .await
        .expect("by the name of the product");
    // Two names of the same bytes are no choice at all.
    let tree = Tree::of(&file(&format!(r#""one":{one},"two":{one}"#)));
    let image = tree.lookup("u").await.expect("the same image");
    assert_eq!(image.id.path(), "one");
    assert_eq!(
        tree.names("").await.expect("a listing"),
        ["image one", "image two", "alias u"]
    );
}

#[tokio::test]
async fn names_the_architecture_there_is() {
    let tree = Tree::new();
    let error = tree
        .lookup("ubuntu/trusty/cloud")
        .await
        .expect_err("arm64 only");
    assert_eq!(
        chain(&error),
        "no such image: `ubuntu/trusty/cloud`; \
         for another architecture there is `ubuntu/trusty/cloud/arm64`"
    );
    let image = tree
        .lookup("ubuntu/trusty/cloud/aarch64")
        .await
        .expect("named");
    assert_eq!(image.id.path(), "ubuntu/trusty/arm64/cloud");
}

#[tokio::test]
async fn fields_above_hold_below_and_the_lowest_wins() {
    let items = items("default", NEW);
    let bare: String = items.replace(r#""ftype":"root.tar.xz","#, "");
    // A single item without a type takes that of its version.
    let text = format!(
        r#"{{"format":"products:1.0","os":"Ubuntu","release":"trusty","arch":"amd64","size":7,
        "_aliases":{{"label":{{"stable":{{"label":"release","variant":"expanded"}}}}}},
        "products":{{"p":{{"label":"stable","versions":{{"{NEW}":{{"ftype":"root.tar.xz",
        "items":{{{bare}}}}}}}}}}}}}"#
    );
    let tree = Tree::of(&text);
    let image = tree
        .lookup("ubuntu/trusty/amd64/expanded")
        .await
        .expect("inherited");
    assert_eq!(
        image.properties.get("label").map(String::as_str),
        Some("release")
    );
    assert_eq!(image.files().last().expect("two").name, "rootfs.tar.xz");
    let size = format!("tar of default {NEW}").len() as u64;
    assert_eq!(image.downloads[1].size, Some(size));
}

#[tokio::test]
async fn serials_that_are_no_date_are_there_and_older() {
    let product = product(
        "u",
        "amd64",
        "default",
        &["daily", "20240101.9", "20240101.10"],
    );
    let tree = Tree::of(&file(&format!(r#""p":{product}"#)));
    assert_eq!(
        tree.lookup("u").await.expect("there").id.build(),
        "20240101.10+tar"
    );
    assert_eq!(
        tree.lookup("u/daily").await.expect("there").id.build(),
        "daily+tar"
    );
}

#[tokio::test]
async fn reads_one_file_for_both_programs_as_one_image() {
    let tree = Tree::new();
    let source = Simplestreams::new(Tree::remote(), tree.context()).expect("in order");
    let products = source.products().await.expect("there");
    let product = products.iter().next().expect("a product");
    let version = product.versions().next().expect("a version");
    let forms: Vec<_> = version
        .choices()
        .map(|choice| choice.form().name())
        .collect();
    assert_eq!(forms, ["squashfs", "tar", "combined", "disk-kvm"]);
}
