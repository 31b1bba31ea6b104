//! Keys and signatures of real servers, where the vectors are at hand.

use std::path::PathBuf;

use imagestore::Config;
use imagestore::core::Trust;
use imagestore_testkit::oracle;
use imagestore_verify::{DetachedSignature, Policy, Unverified, Verifier};

#[test]
fn verifies_what_the_real_image_server_signed() {
    let Some(vectors) = vectors() else { return };
    let directory = tempfile::TempDir::new().expect("a directory");
    std::fs::create_dir(directory.path().join("keys")).expect("made");
    let key = format!("{FINGERPRINT}.asc");
    std::fs::copy(
        vectors.join("keys").join(&key),
        directory.path().join("keys").join(&key),
    )
    .expect("copied");
    let text = format!(
        "[remotes.x]\nurl = \"https+lxc-images://images.example\"\ntrusted_keys = [\"{FINGERPRINT}\"]\n"
    );
    let config = Config::parse(&text, directory.path()).expect("valid");
    let remote = config
        .remote(&"x".parse().expect("a name"))
        .expect("there")
        .expect("the key loads");
    let Trust::Signatures(keys) = remote.trust() else {
        panic!("a remote with keys")
    };

    let read = |name: &str| {
        let path = vectors.join("signatures").join(name);
        Unverified::new(bytes::Bytes::from(std::fs::read(path).expect("a vector")))
    };
    let signature = DetachedSignature::parse(&read(&format!("{SUMS}.asc"))).expect("one signature");
    let verifier = Verifier::new(keys.clone(), Policy::default());
    let sums = verifier
        .check(read(SUMS), &signature)
        .expect("a good signature");
    assert!(sums.proofs()[0].to_string().contains(FINGERPRINT));
    assert!(String::from_utf8_lossy(&sums).contains("rootfs.tar.xz"));
}

fn vectors() -> Option<PathBuf> {
    oracle::shared("vectors/lxc-images/real")
}

const FINGERPRINT: &str = "E7FB0CAEC8173D669066514CBAEFF88C22F6E216";
const SUMS: &str = "debian-trixie-arm64-20260829_05:24.SHA256SUMS";
