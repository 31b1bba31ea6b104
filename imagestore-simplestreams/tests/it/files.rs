//! Trees of several product files.

use imagestore_core::{ErrorKind, Limits};
use imagestore_simplestreams::Simplestreams;

use crate::names::{names, watched};
use crate::tree::{INDEX, NEW, OLD, Tree, file, lookup, product, url};

fn index_of(files: &[(&str, &str)]) -> String {
    let entry = |(id, path): &(&str, &str)| {
        format!(
            r#""{id}":{{"datatype":"image-downloads","format":"products:1.0","path":"{path}","products":["p"]}}"#
        )
    };
    let files: Vec<_> = files.iter().map(entry).collect();
    format!(
        r#"{{"format":"index:1.0","index":{{{}}}}}"#,
        files.join(",")
    )
}

/// A tree whose index names a second product file.
pub(crate) fn of_two_files() -> Tree {
    let tree = Tree::new();
    let files = [
        ("images", "streams/v1/images.json"),
        ("more", "streams/v1/more.json"),
    ];
    tree.put("streams/v1/index.json", &index_of(&files));
    tree
}

#[tokio::test]
async fn one_limit_holds_for_all_product_files() {
    let tree = of_two_files();
    let text = tree
        .transport
        .file(&url("streams/v1/images.json"))
        .expect("there");
    let text = String::from_utf8(text.to_vec()).expect("text");
    let fields = text.replace(r#""content_id":"images""#, r#""content_id":"more""#);
    let fields = fields
        .replace("ubuntu:trusty", "more")
        .replace("trusty", "more");
    tree.put("streams/v1/more.json", &fields);
    tree.lookup("ubuntu/more").await.expect("both fit");
    let mut limits = Limits::default();
    limits.entries = 300;
    let context = tree.context().with_limits(limits);
    let source = Simplestreams::new(Tree::remote(), context).expect("in order");
    let error = lookup(&source, "ubuntu/more").await.expect_err("one fits");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(
        error.to_string(),
        "has more than 300 objects and fields: \
         https+simplestreams://images.example/streams/v1/more"
    );
    tree.put("streams/v1/index.json", INDEX);
    source.forget();
    lookup(&source, "ubuntu/trusty").await.expect("one fits");
}

#[tokio::test]
async fn an_odd_path_of_one_product_file_is_told_and_the_others_are_read() {
    let tree = Tree::new();
    let files = [("images", "streams/v1/images.json"), ("odd", "../odd.json")];
    tree.put("streams/v1/index.json", &index_of(&files));
    let (source, warnings) = watched(&tree);
    lookup(&source, "ubuntu/trusty").await.expect("there");
    assert_eq!(
        warnings.take(),
        [
            "https+simplestreams://images.example/streams/v1/index names a file for `odd` in vain: \
          a path leaves the tree: `../odd.json`"
        ]
    );
}

#[tokio::test]
async fn products_of_one_name_in_two_files_are_told_apart_by_their_columns_or_refused() {
    let tree = of_two_files();
    let put = |release: &str| {
        let other = product("u/more", "amd64", "cloud", &[OLD]).replace(
            r#""release":"trusty""#,
            &format!(r#""release":"{release}""#),
        );
        let one = product("u/one", "amd64", "default", &[NEW])
            .replace(r#""variant":"default""#, r#""variant":"cloud""#);
        tree.put("streams/v1/images.json", &file(&format!(r#""p":{one}"#)));
        let more = file(&format!(r#""p":{other}"#));
        let more = more.replace(r#""content_id":"images""#, r#""content_id":"more""#);
        tree.put("streams/v1/more.json", &more);
        watched(&tree)
    };
    // An older build than that of the other, under the same name: each has a memory of its own.
    let (source, _) = put("xenial");
    for (alias, wanted) in [
        (
            "u/one",
            format!("ubuntu/trusty/amd64/cloud build {NEW}+tar"),
        ),
        (
            "u/more",
            format!("ubuntu/xenial/amd64/cloud build {OLD}+tar"),
        ),
    ] {
        let image = lookup(&source, alias).await.expect(alias);
        assert!(image.id.to_string().ends_with(&wanted), "{}", image.id);
    }

    let (source, warnings) = put("trusty");
    let error = lookup(&source, "u/one").await.expect_err("which one?");
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert_eq!(
        error.to_string(),
        "several product files have a product `p`, and nothing tells them apart; \
         the publisher has to rename one of them"
    );
    assert_eq!(names(&source, "").await, [""; 0]);
    let [warning] = &warnings.take()[..] else {
        panic!("no warning");
    };
    assert!(warning.starts_with("2 left out of the list"), "{warning}");
}
