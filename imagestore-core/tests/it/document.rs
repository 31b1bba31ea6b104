use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use imagestore_core::freshness::InMemory;
use imagestore_core::{
    Caches, Context, Document, Error, ErrorKind, Lifetime, Parsed, RemoteConfig, Result, Transport,
    Trust,
};
use imagestore_verify::signing::SigningKey;
use imagestore_verify::{Keyring, Policy, Proof, Verified};

use crate::memory::Table;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn key() -> SigningKey {
    SigningKey::generate_ed25519("test", now() - Duration::from_secs(400 * 86_400))
}

fn remote(key: &SigningKey) -> RemoteConfig {
    let keys = Keyring::from_bytes(key.certificate().as_bytes()).expect("a certificate");
    RemoteConfig::new(
        "images".parse().expect("a name"),
        "https+lxc-images://images.example".parse().expect("a URL"),
        Trust::Signatures(keys),
    )
}

fn context(table: &Arc<Table>) -> Context {
    let transport: Arc<dyn Transport> = table.clone();
    let mut policy = Policy::default();
    policy.at = Some(now());
    Context::new(transport)
        .with_policy(policy)
        .with_memory(Arc::new(InMemory::default()))
}

fn sign(key: &SigningKey, data: &[u8], days_ago: u64) -> Vec<u8> {
    let at = now() - Duration::from_secs(days_ago * 86_400);
    key.sign_detached(data, at).into_bytes()
}

async fn fetch(context: &Context, remote: &RemoteConfig) -> Result<Verified<String>> {
    Document::new(context, remote, "/index")?
        .fetch(|bytes| Ok(Parsed::new(text(bytes))))
        .await
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "current_thread")]
async fn hands_on_what_is_signed_and_says_by_whom() {
    let key = key();
    let table = Arc::new(
        Table::default()
            .with("/index", &[b"one"])
            .with("/index.asc", &[&sign(&key, b"one", 1)]),
    );
    let document = fetch(&context(&table), &remote(&key))
        .await
        .expect("signed");
    assert_eq!(document.as_str(), "one");
    assert!(
        document.proofs()[0]
            .to_string()
            .contains(&key.fingerprint().to_string())
    );
}

#[tokio::test(flavor = "current_thread")]
async fn a_clock_that_was_set_back_is_not_believed_again() {
    let key = key();
    let table = Arc::new(
        Table::default()
            .with("/index", &[b"one"])
            .with("/index.asc", &[&sign(&key, b"one", 1)]),
    );
    let today = context(&table);
    let back = now() - Duration::from_secs(90 * 86_400);
    let set_back = today.clone().with_policy(Policy::default().with_at(back));
    let error = fetch(&set_back, &remote(&key)).await.expect_err("ahead");
    assert_eq!(error.kind(), ErrorKind::Untrusted);

    // What was signed, and seen, has happened.
    fetch(&today, &remote(&key))
        .await
        .expect("signed yesterday");
    let signed = now() - Duration::from_secs(86_400);
    assert_eq!(set_back.now_for(&remote(&key)), signed);
    let again = fetch(&set_back, &remote(&key)).await.expect("seen before");
    let Proof::Signature(proof) = &again.proofs()[0] else {
        panic!("a signature, not {:?}", again.proofs());
    };
    let warnings: Vec<_> = proof.warnings().iter().map(ToString::to_string).collect();
    assert!(
        warnings
            .iter()
            .any(|text| text.ends_with("; set the clock")),
        "{warnings:?}"
    );
    // Another remote was never seen.
    let other = RemoteConfig::new(
        "other".parse().expect("a name"),
        "https+lxc-images://other.example".parse().expect("a URL"),
        remote(&key).trust().clone(),
    );
    assert_eq!(set_back.now_for(&other), back);
}

