//! What a path leads to where a tree has many names, odd ones, or names for other machines.

use std::sync::{Arc, Mutex, PoisonError};

use imagestore_core::{Entry, ErrorKind, Event, ImageSource, Listing, Progress};
use imagestore_simplestreams::Simplestreams;

use crate::tree::{NEW, OLD, Tree, chain, file, items, lookup, product, sha};

#[derive(Debug, Default)]
pub(crate) struct Warnings(Mutex<Vec<String>>);

impl Progress for Warnings {
    fn on(&self, event: Event<'_>) {
        if let Event::Warning { text } = event {
            let warnings = self.0.lock();
            warnings
                .unwrap_or_else(PoisonError::into_inner)
                .push(text.to_owned());
        }
    }
}

impl Warnings {
    pub(crate) fn take(&self) -> Vec<String> {
        let warnings = self.0.lock();
        std::mem::take(&mut *warnings.unwrap_or_else(PoisonError::into_inner))
    }
}

pub(crate) fn watched(tree: &Tree) -> (Simplestreams, Arc<Warnings>) {
    let warnings = Arc::new(Warnings::default());
    let context = tree.context().with_progress(warnings.clone());
    let source = Simplestreams::new(Tree::remote(), context).expect("in order");
    (source, warnings)
}

async fn entries(source: &dyn ImageSource, prefix: &str) -> Vec<Entry> {
    let listing = source.list(&prefix.parse().expect(prefix)).await;
    match listing.expect("a listing").into_inner() {
        Listing::Entries { entries, .. } => entries,
        Listing::Referral(referral) => panic!("leads elsewhere: {referral:?}"),
    }
}

pub(crate) async fn names(source: &dyn ImageSource, prefix: &str) -> Vec<String> {
    let entries = entries(source, prefix).await;
    entries.into_iter().map(|entry| entry.name).collect()
}

