//! By what a host is known, and by what it knows its callers.

use std::collections::BTreeMap;
use std::fs;

use imagestore_core::ClientIdentity;
use imagestore_lxd::{ClientConfig, Family};
use imagestore_testkit::server::Certificate;
use serde_json::{Value, json};

use super::pulls::REQUEST;
use super::reply::{Reply, read};
use super::scene::{Call, Door, Scene};

/// What is here beside answers.
pub(super) const FILES: [&str; 2] = [CERTIFICATE, SUMMARY];
const CERTIFICATE: &str = "https/server.crt";
/// What a caller with a certificate was told, without extensions and under shorter names.
const SUMMARY: &str = "https/trusted_1.0_summary.json";

#[tokio::test]
async fn a_recorded_host_knows_a_caller_by_a_certificate() {
    let summary: Value = serde_json::from_slice(&read(SUMMARY)).expect("JSON");
    let body = json!({
        "type": "sync",
        "metadata": { "auth": summary["auth"], "environment": summary["env"] },
    });
    let reply = Reply::read("https/untrusted_1.0").with_body(body.to_string().into_bytes());
    let answers = BTreeMap::from([("GET /1.0".to_owned(), vec![reply])]);
    let scene = Scene::answering(Door::Https, answers);
    let me = Certificate::new(&["me"]);
    let identity = ClientIdentity::new(me.pem().into(), me.key_pem().into());
    let host = scene.asker.source(scene.remote().with_identity(identity));
    assert_eq!(
        scene.outcome_for(&host, Call::Host).await,
        "trusted: true, lxd 5.0.2 for [\"x86_64\", \"i686\"], extensions: 0"
    );
    assert_eq!(scene.server.requests()[0].certificate, Some(me.sha256()));
    scene.asked_for_all_and_nothing_else();
}

#[test]
fn the_recorded_certificate_is_the_one_that_is_named_and_pinned() {
    let certificate = read(CERTIFICATE);
    let directory = tempfile::tempdir().expect("a directory");
    let below = |name: &str| directory.path().join(name);
    fs::create_dir(below("servercerts")).expect("a directory");
    fs::write(below("servercerts/box.crt"), &certificate).expect("written");
    let config = "remotes:\n  box:\n    addr: https://127.0.0.1:8443\n    protocol: lxd\n";
    fs::write(below("config.yml"), config).expect("written");
    let config = ClientConfig::open(directory.path(), Family::Lxd).expect("a configuration");
    let [pin] = config.remotes[0].pins.as_slice() else {
        panic!("{:?}", config.remotes);
    };
    let pem = String::from_utf8(certificate).expect("text");
    let json = |name: &str| serde_json::from_slice::<Value>(&read(name)).expect("JSON");
    let told = &json("rest/1.0.json")["metadata"]["environment"];
    for told in [told, &json(SUMMARY)["env"]] {
        assert_eq!(told["certificate_fingerprint"], pin.to_string());
        assert_eq!(told["certificate"], pem);
    }
    assert_eq!(json(REQUEST)["source"]["certificate"], pem.trim_end());
}
