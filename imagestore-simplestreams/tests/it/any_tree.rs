//! Trees made at random out of few names, so that much of them collides: whatever they hold, what is listed is there, one
//! id means one image, and the order in which a tree lists its parts decides nothing.

use std::collections::BTreeMap;
use std::fmt;

use fastrand::Rng;
use imagestore_core::ImagePath;
use imagestore_testkit::conformance::all_that_is_listed_is_there;

use crate::files::of_two_files;
use crate::tree::{Tree, chain, lookup, sha};

#[tokio::test]
async fn what_is_listed_of_any_tree_is_there_whatever_its_order() {
    let mut listed = 0;
    for seed in 0..TREES {
        // The last one that is shown when something fails is the one that does.
        println!("seed {seed}");
        let mut rng = Rng::with_seed(seed);
        let mut files = [any_products(&mut rng), any_products(&mut rng)];
        let found = everything(&files).await;
        listed += found.keys().filter(|name| name.contains("listed")).count();
        for file in &mut files {
            file.shuffle(&mut rng);
        }
        let again = everything(&files).await;
        let [one, two] = &files;
        assert_eq!(found, again, "{one}\n{two}");
    }
    assert!(listed > 3_000, "only {listed} names in all trees");
}

/// What a tree lists, and what the names lead to that somebody might ask for.
async fn everything([one, two]: &[Json; 2]) -> BTreeMap<String, String> {
    let tree = of_two_files();
    tree.put("streams/v1/images.json", &one.to_string());
    tree.put("streams/v1/more.json", &two.to_string());
    let mut found = BTreeMap::new();
    let mut fingerprints = BTreeMap::new();
    for arguments in [&[][..], &[("strip", "a/"), ("prefer", "squashfs")]] {
        let source = tree.source(Tree::with_arguments(arguments));
        let listed = all_that_is_listed_is_there(&*source, 6).await;
        let names = NAMES.iter().chain(ALIASES);
        let names = names.filter_map(|name| name.parse::<ImagePath>().ok());
        for path in names.chain(listed.keys().cloned()) {
            let answer = match lookup(&*source, &path.to_string()).await {
                Ok(image) => {
                    let known = fingerprints
                        .entry(image.id.clone())
                        .or_insert(image.fingerprint);
                    assert_eq!(
                        *known, image.fingerprint,
                        "{path}: {}\n{one}\n{two}",
                        image.id
                    );
                    format!("{:?}", image.into_inner())
                }
                Err(error) => chain(&error),
            };
            found.insert(format!("{arguments:?} {path}"), answer);
        }
        let listed = listed
            .into_iter()
            .map(|(path, is)| (format!("{arguments:?} listed {path}"), is));
        found.extend(listed);
    }
    found
}

fn any_products(rng: &mut Rng) -> Json {
    let mut products = Vec::new();
    for name in some(rng, 5, NAMES) {
        let mut product = vec![
            text("os", mostly(rng, &["a", "A", "b"], &["p", "x/y", ""])),
            text(
                "release",
                mostly(rng, &["b", "c"], &["amd64", "20240530_12:00", "x/y", ""]),
            ),
            text(
                "arch",
                mostly(
                    rng,
                    &["amd64", "x86_64", "i386", "arm64"],
                    &["i686", "x/y", ".."],
                ),
            ),
            text(
                "variant",
                mostly(rng, &["default", "cloud"], &["b", "x/y", ""]),
            ),
            text("aliases", &some(rng, 4, ALIASES).join(",")),
        ];
        if one_in(rng, 4) {
            product.swap_remove(rng.usize(..product.len()));
        }
        let versions = some(rng, 3, SERIALS)
            .into_iter()
            .map(|serial| (serial.to_owned(), any_version(rng)))
            .collect();
        product.push(("versions".to_owned(), Json::Object(versions)));
        products.push((name.to_owned(), Json::Object(product)));
    }
    Json::Object(vec![
        text("datatype", "image-downloads"),
        text("format", "products:1.0"),
        text("updated", "Fri, 31 May 2024 13:00:00 +0000"),
        ("products".to_owned(), Json::Object(products)),
    ])
}

