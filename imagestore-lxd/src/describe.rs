use std::collections::BTreeMap;

use imagestore_core::{Entry, EntryKind, architecture};

use crate::index::HostImage;

/// A line of a listing about an image.
pub(crate) fn entry(name: String, kind: EntryKind, image: &HostImage) -> Entry {
    let mut entry = Entry::new(name, kind)
        .with_description(image.properties.get("description").cloned())
        .with_property("fingerprint", image.fingerprint.to_string());
    for (name, value) in properties(image) {
        entry = entry.with_property(name, value);
    }
    entry
}

/// What a host and the author of an image say about it. The host knows better.
pub(crate) fn properties(image: &HostImage) -> BTreeMap<String, String> {
    let mut all = image.properties.clone();
    let names = architecture::aliases(&image.architecture);
    let architecture = names.first().copied().unwrap_or(&image.architecture);
    all.insert("architecture".to_owned(), architecture.to_owned());
    all.insert("type".to_owned(), image.kind.name().to_owned());
    all.insert(
        "public".to_owned(),
        if image.public { "yes" } else { "no" }.to_owned(),
    );
    all.insert("size".to_owned(), image.size.to_string());
    if !image.aliases.is_empty() {
        all.insert("aliases".to_owned(), image.aliases.join(", "));
    }
    all
}
