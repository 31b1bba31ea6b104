//! What is not published, and what is although it is odd.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use imagestore_publish::{Contents, Meta, MetaSource, PublishError, RootfsSource};
use imagestore_testkit::oracle::shared;

use crate::support::{Place, build, files, meta, name};

const NAME: &str = "ubuntu/trusty/amd64/default";

#[test]
fn refuses_a_build_that_no_index_would_name() {
    let place = Place::new();
    let publish = |id: &str| {
        place
            .publisher()
            .publish(&name(NAME), build(id), &place.contents())
    };
    publish("20240601_00:00").expect("published");
    for id in ["20240601_00:00", "20240531_00:00"] {
        let error = publish(id).expect_err("not newer");
        assert_eq!(
            error.to_string(),
            format!("build {id} is not newer than 20240601_00:00, which is published")
        );
    }
}

#[test]
fn refuses_archives_and_metadata_that_readers_would_refuse() {
    let place = Place::new();
    let write = |name: &str, bytes: &[u8]| {
        fs::write(place.path(name), bytes).expect("written");
        place.path(name)
    };
    let rootfs = place.contents().rootfs;
    let html = write("page", b"<!DOCTYPE html>");
    let mut whole = Vec::new();
    let mut encoder = liblzma::write::XzEncoder::new(&mut whole, 0);
    encoder.write_all(&[b'x'; 4096]).expect("in memory");
    encoder.finish().expect("in memory");
    let text = write("text.xz", &whole);
    let given = |meta: Meta| MetaSource::Files(meta);
    let cases = [
        (
            RootfsSource::Archive(html.clone()),
            given(meta()),
            "not a whole packed tarball: ",
        ),
        (
            RootfsSource::Archive(text),
            given(meta()),
            "not a whole packed tarball: ",
        ),
        (
            rootfs.clone(),
            MetaSource::Archive(html),
            "not a whole packed tarball: ",
        ),
        (
            rootfs.clone(),
            given(Meta::new("lxc.arch x86_64\n")),
            "the metadata of an image have a line of LXC configuration without `=`: `lxc.arch x86_64`",
        ),
        (
            rootfs.clone(),
            given(meta().with_templates(["etc/hostname"])),
            "the metadata of an image have a template that is no absolute path: `etc/hostname`",
        ),
        (
            rootfs.clone(),
            given(meta().with_templates(["/etc/../../x"])),
            "the metadata of an image have a template that is no absolute path: `/etc/../../x`",
        ),
        (
            rootfs.clone(),
            given(meta().with_create_message("a\0b")),
            "the metadata of an image have a zero byte in a text: `create-message`",
        ),
    ];
    for (rootfs, meta, message) in cases {
        let contents = Contents::new(rootfs, meta);
        let error = place
            .publisher()
            .publish(&name(NAME), build("20240601_00:00"), &contents);
        let error = error.expect_err(message).to_string();
        assert!(error.starts_with(message), "{error} is not {message}");
    }
    let left: Vec<String> = files(&place.tree());
    assert_eq!(
        left,
        [".publish/lock"],
        "nothing is left of what was refused"
    );
}

#[test]
fn refuses_a_rootfs_that_is_cut() {
    let place = Place::new();
    let first = place
        .publisher()
        .publish(&name(NAME), build("20240601_00:00"), &place.contents());
    let whole = fs::read(first.expect("published").folder.join("rootfs.tar.xz")).expect("there");
    let cut = place.path("cut.tar.xz");
    fs::write(&cut, &whole[..whole.len() - 10]).expect("written");
    let contents = Contents::new(RootfsSource::Archive(cut), MetaSource::Files(meta()));
    let error = place
        .publisher()
        .publish(&name(NAME), build("20240601_00:01"), &contents);
    assert!(matches!(
        error.expect_err("cut"),
        PublishError::Archive { .. }
    ));
    assert!(place.read("meta/1.0/index-user").contains("20240601_00:00"));
}

#[test]
fn does_not_replace_indexes_of_somebody_else() {
    let place = Place::new();
    place
        .publisher()
        .publish(&name(NAME), build("20240601_00:00"), &place.contents())
        .expect("published");
    let other = place.tree().join("meta/1.0/index-user.1");
    fs::write(&other, "").expect("written");
    let error = place.publisher().refresh().expect_err("foreign");
    assert_eq!(
        error.to_string(),
        format!(
            "a file that this publisher did not write: {}; move it away",
            other.display()
        )
    );
    assert!(other.exists());
}

#[test]
fn publishes_metadata_of_real_images_byte_for_byte() {
    let Some(vectors) = shared("vectors/lxc-images/real/meta") else {
        return;
    };
    let entries = fs::read_dir(vectors).expect("a folder");
    let place = Place::new();
    let paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    assert!(!paths.is_empty());
    for (n, path) in paths.iter().enumerate() {
        let contents = Contents::new(place.contents().rootfs, MetaSource::Archive(path.clone()));
        let id = build(&format!("20240601_00:0{n}"));
        let published = place.publisher().publish(&name(NAME), id, &contents);
        let folder = published
            .unwrap_or_else(|error| panic!("{path:?}: {error}"))
            .folder;
        assert_eq!(
            fs::read(folder.join("meta.tar.xz")).ok(),
            fs::read(path).ok(),
            "{path:?}"
        );
        assert!(
            place.read("meta/1.0/index-user").contains(&id.to_string()),
            "{path:?}"
        );
    }
}
