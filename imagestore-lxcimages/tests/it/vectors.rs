//! Files of real servers, where they are at hand. The same rules are held by literals in the unit
//! tests.

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use imagestore_core::{Error, ErrorKind};
use imagestore_lxcimages::{Agreement, Expiry, Index, Metadata, Mode, ParseError, Standing, Sums};
use imagestore_testkit::oracle;
use imagestore_verify::{DetachedSignature, Keyring, Policy, Unverified, Verifier};

/// The vectors of this protocol, if they are at hand.
fn vectors() -> Option<PathBuf> {
    oracle::shared("vectors/lxc-images")
}

fn read(folder: &str) -> Vec<(String, Vec<u8>)> {
    let Some(root) = vectors() else {
        return Vec::new();
    };
    let entries = fs::read_dir(root.join(folder)).expect("a folder of vectors");
    let mut files: Vec<_> = entries
        .map(|entry| {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("a plain name");
            (name, fs::read(entry.path()).expect("a file"))
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no vectors in {folder}");
    files
}

#[test]
fn real_indexes_are_read_to_the_last_line() {
    for (name, bytes) in read("real/index") {
        let index = Index::parse(&bytes, 1_000_000).expect(&name);
        let lines = bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .count();
        assert_eq!(index.lines().count(), lines, "{name}");
        assert_eq!(index.skipped(), 0, "{name}");
        assert!(lines > 10, "{name} has {lines} lines");
        let printed: String = index.lines().map(|line| format!("{line}\n")).collect();
        let text = String::from_utf8(bytes).expect("text");
        assert_eq!(printed.trim_end(), text.trim_end(), "{name}");
    }
}

#[test]
fn made_indexes_end_as_wanted() {
    for (name, bytes) in read("synthetic") {
        let Some(shape) = name.strip_prefix("index-user.") else {
            continue;
        };
        let parsed = Index::parse(&bytes, 1_000_000);
        let summary = parsed
            .as_ref()
            .map(|index| (index.lines().count(), index.skipped()));
        match shape {
            "plain" | "crlf" | "no-final-newline" | "blank-and-comment" | "plain.tampered" => {
                assert_eq!(summary, Ok((2, 0)), "{name}");
            }
            "no-trailing-slash" => assert_eq!(summary, Ok((1, 0)), "{name}"),
            "several-builds" => assert_eq!(summary, Ok((3, 0)), "{name}"),
            "hostile" => assert_eq!(summary, Ok((0, 6)), "{name}"),
            "empty" => assert_eq!(parsed, Err(ParseError::Empty), "{name}"),
            "nul-bytes" => assert_eq!(parsed, Err(ParseError::NotAnIndex { lines: 1 }), "{name}"),
            _ => assert!(
                shape.ends_with(".asc") || shape.ends_with(".gpg"),
                "an unknown vector: {name}"
            ),
        }
    }
}

#[test]
fn real_metadata_is_read_for_every_mode_and_level() {
    for (name, bytes) in read("real/meta") {
        let mut tarball = Vec::new();
        liblzma::read::XzDecoder::new_multi_decoder(&bytes[..])
            .read_to_end(&mut tarball)
            .expect(&name);
        let mut members = Vec::new();
        for entry in tar::Archive::new(&tarball[..]).entries().expect(&name) {
            let mut entry = entry.expect(&name);
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect(&name);
            members.push((entry.path_bytes().into_owned(), content));
        }
        assert_eq!(members.len(), 14, "{name}");
        for mode in [Mode::User, Mode::System] {
            for compat in [None, Some(1), Some(4), Some(5), Some(7)] {
                let metadata =
                    Metadata::from_members(members.iter().cloned(), mode, compat).expect(&name);
                let includes: Vec<_> = metadata
                    .config()
                    .iter()
                    .filter(|line| line.key == "lxc.include")
                    .collect();
                let kali = name.contains("kali") && compat.is_some_and(|level| level < 5);
                let wanted = if mode == Mode::User && !kali { 2 } else { 1 };
                assert_eq!(includes.len(), wanted, "{name} {mode} {compat:?}");
                let old = compat.is_some_and(|level| level < 5) && !name.contains("openwrt");
                let common = &includes[0].value;
                assert_eq!(
                    common == b"LXC_TEMPLATE_CONFIG/common.conf",
                    !old,
                    "{name} {compat:?}"
                );
                assert!(
                    metadata
                        .config()
                        .iter()
                        .all(|line| line.standing == Standing::Plain),
                    "{name}"
                );
                assert!(matches!(metadata.expiry(), Expiry::At(_)), "{name}");
                assert!(metadata.excludes().is_empty(), "{name}");
                let templates = metadata.templates();
                assert_eq!(
                    templates.last().map(Vec::as_slice),
                    Some(&b"/etc/hosts"[..]),
                    "{name}"
                );
                let openwrt = name.contains("openwrt");
                assert_eq!(templates.len(), if openwrt { 1 } else { 2 }, "{name}");
                let agreement = if openwrt {
                    Agreement::Unsaid
                } else {
                    Agreement::Same
                };
                assert_eq!(
                    metadata.agrees_with_build("2024-03-13"),
                    agreement,
                    "{name}"
                );
                let message = metadata.printable_message().expect(&name);
                assert!(message[0].starts_with("You just created a"), "{name}");
            }
        }
    }
}

#[test]
fn a_real_list_of_digests_verifies_and_names_both_files() {
    let (Some(root), files) = (vectors(), read("real/signatures")) else {
        return;
    };
    let key = "E7FB0CAEC8173D669066514CBAEFF88C22F6E216";
    let armored = fs::read(root.join(format!("real/keys/{key}.asc"))).expect("a key");
    let fingerprint = key.parse().expect("a fingerprint");
    let keys = Keyring::from_bytes(&armored)
        .and_then(|keys| keys.pinned(&fingerprint))
        .expect("a key");
    let [(_, sums), (_, asc)] = files.try_into().expect("a file and its signature");
    let signature = DetachedSignature::parse(&Unverified::new(asc.into())).expect("a signature");
    let checked = Verifier::new(keys, Policy::default())
        .check(Unverified::new(sums.into()), &signature)
        .expect("signed by the key");
    let sums = Sums::parse(&checked).expect("a list");
    assert_eq!(
        sums.digest("meta.tar.xz").expect("named").to_string(),
        "54cec9bcbd597fd82c4c81d729938904b4b0351e03849a0b6e518dffcf13478f"
    );
    assert_eq!(
        sums.digest("rootfs.tar.xz").expect("named").to_string(),
        "c2eed8f2bf4fe70287ba9244161f30aefdb86328f5759d7efcdbf2b8a92288d6"
    );
    let missing = Error::from(sums.digest("disk.img").expect_err("not named"));
    assert_eq!(missing.kind(), ErrorKind::Malformed);
}
