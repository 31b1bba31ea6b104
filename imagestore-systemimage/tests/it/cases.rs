//! The cases made for this project: what is accepted and what is not.

use imagestore_core::{ErrorKind, Trust};
use imagestore_systemimage::{KeyringKind, OpenedKeyring, Time, archive_master};
use imagestore_testkit::keys;
use imagestore_unpack::{Layer, LayerApplier, LayerBase, UnpackLimits};
use imagestore_verify::{
    DetachedSignature, Fingerprint, Keyring, Policy, Unverified, Verified, Verifier,
};
use serde_json::Value;

use crate::shared::{data, read, vector};
use crate::world::{NOW, World, digested, keyring_of, public, secret};

fn cases() -> Vec<Value> {
    serde_json::from_slice(&read(&data("cases/cases.json"))).expect("cases")
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().expect("text")
}

/// Every signature case, served in the place of the channels of the golden tree.
#[tokio::test]
async fn signature_cases() {
    let mut count = 0;
    for case in cases() {
        let name = text(&case, "name");
        if !name.starts_with("sig-") {
            continue;
        }
        count += 1;
        let world = World::golden();
        let folder = data("cases").join(name);
        let place = crate::world::url("/channels.json");
        world
            .transport
            .put(&place, read(&folder.join("channels.json")));
        let asc = read(&folder.join("channels.json.asc"));
        world.transport.put(&format!("{place}.asc"), asc);
        let trust = case["trust"][0].as_str().expect("a key");
        let keyring = keyring_of("image-signing", "", &[trust]);
        world.put(
            "/gpg/image-signing.tar.xz",
            &keyring,
            &secret("image-master"),
            NOW - 10,
        );
        let outcome = world.source().channels().await;
        match name {
            "sig-ok" => assert_eq!(outcome.expect("accepted").iter().count(), 4),
            _ => {
                let error = outcome.expect_err(name);
                assert_eq!(error.kind(), ErrorKind::Untrusted, "{name}: {error}");
            }
        }
    }
    assert_eq!(count, 7);
}

/// Every keyring case.
#[test]
fn keyring_cases() {
    let mut count = 0;
    for case in cases() {
        let name = text(&case, "name");
        if !name.starts_with("kr-") {
            continue;
        }
        count += 1;
        let folder = data("cases").join(name);
        let signer = public(case["trust"][0].as_str().expect("a key"));
        let outcome = open(&folder.join("k.tar.xz"), signer).and_then(|tarball| {
            let opened = OpenedKeyring::open(&tarball).map_err(|error| error.to_string())?;
            let time = Time::new(keys::at(NOW), None);
            opened
                .check(KeyringKind::ImageSigning, Some("golden1"), &time)
                .map_err(|error| error.to_string())
        });
        let expected = match name {
            "kr-ok" => None,
            "kr-expired" => Some("expired keyring timestamp"),
            "kr-expiry-string" => Some("`expiry` is \""),
            "kr-no-type" => Some("`type` is missing"),
            "kr-model-other" => Some("keyring model mismatch; wanted: golden1, got: "),
            "kr-signed-by-archive-master" => Some("not in the keyring"),
            "kr-no-json" => Some("not a keyring: expected ident"),
            "kr-traversal" | "kr-symlink" | "kr-dup-member" => Some("not a keyring tarball"),
            other => panic!("a new case: {other}"),
        };
        match (outcome, expected) {
            (Ok(()), None) => {}
            (Err(found), Some(wanted)) => assert!(found.contains(wanted), "{name}: {found}"),
            (outcome, _) => panic!("{name}: {outcome:?}"),
        }
    }
    assert_eq!(count, 10);
}

fn open(path: &std::path::Path, signer: Keyring) -> Result<Verified<bytes::Bytes>, String> {
    let closed = |bytes: Vec<u8>| Unverified::new(bytes::Bytes::from(bytes));
    let asc = closed(read(&path.with_extension("xz.asc")));
    let asc = DetachedSignature::parse(&asc).map_err(|error| error.to_string())?;
    Verifier::new(signer, Policy::default().with_at(keys::at(NOW)))
        .check(closed(read(&path.to_owned())), &asc)
        .map_err(|error| error.to_string())
}

/// Every case of an image. The device node is 0:0, which is refused always; others are skipped and
/// counted unless the caller asks for them.
#[test]
fn image_cases() {
    for (name, expected) in [
        ("img-absolute", "the name is absolute"),
        (
            "img-symlink-escape",
            "the name passes through a symbolic link",
        ),
        ("img-removed-escape", "the name leaves the target"),
    ] {
        let archive = digested(&read(&data("cases").join(name).join("img.tar.xz")));
        let layer = Layer::read(&archive, &UnpackLimits::default(), &[]);
        let error = layer.expect_err(name);
        assert!(error.to_string().contains(expected), "{name}: {error}");
    }
    let archive = digested(&read(&data("cases/img-device-node/img.tar.xz")));
    let layer = Layer::read(&archive, &UnpackLimits::default(), &[]).expect("read");
    let folder = tempfile::tempdir().expect("a directory");
    let directory = std::fs::File::open(folder.path()).expect("a directory");
    let error = LayerApplier::new()
        .apply(&archive, &layer, LayerBase::Nothing, &directory)
        .expect_err("0:0");
    assert!(
        error
            .to_string()
            .starts_with("the character device 0:0 means a deleted file"),
        "{error}"
    );
}

#[test]
fn the_real_archive_masters_are_pinned_by_their_fingerprints() {
    let ubports: Fingerprint = "572EA5B6572AF4CEDE4526051A30C7D6585E9E81"
        .parse()
        .expect("forty");
    let canonical: Fingerprint = "153F1C9EF1395FBF00352E8D0BFB847F3F272F5B"
        .parse()
        .expect("forty");
    for (path, fingerprint, other) in [
        (
            "real/ubports-keys/client-2017/archive-master.tar.xz",
            ubports,
            canonical,
        ),
        (
            "real/ubports-keys/recovery-2015/archive-master.tar.xz",
            ubports,
            canonical,
        ),
        (
            "real/canonical-2015-recovery/archive-master.tar.xz",
            canonical,
            ubports,
        ),
    ] {
        let Some(path) = vector(path) else { return };
        let keys = archive_master(&read(&path), &fingerprint).expect("the real key");
        assert_eq!(keys.fingerprints(), [fingerprint]);
        let usable = keys.certificates();
        assert_eq!(usable[0].unusable, None, "{usable:?}");
        let error = archive_master(&read(&path), &other).expect_err("another key");
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert_eq!(
            error.to_string(),
            format!("the archive-master keyring does not hold the key {other}")
        );
    }
}

#[tokio::test]
async fn a_remote_without_archive_master_is_refused() {
    let world = World::golden();
    let url = world.remote().url().clone();
    let name = world.remote().name().clone();
    let remote = imagestore_core::RemoteConfig::new(name, url, Trust::Channel);
    let error = world
        .protocol
        .system_image(remote, &world.context())
        .expect_err("no keys");
    assert_eq!(
        error.to_string(),
        "remote `touch` is a system-image server without keys: https+system-image://images.example; \
         give it the archive-master key in trusted_keys"
    );
}