#[tokio::test(flavor = "current_thread")]
async fn refuses_a_document_without_signature() {
    let key = key();
    let table = Arc::new(Table::default().with("/index", &[b"one"]));
    let error = fetch(&context(&table), &remote(&key))
        .await
        .expect_err("not signed");
    assert_eq!(error.kind(), ErrorKind::Untrusted);
    assert_eq!(
        error.to_string(),
        "is not signed: https://images.example/index"
    );
    assert_eq!(
        error.source().expect("a cause").to_string(),
        "there is no such document: https://images.example/index.asc"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn asks_once_more_past_caches_when_index_and_signature_are_out_of_step() {
    let key = key();
    let table = Arc::new(
        Table::default()
            .with("/index", &[b"old", b"new"])
            .with("/index.asc", &[&sign(&key, b"new", 1)]),
    );
    let document = fetch(&context(&table), &remote(&key))
        .await
        .expect("in step the second time");
    assert_eq!(document.as_str(), "new");
    let asked = table.asked.lock().expect("no panic");
    let caches: Vec<_> = asked.iter().map(|(_, caches)| *caches).collect();
    assert_eq!(
        caches,
        [Caches::Ask, Caches::Ask, Caches::Bypass, Caches::Bypass]
    );
}

#[tokio::test(flavor = "current_thread")]
async fn asks_past_all_caches_from_the_beginning_when_told() {
    let key = key();
    let table = Arc::new(
        Table::default()
            .with("/index", &[b"new"])
            .with("/index.asc", &[&sign(&key, b"new", 1)]),
    );
    let (context, remote) = (context(&table), remote(&key));
    let document = Document::new(&context, &remote, "/index").expect("a path");
    let document = document.with_caches(Caches::Bypass);
    let text = document
        .fetch(|bytes| Ok(Parsed::new(bytes.to_vec())))
        .await;
    assert_eq!(*text.expect("signed"), b"new");
    let asked = table.asked.lock().expect("no panic");
    let caches: Vec<_> = asked.iter().map(|(_, caches)| *caches).collect();
    assert_eq!(caches, [Caches::Bypass, Caches::Bypass]);
}

#[tokio::test(flavor = "current_thread")]
async fn refuses_altered_bytes_after_asking_twice() {
    let key = key();
    let table = Arc::new(
        Table::default()
            .with("/index", &[b"evil"])
            .with("/index.asc", &[&sign(&key, b"one", 1)]),
    );
    let error = fetch(&context(&table), &remote(&key))
        .await
        .expect_err("altered");
    assert_eq!(error.kind(), ErrorKind::Untrusted);
    assert_eq!(
        error.to_string(),
        "does not verify: https://images.example/index"
    );
    assert_eq!(table.asked.lock().expect("no panic").len(), 4);
}

#[tokio::test(flavor = "current_thread")]
async fn remembers_only_what_parses_and_refuses_what_is_older() {
    let key = key();
    let table = Arc::new(Table::default());
    let publish = |text: &[u8], days_ago: u64| {
        table.put("/index", text);
        table.put("/index.asc", &sign(&key, text, days_ago));
    };
    let (context, remote) = (context(&table), remote(&key));
    publish(b"bad", 0);
    let refuse = |_: &[u8]| Err::<Parsed<()>, _>(Error::new(ErrorKind::Malformed, "not an index"));
    let document = Document::new(&context, &remote, "/index").expect("a path");
    assert_eq!(
        document.fetch(refuse).await.expect_err("bad").kind(),
        ErrorKind::Malformed
    );
    publish(b"new", 2);
    assert_eq!(
        fetch(&context, &remote)
            .await
            .expect("newer than nothing")
            .as_str(),
        "new"
    );
    publish(b"old", 3);
    let error = fetch(&context, &remote).await.expect_err("older");
    assert_eq!(error.kind(), ErrorKind::RolledBack);
    assert!(
        error.to_string().contains("https://images.example/index"),
        "{error}"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn looks_past_a_stale_copy() {
    let key = key();
    let (new, old) = (sign(&key, b"new", 2), sign(&key, b"old", 3));
    let table = Arc::new(
        Table::default()
            .with("/index", &[b"new"])
            .with("/index.asc", &[&new]),
    );
    let (context, remote) = (context(&table), remote(&key));
    fetch(&context, &remote).await.expect("the newest");
    let table_of_answers = Table::default()
        .with("/index", &[b"old", b"new"])
        .with("/index.asc", &[&old, &new]);
    let answers = table_of_answers.files.into_inner().expect("no panic");
    *table.files.lock().expect("no panic") = answers;
    assert_eq!(
        fetch(&context, &remote)
            .await
            .expect("behind the copy")
            .as_str(),
        "new"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn refuses_an_index_above_the_highest_age_but_not_what_is_fixed() {
    let key = key();
    let table = Arc::new(
        Table::default()
            .with("/index", &[b"one"])
            .with("/index.asc", &[&sign(&key, b"one", 15)]),
    );
    let context = context(&table);
    let strict = remote(&key).with_max_age(Some(Duration::from_secs(14 * 86_400)));
    let error = fetch(&context, &strict).await.expect_err("too old");
    assert_eq!(error.kind(), ErrorKind::Expired);
    assert_eq!(
        error.to_string(),
        "was signed 15 days ago, at most 14 are allowed: https://images.example/index"
    );
    let fixed = Document::new(&context, &strict, "/index")
        .expect("a path")
        .with_lifetime(Lifetime::Fixed);
    assert_eq!(
        fixed
            .fetch(|bytes| Ok(Parsed::new(text(bytes))))
            .await
            .expect("fixed")
            .as_str(),
        "one"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn refuses_a_channel_that_nothing_vouches_for() {
    let table = Arc::new(Table::default().with("/index", &[b"one"]));
    let remote = RemoteConfig::new(
        "host".parse().expect("a name"),
        "https+lxd://host.example".parse().expect("a URL"),
        Trust::Channel,
    );
    let error = fetch(&context(&table), &remote)
        .await
        .expect_err("no channel");
    assert_eq!(error.kind(), ErrorKind::Untrusted);
}

#[tokio::test(flavor = "current_thread")]
async fn stops_at_the_limit() {
    let key = key();
    let table = Arc::new(
        Table::default()
            .with("/index", &[&[0; 11]])
            .with("/index.asc", &[b""]),
    );
    let (context, remote) = (context(&table), remote(&key));
    let document = Document::new(&context, &remote, "/index")
        .expect("a path")
        .with_limit(10);
    let error = document
        .fetch(|bytes| Ok(Parsed::new(text(bytes))))
        .await
        .expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}
