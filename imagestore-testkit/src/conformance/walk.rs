use std::collections::BTreeMap;

use imagestore_core::{EntryKind, ImagePath, ImageSource, Listing, Lookup};

use super::{
    downloads_are_sound, entries_are_sorted_and_one_level, gist, join, list, lookup,
    referral_is_sound,
};

/// Goes through all that a source lists, down to `depth` levels: what it lists is sorted and there,
/// and can be fetched as far as can be told. What was found, by path.
///
/// Unlike the other functions this needs to know nothing of the remote, which can hold anything.
pub async fn all_that_is_listed_is_there(
    source: &dyn ImageSource,
    depth: usize,
) -> BTreeMap<ImagePath, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![ImagePath::default()];
    while let Some(prefix) = folders.pop() {
        let Listing::Entries { entries, .. } = list(source, &prefix).await.into_inner() else {
            continue;
        };
        entries_are_sorted_and_one_level(&entries, &prefix);
        for entry in entries {
            let path = join(&prefix, &entry.name);
            let is = match entry.kind {
                EntryKind::Folder => {
                    if path.segments().len() < depth {
                        folders.push(path.clone());
                    }
                    "folder".to_owned()
                }
                _ => {
                    let answer = lookup(source, &path).await.into_inner();
                    match &answer {
                        Lookup::Image(image) => downloads_are_sound(image, &path),
                        Lookup::Referral(referral) => referral_is_sound(referral, source, &path),
                    }
                    format!("{} {}", entry.kind.name(), gist(&answer))
                }
            };
            found.insert(path, is);
        }
    }
    found
}
