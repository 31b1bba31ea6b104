use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use imagestore_core::RemoteUrl;
use imagestore_publish::{
    Fields, KeyNames, ListedAlias, ListedRemote, PublishError, Registry, RegistryPublisher,
};
use imagestore_testkit::keys;
use imagestore_testkit::oracle::Tool;
use imagestore_testkit::server::Certificate;
use serde_json::{Value, json};

use crate::support::{check, files, signed_at};

fn remote() -> ListedRemote {
    ListedRemote::new("lxc-images", "https+lxc-images://images.example/mirror")
        .with_description("", "Images of the example.")
        .with_description("fr_CH", "Des images.")
        .with_key(keys::images().certificate())
}

fn registry() -> Registry {
    let alias = ListedAlias::new("lxc-images", "ubuntu", "trusty");
    Registry::new()
        .with_remote(remote())
        .with_alias("ubuntu/lts", alias)
}

fn publisher(root: &Path) -> RegistryPublisher<'static> {
    RegistryPublisher::new(root, keys::registry()).with_time(keys::at(keys::SIGNED))
}

fn index(root: &Path) -> Value {
    let bytes = check(&root.join("1.0/index.json"), keys::registry());
    serde_json::from_slice(&bytes).expect("JSON")
}

#[test]
fn writes_the_index_of_the_specification() {
    let folder = tempfile::tempdir().expect("a directory");
    let root = folder.path();
    let certificate = Certificate::new(&["images.example"]);
    let listed = remote()
        .with_certificate(certificate.der())
        .with_argument("base", "ubuntu-core");
    let mut registry = registry();
    registry.remotes[0] = listed;
    let published = publisher(root).publish(&registry).expect("published");
    let fingerprint = keys::images().fingerprint();
    let sha = certificate.sha256().to_string().to_ascii_uppercase();
    assert_eq!(
        index(root),
        json!({
            "version": 1,
            "generated_at": keys::SIGNED,
            "servers": [{
                "name": "lxc-images",
                "description": "Images of the example.",
                "description.fr_CH": "Des images.",
                "url": "https+lxc-images://images.example/mirror",
                "arguments": {"base": "ubuntu-core"},
                "trusted_keys": [format!("/keys/{fingerprint}")],
                "trusted_certs": [format!("/certs/{sha}")],
                "min_client_ver": 0,
                "max_client_ver": 0,
            }],
            "aliases": {
                "ubuntu/lts": {
                    "server": "lxc-images",
                    "arguments": {"distribution": "ubuntu", "release": "trusty", "variant": "default"},
                },
            },
        })
    );
    assert_eq!(
        published.files,
        [format!("certs/{sha}"), format!("keys/{fingerprint}")]
    );
    for file in &published.files {
        check(&root.join(file), keys::registry());
    }
    assert_eq!(
        fs::read_to_string(root.join(&published.files[1])).expect("there"),
        keys::images().certificate()
    );
    index(root)["servers"][0]["url"]
        .as_str()
        .expect("text")
        .parse::<RemoteUrl>()
        .expect("what readers take");
    if let Some(openssl) = Tool::find("openssl") {
        let pem = root.join(&published.files[0]);
        let args = [
            "x509",
            "-outform",
            "DER",
            "-in",
            pem.to_str().expect("UTF-8"),
        ];
        assert_eq!(openssl.command().args(args).run().stdout, certificate.der());
    }
}

#[test]
fn writes_the_proposed_fields_when_asked_to() {
    let folder = tempfile::tempdir().expect("a directory");
    let root = folder.path();
    let revoked = keys::stranger().fingerprint().to_string();
    let listed = remote()
        .with_mirror("https+lxc-images://mirror.example/x")
        .with_revoked_key(revoked.to_lowercase());
    let mut registry = registry().with_lifetime(Duration::from_secs(86_400));
    registry.remotes[0] = listed;

    let error = publisher(root)
        .publish(&registry)
        .expect_err("not asked for");
    assert_eq!(
        error.to_string(),
        "a mirror needs the proposed fields, which are not asked for: `mirrors`"
    );
    let publisher = publisher(root)
        .with_fields(Fields::Proposed)
        .with_key_names(KeyNames::LongId);
    for serial in 1..=3u64 {
        let published = publisher.publish(&registry).expect("published");
        let index = index(root);
        assert_eq!(
            (published.serial, &index["serial"]),
            (serial, &json!(serial))
        );
        assert_eq!(index["generated_at"], json!(keys::SIGNED + serial - 1));
        assert_eq!(
            index["expires_at"],
            json!(keys::SIGNED + serial - 1 + 86_400)
        );
        assert_eq!(
            index["servers"][0]["mirrors"],
            json!(["https+lxc-images://mirror.example/x"])
        );
        assert_eq!(index["servers"][0]["revoked_keys"], json!([revoked]));
        let fingerprint = keys::images().fingerprint().to_string();
        let name = format!("keys/0x{}", &fingerprint[24..]);
        assert_eq!(
            index["servers"][0]["trusted_keys"],
            json!([format!("/{name}")])
        );
        check(&root.join(name), keys::registry());
    }
}