#[tokio::test]
async fn serials_that_are_no_names_are_an_error_of_their_own() {
    let long = format!("20240601{}", "1".repeat(1 << 20));
    for (serial, shown) in [
        ("20240601\\u001b[2J", "20240601"),
        ("20240601/x", "20240601/x"),
        ("20240601\\\\x", "20240601\\x"),
        (&long, &long[..120]),
    ] {
        let one = product("u", "amd64", "default", &[OLD]);
        let newest = format!(
            r#""versions":{{"{serial}":{{"items":{{{}}}}},"#,
            items("x", NEW)
        );
        let one = one.replace(r#""versions":{"#, &newest);
        let tree = Tree::of(&file(&format!(r#""p":{one}"#)));
        let (source, warnings) = watched(&tree);
        let error = lookup(&source, "u").await.expect_err(shown);
        assert_eq!(error.kind(), ErrorKind::Malformed);
        let text = error.to_string();
        let wanted = format!("the serial of a version is no name: `{shown}");
        assert!(text.starts_with(&wanted), "{text}");
        assert!(
            text.len() < 500 && !text.contains(char::is_control),
            "{text}"
        );
        // The others can be asked for, and the listing says that this one is not in it.
        let place = "ubuntu/trusty/amd64/default";
        let image = lookup(&source, &format!("{place}/{OLD}"))
            .await
            .expect("older");
        assert_eq!(image.id.build(), format!("{OLD}+tar"));
        warnings.take();
        assert_eq!(names(&source, place).await, [OLD]);
        let told = warnings.take();
        let wanted = "1 left out of the list of https+simplestreams://images.example, \
                      the first is: the serial of a version is no name: `20240601";
        assert!(told.len() == 1 && told[0].starts_with(wanted), "{told:?}");
    }
}

#[tokio::test]
async fn an_image_that_is_broken_decides_no_ambiguity() {
    let one = product("u", "amd64", "default", &[NEW]);
    let other = product("u", "amd64", "cloud", &[NEW]);
    let broken = other.replace(&format!("cloud/{NEW}/tar"), "../x");
    let tree = Tree::of(&file(&format!(r#""one":{one},"other":{broken}"#)));
    let error = tree.lookup("u").await.expect_err("two");
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert_eq!(
        chain(&error),
        format!(
            "several products go by this name, `one` and `other`, and not all of them are in \
             order: `u`; refer to one of them by the name of the product\n\
             a path leaves the tree: `images/ubuntu/trusty/../x`: ubuntu/trusty/amd64/cloud/{NEW}"
        )
    );
    tree.lookup("one")
        .await
        .expect("by the name of the product");
    // One that has nothing of the wanted type is no rival.
    let nothing = product("u", "amd64", "empty", &[]);
    let tree = Tree::of(&file(&format!(r#""one":{one},"other":{nothing}"#)));
    tree.lookup("u").await.expect("the only image");
}

#[tokio::test]
async fn an_ambiguity_names_eight_products() {
    let each = (0..1000).map(|n| {
        let product = product("u", "amd64", &format!("v{n}"), &[NEW]);
        format!(r#""p{n:03}":{product}"#)
    });
    let products: Vec<_> = each.collect();
    let error = Tree::of(&file(&products.join(","))).lookup("u").await;
    let error = error.expect_err("a thousand");
    assert_eq!(
        error.to_string(),
        "several products go by this name, `p000`, `p001`, `p002`, `p003`, `p004`, `p005`, \
         `p006`, `p007` and 992 more: `u`; refer to one of them by the name of the product"
    );
}

#[tokio::test]
async fn programs_for_32_bits_run_where_there_are_none_for_64() {
    let one = product("u,both", "i686", "default", &[OLD]);
    let two = product("both", "x86_64", "other", &[NEW]);
    let tree = Tree::of(&file(&format!(r#""one":{one},"two":{two}"#)));
    for (path, product) in [
        ("u", "one"),
        ("both", "two"),
        ("both/386", "one"),
        ("ubuntu/trusty", "one"),
        (&format!("u/{OLD}"), "one"),
    ] {
        let image = tree.lookup(path).await.expect(path);
        assert_eq!(image.properties["product"], product, "{path}");
    }
    let error = tree.lookup("u/amd64").await.expect_err("asked for by name");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let source = tree.source(Tree::remote().with_architecture(Some("arm64".into())));
    let error = lookup(&*source, "u").await.expect_err("another machine");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn the_first_word_of_an_architecture_counts_under_all_its_names() {
    for (written, path) in [
        ("x86_64 x86_64", "u/amd64"),
        ("amd64v3", "u"),
        ("generic_64", "u"),
        ("arm", "u/armel"),
        ("armhfp", "u/armv7l"),
        ("mips64le", "u/mips64el"),
        ("loong64", "u/loongarch64"),
    ] {
        let one = product("u", written, "default", &[NEW]);
        let tree = Tree::of(&file(&format!(r#""one":{one}"#)));
        tree.lookup(path)
            .await
            .unwrap_or_else(|error| panic!("{written}: {error}"));
    }
}

#[tokio::test]
async fn aliases_need_not_begin_with_what_the_remote_strips() {
    let one = product("ubuntu/24.04,ubuntu/n,other/x", "amd64", "default", &[NEW]);
    let tree = Tree::of(&file(&format!(r#""one":{one}"#)));
    let source = tree.source(Tree::with_arguments(&[("strip", "ubuntu/")]));
    for path in ["24.04", "n", "ubuntu/24.04", "24.04/amd64", "other/x"] {
        lookup(&*source, path).await.expect(path);
    }
    assert_eq!(
        names(&*source, "").await,
        ["24.04", "n", "other/x", "ubuntu"]
    );
    let error = tree.lookup("24.04").await.expect_err("not stripped");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    // Two products, of which one has the short name, are no choice.
    let two = product("24.04", "amd64", "two", &[NEW]);
    tree.put(
        "streams/v1/images.json",
        &file(&format!(r#""one":{one},"two":{two}"#)),
    );
    source.forget();
    let error = lookup(&*source, "24.04").await.expect_err("two");
    assert!(error.to_string().starts_with("several products"), "{error}");
    for bad in ["ubuntu", "/", "", "../"] {
        let remote = Tree::with_arguments(&[("strip", bad)]);
        let error = Simplestreams::new(remote, tree.context()).expect_err(bad);
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    }
}

/// An item in one file, as short as it can be.
const ITEM: &str = r#""items":{"i":{"ftype":"lxd_combined.tar.gz"}}"#;

/// A tree in which all items are the same file.
fn short(products: &str) -> Tree {
    let (sha256, head) = (sha("x"), r#""format":"products:1.0""#);
    Tree::of(&format!(
        r#"{{{head},"arch":"amd64","path":"x","sha256":"{sha256}","products":{{{products}}}}}"#
    ))
}

#[tokio::test]
async fn lists_thousands_of_versions_each_looked_at_once() {
    let version = |n| format!(r#""{n:06}":{{{ITEM}}}"#);
    let versions: Vec<_> = (0..20_000).map(version).collect();
    let tree = short(&format!(r#""p":{{"versions":{{{}}}}}"#, versions.join(",")));
    let source = tree.source(Tree::remote());
    let names = names(&*source, "p").await;
    assert_eq!(names.len(), 20_000);
    assert_eq!(names[19_999], "019999");
}

#[tokio::test]
async fn lists_thousands_of_aliases_and_products_each_looked_at_once() {
    let each = (0..20_000).map(|n| {
        // The versions of one are the aliases of another.
        format!(
            r#""p{n:06}":{{"aliases":"a,a/x{n},a/y{n}","os":"a","release":"x{n}","versions":{{"y{n}":{{{ITEM}}}}}}}"#
        )
    });
    let tree = short(&each.collect::<Vec<_>>().join(","));
    let source = tree.source(Tree::remote());
    let found = names(&*source, "").await;
    // Each alias, and the folder that is called like the first of them.
    assert_eq!(found.len(), 40_001);
    lookup(&*source, "a/x7").await.expect("an alias");
}

#[tokio::test]
async fn descriptions_are_short() {
    let long = "x".repeat(100_000);
    let one = product("u", "amd64", "default", &[NEW]);
    let one = one.replacen('{', &format!(r#"{{"label":"{long}","#), 1);
    let tree = Tree::of(&file(&format!(r#""one":{one}"#)));
    let source = tree.source(Tree::remote());
    for entry in entries(&*source, "ubuntu/trusty/amd64").await {
        let text = entry.description.expect("a description");
        assert!(text.len() < 300, "{} bytes", text.len());
    }
}

#[tokio::test]
async fn a_name_that_means_several_things_is_listed_as_what_a_lookup_finds() {
    let [one, two, three] = [
        ("p", "default", OLD),
        ("ubuntu,other", "cloud", NEW),
        ("x", "x", NEW),
    ]
    .map(|(aliases, variant, serial)| product(aliases, "amd64", variant, &[serial]));
    // `p` is an alias of one product and the name of another, `ubuntu` a folder and an alias.
    let three = three.replace(r#""release":"trusty","#, "");
    let tree = Tree::of(&file(&format!(r#""a":{one},"b":{two},"p":{three}"#)));
    let (source, _) = watched(&tree);
    let listed = entries(&source, "").await;
    let shown: Vec<_> = listed
        .iter()
        .map(|entry| {
            let build = entry.properties.get("build").map_or("", String::as_str);
            (&*entry.name, entry.kind.name(), build)
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("other", "alias", NEW),
            ("p", "image", OLD),
            ("ubuntu", "folder", ""),
            ("x", "alias", NEW),
        ]
    );
}
