//! Images of LXD and Incus, from simplestreams to a directory, by the configuration `lxc` has.

use std::fs;
use std::path::Path;

use imagestore::lxd::Family;
use imagestore::{Config, ImageStore, UnpackOptions, UnpackedImage};
use imagestore_publish::{
    ImageContents, ImageMetadata, PackOptions, RootfsSource, SimplestreamsPublisher,
};
use imagestore_testkit::{Server, Site};
use imagestore_verify::Sha256;

use crate::world::{append, read, xz};

#[tokio::test]
async fn a_split_image_of_a_remote_that_lxc_knows() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    fs::create_dir_all(path("rootfs/etc")).expect("made");
    fs::write(path("rootfs/etc/hostname"), "split\n").expect("written");
    let rootfs = RootfsSource::Directory(path("rootfs"), PackOptions::default());
    let contents = ImageContents::new(ImageMetadata::Made).with_rootfs(rootfs);
    SimplestreamsPublisher::new(path("tree"))
        .publish(
            &"ubuntu/trusty/amd64/default".parse().expect("a name"),
            "20240531_03:49".parse().expect("a build"),
            &contents,
        )
        .expect("published");
    let server = Server::https(Site::directory(path("tree"))).expect("a port");

    let unpacked = fetch(directory.path(), &server, "ubuntu/trusty/amd64/default").await;
    assert_eq!(read(&path("out/rootfs/etc/hostname")), "split\n");
    assert!(path("out/metadata/metadata.yaml").is_file());
    let lxd = unpacked.lxd.expect("metadata of LXD");
    assert_eq!(lxd.architecture, "x86_64");
    assert!(unpacked.lxc.is_none());
}

#[tokio::test]
async fn a_unified_image_comes_apart_into_metadata_and_rootfs() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let mut archive = tar::Builder::new(Vec::new());
    let yaml = "architecture: x86_64\ncreation_date: 1395234589\n\
                templates:\n  /etc/hostname:\n    when: [create]\n    template: hostname.tpl\n";
    append(&mut archive, "metadata.yaml", 0o644, yaml.as_bytes());
    append(
        &mut archive,
        "templates/hostname.tpl",
        0o644,
        b"{{ container.name }}\n",
    );
    append(&mut archive, "rootfs/etc/hostname", 0o600, b"unified\n");
    let archive = xz(&archive.into_inner().expect("in memory"));
    let products = serde_json::json!({
        "format": "products:1.0", "datatype": "image-downloads", "content_id": "images",
        "products": {"ubuntu:trusty:amd64:default": {
            "os": "ubuntu", "release": "trusty", "arch": "amd64", "variant": "default",
            "versions": {"20240531_03:49": {"items": {"lxd_combined.tar.gz": {
                "ftype": "lxd_combined.tar.gz", "path": "images/unified.tar.xz",
                "sha256": Sha256::of(&archive).to_string(), "size": archive.len(),
            }}}},
        }},
    });
    let index = serde_json::json!({
        "format": "index:1.0",
        "index": {"images": {"datatype": "image-downloads", "format": "products:1.0",
            "path": "streams/v1/images.json", "products": ["ubuntu:trusty:amd64:default"]}},
    });
    let server = Server::https(Site::files([
        ("/streams/v1/index.json", index.to_string().into_bytes()),
        ("/streams/v1/images.json", products.to_string().into_bytes()),
        ("/images/unified.tar.xz", archive),
    ]))
    .expect("a port");

    let unpacked = fetch(directory.path(), &server, "ubuntu/trusty/amd64/default").await;
    let path = |name: &str| directory.path().join("out").join(name);
    assert_eq!(read(&path("rootfs/etc/hostname")), "unified\n");
    assert_eq!(
        read(&path("metadata/templates/hostname.tpl")),
        "{{ container.name }}\n"
    );
    assert!(!path("rootfs/metadata.yaml").exists());
    let lxd = unpacked.lxd.expect("metadata of LXD");
    assert_eq!(lxd.templates["/etc/hostname"].template, "hostname.tpl");
}

/// Fetches from the server as the remote `tree` of a `config.yml`, and unpacks into `out`.
async fn fetch(directory: &Path, server: &Server, name: &str) -> UnpackedImage {
    let client = directory.join("lxc");
    fs::create_dir_all(client.join("servercerts")).expect("made");
    let config = format!(
        "default-remote: tree\nremotes:\n  tree:\n    addr: {}\n    public: true\n    protocol: simplestreams\n",
        server.url()
    );
    fs::write(client.join("config.yml"), config).expect("written");
    let certificate = server.certificate().expect("served over TLS");
    fs::write(client.join("servercerts/tree.crt"), certificate.pem()).expect("written");
    let nothing_else = |name: &str| (name == "LXD_GLOBAL_CONF").then(|| client.join("none").into());
    let imported =
        Config::import_with(&client, Family::Lxd, nothing_else).expect("a configuration of lxc");
    assert_eq!(imported.skipped, [""; 0]);
    let images = ImageStore::builder()
        .with_config(imported.config)
        .with_store_dir(directory.join("store"))
        .build()
        .expect("a store");
    let fetched = images
        .fetch(&name.parse().expect("a reference"))
        .await
        .expect("fetched");
    let out = directory.join("out");
    images
        .unpack(&fetched.image, &out, &UnpackOptions::default())
        .await
        .expect("unpacked")
}
