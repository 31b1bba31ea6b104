//! Which images a version holds, by the items it has.

use imagestore_core::{ErrorKind, FileRole};

use crate::tree::{NEW, OLD, Tree, file, lookup, sha, url};

/// An item whose content is its name, unless these fields say otherwise.
fn item(ftype: &str, more: &str) -> String {
    let sha256 = if more.contains(r#""sha256":"#) {
        String::new()
    } else {
        format!(r#""sha256":"{}","#, sha(ftype))
    };
    let size = ftype.len();
    format!(r#"{{"ftype":"{ftype}",{sha256}"path":"images/{ftype}","size":{size}{more}}}"#)
}

/// A tree with one product, `p`, whose newest version has these items.
fn tree_of(items: &[String]) -> Tree {
    tree_with(&[(NEW, items)])
}

fn tree_with(versions: &[(&str, &[String])]) -> Tree {
    let version = |(serial, items): &(&str, &[String])| {
        let items = items.iter().enumerate();
        let items: Vec<_> = items.map(|(n, item)| format!(r#""{n}":{item}"#)).collect();
        format!(r#""{serial}":{{"items":{{{}}}}}"#, items.join(","))
    };
    let versions: Vec<_> = versions.iter().map(version).collect();
    Tree::of(&file(&format!(
        r#""p":{{"aliases":"a","arch":"amd64","versions":{{{}}}}}"#,
        versions.join(",")
    )))
}

fn combined(field: &str, what: &str) -> String {
    format!(r#","{field}":"{}""#, sha(what))
}

/// The build, the fingerprint and the name of the first file of what a path leads to.
async fn found(tree: &Tree, path: &str) -> Result<(String, String, String), (ErrorKind, String)> {
    match tree.lookup(path).await {
        Ok(image) => Ok((
            image.id.build().to_owned(),
            image.fingerprint.expect("has one").to_string(),
            image.files().next().expect("a file").name.clone(),
        )),
        Err(error) => Err((error.kind(), error.to_string())),
    }
}

#[tokio::test]
async fn items_for_lxd_that_differ_make_an_image_of_their_own() {
    let field = "combined_rootxz_sha256";
    let tree = tree_of(&[
        item("incus.tar.xz", &combined(field, "for incus")),
        item("lxd.tar.xz", &combined(field, "for lxd")),
        item("root.tar.xz", ""),
    ]);
    let incus = (
        format!("{NEW}+tar"),
        sha("for incus"),
        "incus.tar.xz".to_owned(),
    );
    let lxd = (
        format!("{NEW}+tar+lxd"),
        sha("for lxd"),
        "lxd.tar.xz".to_owned(),
    );
    for (path, wanted) in [
        ("a".to_owned(), &incus),
        (sha("for incus"), &incus),
        (format!("p/{NEW}"), &incus),
        (format!("p/{NEW}+tar"), &incus),
        (sha("for lxd"), &lxd),
        (format!("p/{NEW}+tar+lxd"), &lxd),
    ] {
        assert_eq!(found(&tree, &path).await.as_ref(), Ok(wanted), "{path}");
    }
}

#[tokio::test]
async fn only_the_same_fingerprint_makes_one_image_of_items_for_both() {
    let field = combined("combined_squashfs_sha256", "the same");
    let tree = tree_of(&[
        item("incus.tar.xz", &field),
        item("lxd.tar.xz", &field),
        item("squashfs", ""),
    ]);
    let (build, _, file) = found(&tree, &sha("the same")).await.expect("there");
    assert_eq!(
        (build, file),
        (format!("{NEW}+squashfs"), "incus.tar.xz".to_owned())
    );
    let (kind, _) = found(&tree, &format!("p/{NEW}+squashfs+lxd"))
        .await
        .expect_err("one image");
    assert_eq!(kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn what_is_in_order_goes_before_what_is_not() {
    let field = combined("combined_rootxz_sha256", "both");
    for broken in [r#","sha256":"x""#, r#","sha256":"","path":"a""#] {
        let broken = item("incus.tar.xz", &format!("{field}{broken}"));
        let broken = broken.replacen(r#""path":"images/incus.tar.xz","#, "", 1);
        let data = item("root.tar.xz", "");
        let tree = tree_of(&[broken.clone(), item("lxd.tar.xz", &field), data.clone()]);
        let (build, fingerprint, file) = found(&tree, "a").await.expect("the one for LXD");
        assert_eq!(build, format!("{NEW}+tar"));
        assert_eq!((fingerprint, file), (sha("both"), "lxd.tar.xz".to_owned()));
        // By itself it is an error still.
        let (kind, message) = found(&tree_of(&[broken, data]), "a")
            .await
            .expect_err("broken");
        assert_eq!(kind, ErrorKind::Malformed, "{message}");
    }
}

#[tokio::test]
async fn every_kind_of_disk_has_its_own_fingerprint() {
    let fields = [
        combined("combined_disk-kvm-img_sha256", "kvm"),
        combined("combined_uefi1-img_sha256", "uefi1"),
        combined("combined_disk1-img_sha256", "disk1"),
    ];
    let tree = tree_of(&[
        item("incus.tar.xz", &fields.concat()),
        item("disk-kvm.img", ""),
        item("uefi1.img", ""),
        item("disk1.img", ""),
    ]);
    for (form, what) in [("disk-kvm", "kvm"), ("uefi1", "uefi1"), ("disk1", "disk1")] {
        let (build, fingerprint, _) = found(&tree, &sha(what)).await.expect(form);
        assert_eq!((build, fingerprint), (format!("{NEW}+{form}"), sha(what)));
    }
    let source = tree.source(Tree::with_arguments(&[("type", "virtual-machine")]));
    for (disks, wanted) in [
        (
            &["disk1.img", "uefi1.img", "disk-kvm.img"][..],
            "disk-kvm.img",
        ),
        (&["disk1.img", "uefi1.img"], "uefi1.img"),
        (&["disk1.img"], "disk1.img"),
    ] {
        let mut items = vec![item("incus.tar.xz", &fields.concat())];
        items.extend(disks.iter().map(|disk| item(disk, "")));
        let other = tree_of(&items);
        let text = other.transport.file(&url("streams/v1/images.json"));
        tree.transport
            .put(&url("streams/v1/images.json"), text.expect("there"));
        source.forget();
        let image = lookup(&*source, "a").await.expect("a disk");
        let data = image.files().last().expect("two files");
        assert_eq!((data.name.as_str(), &data.role), (wanted, &FileRole::Disk));
    }
}

#[tokio::test]
async fn one_file_is_what_its_type_says() {
    for ftype in ["incus_combined.tar.gz", "lxd_combined.tar.gz"] {
        for (more, kind, form) in [
            ("", "container", "combined"),
            (r#","combined_type":"container""#, "container", "combined"),
            (
                r#","combined_type":"virtual-machine""#,
                "virtual-machine",
                "combined-disk",
            ),
        ] {
            let tree = tree_of(&[item(ftype, more)]);
            let source = tree.source(Tree::with_arguments(&[("type", kind)]));
            let image = lookup(&*source, "a").await.expect(ftype);
            assert_eq!(image.id.build(), format!("{NEW}+{form}"));
            assert_eq!(image.fingerprint.map(|f| f.to_string()), Some(sha(ftype)));
            let names: Vec<_> = image.files().map(|file| file.name.as_str()).collect();
            assert_eq!(names, [ftype]);
        }
    }
}

#[tokio::test]
async fn the_older_field_for_tarballs_counts_where_the_newer_is_not() {
    for (fields, wanted) in [
        (combined("combined_sha256", "old"), "old"),
        (
            combined("combined_sha256", "old") + &combined("combined_rootxz_sha256", "new"),
            "new",
        ),
    ] {
        let tree = tree_of(&[item("lxd.tar.xz", &fields), item("root.tar.xz", "")]);
        let (_, fingerprint, _) = found(&tree, "a").await.expect("a tarball");
        assert_eq!(fingerprint, sha(wanted));
    }
    // For a squashfs it says nothing.
    let fields = combined("combined_sha256", "old");
    let tree = tree_of(&[item("lxd.tar.xz", &fields), item("squashfs", "")]);
    let (kind, _) = found(&tree, "a").await.expect_err("no fingerprint");
    assert_eq!(kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn a_delta_of_a_disk_starts_from_the_disk_before() {
    let version = |disk: &str, delta: Option<&str>| {
        let fields = combined("combined_disk-kvm-img_sha256", disk)
            + &combined("combined_squashfs_sha256", &format!("squashfs of {disk}"));
        let mut items = vec![
            item("incus.tar.xz", &fields),
            item("disk-kvm.img", &format!(r#","sha256":"{}""#, sha(disk))),
            item("squashfs", ""),
        ];
        let more = delta.map(|base| format!(r#","delta_base":"{base}""#));
        items.extend(more.map(|more| item("disk-kvm.img.vcdiff", &more)));
        items
    };
    let (old, new) = (version("old disk", None), version("new disk", Some(OLD)));
    let tree = tree_with(&[(OLD, &old), (NEW, &new)]);
    let image = tree
        .lookup(&format!("p/{NEW}+disk-kvm"))
        .await
        .expect("there");
    let [delta] = image.downloads[1].deltas.as_slice() else {
        panic!("one delta, not {:?}", image.downloads[1].deltas);
    };
    assert_eq!(delta.base.to_string(), sha("old disk"));
    assert_eq!(
        delta.locations[0].as_str(),
        url("images/disk-kvm.img.vcdiff")
    );
    // It makes no squashfs.
    let image = tree
        .lookup(&format!("p/{NEW}+squashfs"))
        .await
        .expect("there");
    assert!(image.downloads[1].deltas.is_empty());
}

#[tokio::test]
async fn paths_that_no_url_holds_are_encoded_and_appended() {
    let data = item("root.tar.xz", "").replace("images/root.tar.xz", "images/a b/ä(1):2.tar");
    let fields = combined("combined_rootxz_sha256", "x");
    let tree = tree_of(&[item("incus.tar.xz", &fields), data]);
    let mirror = "https://mirror.example/below/here".parse().expect("a URL");
    let source = tree.source(Tree::remote().with_mirrors(vec![mirror]));
    let image = lookup(&*source, "a").await.expect("there");
    let urls: Vec<_> = image.downloads[1]
        .locations
        .iter()
        .map(|url| url.as_str())
        .collect();
    assert_eq!(
        urls,
        [
            url("images/a%20b/%C3%A4%281%29:2.tar"),
            "https://mirror.example/below/here/images/a%20b/%C3%A4%281%29:2.tar".to_owned(),
        ]
    );
}