fn any_version(rng: &mut Rng) -> Json {
    let mut items = Vec::new();
    for (n, ftype) in some(rng, 6, FTYPES).into_iter().enumerate() {
        // Few contents, so that images are the same now and then.
        let content = pick(rng, CONTENTS);
        let mut item = vec![
            text("ftype", ftype),
            text(
                "path",
                mostly(
                    rng,
                    &["images/one", "images/two"],
                    &["../up", "/top", "a b", ""],
                ),
            ),
            text("sha256", &sha(content)),
            (
                "size".to_owned(),
                Json::Number(if one_in(rng, 16) { 0 } else { 9 }),
            ),
        ];
        for field in COMBINED {
            if !one_in(rng, 8) {
                item.push(text(field, &sha(pick(rng, CONTENTS))));
            }
        }
        if one_in(rng, 8) {
            item.push(text("combined_type", "virtual-machine"));
        }
        if one_in(rng, 16) {
            item.swap_remove(rng.usize(..item.len()));
        }
        items.push((n.to_string(), Json::Object(item)));
    }
    Json::Object(vec![("items".to_owned(), Json::Object(items))])
}

/// At most so many different ones of these.
fn some<'a>(rng: &mut Rng, most: usize, all: &[&'a str]) -> Vec<&'a str> {
    let count = rng.usize(..=most.min(all.len()));
    rng.choose_multiple(all.iter().copied(), count)
}

/// One of the good ones, and one of the bad ones now and then.
fn mostly<'a>(rng: &mut Rng, good: &[&'a str], bad: &[&'a str]) -> &'a str {
    let all = if one_in(rng, 12) { bad } else { good };
    pick(rng, all)
}

fn one_in(rng: &mut Rng, many: u8) -> bool {
    rng.u8(..many) == 0
}

fn pick<'a>(rng: &mut Rng, all: &[&'a str]) -> &'a str {
    all[rng.usize(..all.len())]
}

fn text(name: &str, value: &str) -> (String, Json) {
    (name.to_owned(), Json::Text(value.to_owned()))
}

/// JSON whose objects have an order.
enum Json {
    Number(u64),
    Object(Vec<(String, Json)>),
    Text(String),
}

impl Json {
    fn shuffle(&mut self, rng: &mut Rng) {
        if let Self::Object(fields) = self {
            rng.shuffle(fields);
            for (_, value) in fields {
                value.shuffle(rng);
            }
        }
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            // No string here needs an escape.
            Self::Text(text) => write!(f, "\"{text}\""),
            Self::Object(fields) => {
                f.write_str("{")?;
                for (n, (name, value)) in fields.iter().enumerate() {
                    let comma = if n == 0 { "" } else { "," };
                    write!(f, "{comma}\"{name}\":{value}")?;
                }
                f.write_str("}")
            }
        }
    }
}

const TREES: u64 = 1_000;
const ALIASES: &[&str] = &[
    "",
    " a",
    "..",
    "a",
    "a/20240530_12:00",
    "a/amd64",
    "a/b",
    "a/b/amd64",
    "a/b/amd64/default",
    "a/b/default",
    "a//b",
    "b",
    "b/c",
    "c",
    "default",
    "p",
];
const COMBINED: &[&str] = &[
    "combined_disk-kvm-img_sha256",
    "combined_rootxz_sha256",
    "combined_sha256",
    "combined_squashfs_sha256",
];
const CONTENTS: &[&str] = &["one", "two"];
const FTYPES: &[&str] = &[
    "disk-kvm.img",
    "incus.tar.xz",
    "incus_combined.tar.gz",
    "lxd.tar.xz",
    "lxd.tar.xz",
    "lxd_combined.tar.gz",
    "root.tar.xz",
    "root.tar.xz",
    "squashfs",
];
const NAMES: &[&str] = &[
    "",
    "..",
    "a",
    "a/b",
    "a:b:amd64:cloud",
    "a:b:amd64:default",
    "a:b:arm64:default",
    "b",
    "p",
    "q",
];
const SERIALS: &[&str] = &[
    "20240530_12:00",
    "20240531_12:00",
    "20240530",
    "b",
    "x/y",
    "..",
];