#[test]
fn serial_and_time_rise_even_if_the_state_is_lost() {
    let folder = tempfile::tempdir().expect("a directory");
    let root = folder.path();
    let publisher = publisher(root).with_fields(Fields::Proposed);
    for _ in 0..4 {
        publisher.publish(&registry()).expect("published");
    }
    fs::remove_dir_all(root.join(".publish")).expect("there");
    let published = publisher.publish(&registry()).expect("published");
    assert_eq!(published.serial, 5);
    assert_eq!(
        signed_at(&root.join("1.0/index.json"), keys::registry()),
        keys::SIGNED + 4
    );
}

#[test]
fn keys_that_the_index_before_names_stay_for_one_publication() {
    let folder = tempfile::tempdir().expect("a directory");
    let root = folder.path();
    let with_key = |key: &str| {
        let listed = ListedRemote::new("r", "https+lxc-images://images.example").with_key(key);
        Registry::new().with_remote(listed)
    };
    let (old, new) = (keys::images(), keys::other_images());
    let name = |fingerprint: imagestore_verify::Fingerprint| format!("keys/{fingerprint}");
    publisher(root)
        .publish(&with_key(&old.certificate()))
        .expect("published");
    publisher(root)
        .publish(&with_key(&new.certificate()))
        .expect("published");
    check(&root.join(name(old.fingerprint())), keys::registry());
    check(&root.join(name(new.fingerprint())), keys::registry());
    publisher(root)
        .publish(&with_key(&new.certificate()))
        .expect("published");
    let (old, new) = (name(old.fingerprint()), name(new.fingerprint()));
    let state = [
        ".publish/lock",
        ".publish/state.json",
        "1.0/index.json",
        "1.0/index.json.asc",
    ];
    let mut wanted: Vec<String> = state.map(str::to_owned).into();
    wanted.extend([new.clone(), format!("{new}.asc")]);
    assert_eq!(files(root), wanted, "{old} is gone");
}

#[test]
fn refuses_what_readers_would_refuse() {
    let folder = tempfile::tempdir().expect("a directory");
    let url = "https+lxc-images://images.example";
    let listed = |name: &str, url: &str| {
        Registry::new()
            .with_remote(ListedRemote::new(name, url).with_key(keys::images().certificate()))
    };
    let alias = |remote: &str| ListedAlias::new(remote, "ubuntu", "trusty");
    let two = format!(
        "{}{}",
        keys::images().certificate(),
        keys::stranger().certificate()
    );
    let with_key =
        |key: Vec<u8>| Registry::new().with_remote(ListedRemote::new("r", url).with_key(key));
    let cases = [
        (listed("", url), "a remote has no usable name: ``"),
        (listed("a/b", url), "a remote has no usable name: `a/b`"),
        (listed("a:b", url), "a remote has no usable name: `a:b`"),
        (
            listed("a\u{1b}", url),
            "a remote has no usable name: `a\\u{1b}`",
        ),
        (
            listed("a", "https://images.example"),
            "a url is not of the form https+PROTOCOL://HOST: `https://images.example`",
        ),
        (
            listed("a", "https+lxc-images://u@h"),
            "a url is not of the form https+PROTOCOL://HOST: `https+lxc-images://u@h`",
        ),
        (
            listed("a", "https+lxc-images://h/../x"),
            "a url is not of the form https+PROTOCOL://HOST: `https+lxc-images://h/../x`",
        ),
        (
            listed("a", "unix+lxd:///run/x"),
            "a url is not of the form https+PROTOCOL://HOST: `unix+lxd:///run/x`",
        ),
        (
            listed("a", url).with_remote(ListedRemote::new("a", "https+lxd://h")),
            "a remote is listed twice: `a`",
        ),
        (
            Registry::new().with_remote(ListedRemote::new("a", url)),
            "a remote has no key to sign its images: `a`",
        ),
        (
            listed("a", url).with_alias("x", alias("b")),
            "an alias leads to a remote that is not listed: `b`",
        ),
        (
            listed("a", url).with_alias("x//y", alias("a")),
            "an alias is no name: `x//y`",
        ),
        (
            with_key(b"no key".to_vec()),
            "not one public key: of the remote `r`",
        ),
        (
            with_key(two.into_bytes()),
            "not one public key: of the remote `r`",
        ),
        (
            with_key(keys::images().secret().into_bytes()),
            "not one public key: of the remote `r`",
        ),
        (
            registry().with_lifetime(Duration::from_secs(1)),
            "a lifetime needs the proposed fields, which are not asked for: `expires_at`",
        ),
    ];
    for (registry, message) in cases {
        let error = publisher(folder.path())
            .publish(&registry)
            .expect_err(message);
        assert_eq!(error.to_string(), message);
    }
    assert!(!folder.path().join("1.0").exists());
}

#[test]
fn does_not_go_back_behind_a_registry_of_another_publisher() {
    let folder = tempfile::tempdir().expect("a directory");
    let root = folder.path();
    fs::create_dir(root.join("1.0")).expect("made");
    let earlier = BTreeMap::from([("generated_at", keys::SIGNED + 60), ("serial", 41)]);
    fs::write(
        root.join("1.0/index.json"),
        serde_json::to_vec(&earlier).expect("JSON"),
    )
    .expect("written");
    let error = publisher(root).publish(&registry()).expect_err("newer");
    assert!(matches!(error, PublishError::ClockBehind { .. }), "{error}");
    let later = publisher(root).with_time(keys::at(keys::SIGNED + 61));
    assert_eq!(later.publish(&registry()).expect("published").serial, 43);
}
