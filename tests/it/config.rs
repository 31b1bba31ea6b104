use imagestore::{Config, ErrorKind, ImageStore};

#[tokio::test]
async fn a_remote_without_its_key_does_not_stand_in_the_way_of_others() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let text = "[remotes.broken]\nurl = \"https+registry://x.example\"\ntrusted_keys = [\"no.asc\"]\n\
                [remotes.silent]\nurl = \"https+lxc-images://127.0.0.1:9\"\ntrusted_keys = [\"ok.asc\"]\n";
    let key = imagestore_testkit::keys::images().certificate();
    std::fs::write(directory.path().join("ok.asc"), key).expect("written");
    let images = ImageStore::builder()
        .with_config(Config::parse(text, directory.path()).expect("valid"))
        .with_store_dir(directory.path().join("store"))
        .build()
        .expect("a store");
    let error = images
        .resolve(&"broken:x".parse().expect("a reference"))
        .await
        .expect_err("no key");
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert_eq!(
        error.to_string(),
        "a remote is not configured properly: `broken`"
    );
    let error = images
        .resolve(&"silent:x/y".parse().expect("a reference"))
        .await
        .expect_err("nobody");
    assert_eq!(error.kind(), ErrorKind::Network);
}
