use imagestore_core::ErrorKind;

use crate::tree::{INDEX, NEW, OLD, Tree, file, product, products};

const NAME: &str = "ubuntu/trusty/amd64/default";

async fn after(tree: &Tree, products: &str) -> Result<String, (ErrorKind, String)> {
    tree.put("streams/v1/images.json", products);
    match tree.lookup(NAME).await {
        Ok(image) => Ok(image.id.build().to_owned()),
        Err(error) => Err((error.kind(), error.to_string())),
    }
}

#[tokio::test]
async fn dates_of_documents_may_only_rise() {
    let tree = Tree::new();
    tree.lookup(NAME).await.expect("the first");
    let older = products().replace("31 May 2024 13:00", "30 May 2024 13:00");
    let (kind, message) = after(&tree, &older).await.expect_err("older");
    assert_eq!(kind, ErrorKind::RolledBack);
    assert!(
        message.starts_with(
            "is older than one seen before (updated 1717074000, seen before 1717160400)"
        ),
        "{message}"
    );
    tree.put("streams/v1/images.json", &products());
    tree.put("streams/v1/index.json", &INDEX.replace("31 May", "30 May"));
    let error = tree.lookup(NAME).await.expect_err("an older index");
    assert_eq!(error.kind(), ErrorKind::RolledBack);
}

#[tokio::test]
async fn the_newest_serial_may_only_rise_and_older_ones_may_be_named() {
    let tree = Tree::new();
    assert_eq!(
        tree.lookup(NAME).await.expect("the first").id.build(),
        format!("{NEW}+tar")
    );
    let image = tree.lookup(&format!("{NAME}/{OLD}")).await.expect("named");
    assert_eq!(image.id.build(), format!("{OLD}+tar"));
    let product = product("", "amd64", "default", &[OLD]);
    let without = file(&format!(r#""ubuntu:trusty:amd64:default":{product}"#));
    let (kind, message) = after(&tree, &without)
        .await
        .expect_err("the newest is gone");
    assert_eq!(kind, ErrorKind::RolledBack);
    assert!(
        message.contains("(serial 1717070400, seen before 1717156800)"),
        "{message}"
    );
    assert_eq!(after(&tree, &products()).await, Ok(format!("{NEW}+tar")));
}

#[tokio::test]
async fn dates_of_the_future_are_refused_and_not_remembered() {
    let tree = Tree::new();
    let ahead = products().replace("31 May 2024 13:00", "31 May 2094 13:00");
    let (kind, message) = after(&tree, &ahead).await.expect_err("seventy years ahead");
    assert_eq!(kind, ErrorKind::Malformed);
    assert!(
        message.starts_with("`updated` lies more than two days ahead of the clock: `"),
        "{message}"
    );
    let ahead = products().replace(NEW, "20940531_12:00");
    let (kind, message) = after(&tree, &ahead).await.expect_err("seventy years ahead");
    assert_eq!(kind, ErrorKind::Malformed);
    assert_eq!(
        message,
        format!(
            "`a serial` lies more than two days ahead of the clock: `20940531_12:00`: \
             `{NAME}`; check the clock of this machine"
        )
    );
    assert_eq!(after(&tree, &products()).await, Ok(format!("{NEW}+tar")));
}
