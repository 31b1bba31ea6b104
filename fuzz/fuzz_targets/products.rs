//! An index or a product file of a simplestreams tree.

#![no_main]

use imagestore_core::ImagePath;
use imagestore_simplestreams::{Index, Products};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(index) = Index::parse(bytes) {
        for file in index.files() {
            assert!(stays_below(file.path()), "{}", file.path());
        }
    }
    let Ok(products) = Products::parse(bytes, "images", LIMIT) else {
        return;
    };
    let mut items = 0;
    for product in products.iter() {
        let place = product.place();
        assert!(!place.is_empty(), "{} has no place", product.name());
        let again: ImagePath = place.to_string().parse().expect("a path");
        assert_eq!(again, place);
        for choice in product.versions().flat_map(|version| version.choices()) {
            assert_ne!(choice.files().count(), 0, "an image without files");
            for item in choice.files() {
                assert!(stays_below(item.path()), "{}", item.path());
                items += 1;
            }
        }
    }
    // Each has fields of its own, and serves few images.
    assert!(items <= 4 * LIMIT, "{items} items");
    let count = products.iter().count();
    let twice = products.clone().joined(products);
    assert_eq!(twice.iter().count(), count, "the same product twice is one");
});

fn stays_below(path: &str) -> bool {
    let plain = |segment: &str| !matches!(segment, "" | "." | "..");
    path.split('/').all(plain) && !path.contains(['\\', '?', '#', '%', '\0'])
}

const LIMIT: usize = 4_096;
