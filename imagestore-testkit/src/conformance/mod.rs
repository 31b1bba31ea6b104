//! What every source must do, whatever its protocol: plain functions over `&dyn ImageSource`.
//!
//! A protocol, and every wrapper around a source, runs [`run_all`] against a remote of which the test knows what it
//! holds. The functions panic with what was expected and what was found.

mod expected;
mod walk;

use std::collections::BTreeSet;

use imagestore_core::{
    Check, Entry, EntryKind, ErrorKind, FileRole, Image, ImagePath, ImageSource, Listing, Lookup,
    Referral,
};
use imagestore_verify::{Proof, Verified};

pub use self::expected::Expected;
use self::expected::{Answered, Folder, parse};
pub use self::walk::all_that_is_listed_is_there;

/// Runs every function of this module.
pub async fn run_all(source: &dyn ImageSource, expected: &Expected) {
    lookup_finds_what_is_there(source, expected).await;
    lookup_is_repeatable(source, expected).await;
    id_is_canonical(source, expected).await;
    answers_carry_proofs(source, expected).await;
    downloads_have_checks_and_plain_names(source, expected).await;
    unknown_path_is_not_found(source, expected).await;
    list_is_sorted_and_one_level(source, expected).await;
    listed_images_can_be_looked_up(source, expected).await;
    listings_hold_what_is_there(source, expected).await;
    listing_of_nothing_is_not_found(source, expected).await;
    all_that_is_listed_is_there(source, DEPTH).await;
}

/// Every name leads to the image or the referral that is known to be there.
pub async fn lookup_finds_what_is_there(source: &dyn ImageSource, expected: &Expected) {
    for name in &expected.names {
        match (lookup(source, name).await.into_inner(), &expected.answer) {
            (Lookup::Image(image), Answered::Image { build, roles }) => {
                assert_eq!(image.id.build(), build, "the build of {name}");
                let found: Vec<&FileRole> = image.files().map(|file| &file.role).collect();
                assert_eq!(
                    found,
                    roles.iter().collect::<Vec<_>>(),
                    "the files of {name}"
                );
            }
            (Lookup::Referral(referral), Answered::Referral { url, rest }) => {
                assert_eq!(
                    referral.remote.url().to_string(),
                    *url,
                    "where {name} leads"
                );
                assert_eq!(referral.rest, *rest, "what is left of {name}");
            }
            (found, wanted) => panic!("{name} should be {wanted:?}, is {found:?}"),
        }
    }
}

/// A second lookup of the same name gives the same answer.
pub async fn lookup_is_repeatable(source: &dyn ImageSource, expected: &Expected) {
    let name = expected.name();
    let first = lookup(source, name).await.into_inner();
    let second = lookup(source, name).await.into_inner();
    assert_eq!(gist(&first), gist(&second), "two lookups of {name}");
}

/// All names of an image give one id, with the id of the remote, a path that parses, and no part that is empty.
pub async fn id_is_canonical(source: &dyn ImageSource, expected: &Expected) {
    let mut first = None;
    for name in &expected.names {
        let Lookup::Image(image) = lookup(source, name).await.into_inner() else {
            return;
        };
        assert_eq!(
            image.id.remote(),
            source.remote().id(),
            "the remote in the id of {name}"
        );
        assert!(
            !image.id.build().is_empty(),
            "the id of {name} has no build"
        );
        let path: ImagePath = parse(image.id.path());
        assert!(!path.is_empty(), "the id of {name} has no path");
        let again = lookup(source, &path).await.into_inner();
        let Lookup::Image(again) = again else {
            panic!("{path}, the id of {name}, is no image")
        };
        assert_eq!(again.id, image.id, "{path} is the path in the id of {name}");
        let known = first.get_or_insert_with(|| image.id.clone());
        assert_eq!(
            *known,
            image.id,
            "{name} is another name for {}",
            expected.name()
        );
    }
}

/// Answers say why they may be believed, and nothing is believed by decree.
pub async fn answers_carry_proofs(source: &dyn ImageSource, expected: &Expected) {
    for name in &expected.names {
        believable(lookup(source, name).await.proofs(), name);
    }
    let root = ImagePath::default();
    let listing = source.list(&root).await;
    believable(
        listing
            .unwrap_or_else(|error| panic!("the root: {error}"))
            .proofs(),
        &root,
    );
}

/// Each download has a place, a file, a check, and names that are plain and differ.
pub async fn downloads_have_checks_and_plain_names(source: &dyn ImageSource, expected: &Expected) {
    for name in &expected.names {
        match lookup(source, name).await.into_inner() {
            Lookup::Image(image) => downloads_are_sound(&image, name),
            Lookup::Referral(referral) => referral_is_sound(&referral, source, name),
        }
    }
}

/// A path that names nothing is [`ErrorKind::NotFound`], and the error names it.
pub async fn unknown_path_is_not_found(source: &dyn ImageSource, expected: &Expected) {
    for path in &expected.missing {
        let error = match source.lookup(path).await {
            Ok(found) => panic!("{path} should not be there, is {:?}", found.into_inner()),
            Err(error) => error,
        };
        assert_eq!(error.kind(), ErrorKind::NotFound, "{path}: {error}");
        let named = path
            .segments()
            .iter()
            .any(|segment| error.to_string().contains(segment));
        assert!(
            named,
            "the error does not say what is missing ({path}): {error}"
        );
    }
}

/// Listings are sorted, without doubles, and all but aliases are one level deep.
pub async fn list_is_sorted_and_one_level(source: &dyn ImageSource, expected: &Expected) {
    let root = Folder {
        prefix: ImagePath::default(),
        names: BTreeSet::new(),
    };
    for Folder { prefix, .. } in expected.folders.iter().chain([&root]) {
        let Listing::Entries { entries, .. } = list(source, prefix).await.into_inner() else {
            continue;
        };
        entries_are_sorted_and_one_level(&entries, prefix);
    }
}

fn entries_are_sorted_and_one_level(entries: &[Entry], prefix: &ImagePath) {
    for pair in entries.windows(2) {
        let (one, next) = (&pair[0].name, &pair[1].name);
        assert!(
            one < next,
            "the listing of `{prefix}` has `{next}` behind `{one}`"
        );
    }
    for entry in entries {
        let path = parse(&entry.name);
        let depth = path.segments().len();
        let deep = entry.kind == EntryKind::Alias && depth > 1;
        assert!(
            depth == 1 || deep,
            "`{}` in the listing of `{prefix}`",
            entry.name
        );
    }
}

/// What a listing calls an image or an alias can be looked up.
pub async fn listed_images_can_be_looked_up(source: &dyn ImageSource, expected: &Expected) {
    let root = Folder {
        prefix: ImagePath::default(),
        names: BTreeSet::new(),
    };
    for Folder { prefix, .. } in expected.folders.iter().chain([&root]) {
        let Listing::Entries { entries, .. } = list(source, prefix).await.into_inner() else {
            continue;
        };
        for entry in entries {
            if matches!(entry.kind, EntryKind::Image | EntryKind::Alias) {
                lookup(source, &join(prefix, &entry.name)).await;
            }
        }
    }
}

/// Listings hold exactly the names that are known to be there.
pub async fn listings_hold_what_is_there(source: &dyn ImageSource, expected: &Expected) {
    for Folder { prefix, names } in &expected.folders {
        match list(source, prefix).await.into_inner() {
            Listing::Entries { entries, .. } => {
                let found: BTreeSet<String> = entries.into_iter().map(|entry| entry.name).collect();
                assert_eq!(found, *names, "the listing of `{prefix}`");
            }
            Listing::Referral(referral) => panic!("the listing of `{prefix}` is {referral:?}"),
        }
    }
}

/// A listing below a path that names nothing is [`ErrorKind::NotFound`], not empty.
pub async fn listing_of_nothing_is_not_found(source: &dyn ImageSource, expected: &Expected) {
    for path in &expected.missing {
        match source.list(path).await.map(Verified::into_inner) {
            Ok(Listing::Entries { entries, .. }) => {
                panic!(
                    "the listing of `{path}`, which is not there, has {} entries",
                    entries.len()
                )
            }
            // The remote that is referred to will say it.
            Ok(Listing::Referral(_)) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{path}: {error}"),
        }
    }
}

async fn lookup(source: &dyn ImageSource, path: &ImagePath) -> Verified<Lookup> {
    let answer = source.lookup(path).await;
    answer.unwrap_or_else(|error| panic!("lookup of `{path}`: {}", chain(&error)))
}

async fn list(source: &dyn ImageSource, prefix: &ImagePath) -> Verified<Listing> {
    let answer = source.list(prefix).await;
    answer.unwrap_or_else(|error| panic!("listing of `{prefix}`: {}", chain(&error)))
}

fn downloads_are_sound(image: &Image, name: &ImagePath) {
    assert!(!image.downloads.is_empty(), "{name} has no downloads");
    let mut names = BTreeSet::new();
    for download in &image.downloads {
        assert!(
            !download.locations.is_empty(),
            "a download of {name} has no place"
        );
        assert!(
            !download.files.is_empty(),
            "a download of {name} has no file"
        );
        assert!(
            !download.checks.is_empty(),
            "a download of {name} has no check"
        );
        for check in &download.checks {
            if let Check::Signature { locations, .. } = check {
                let (found, wanted) = (locations.len(), download.locations.len());
                assert_eq!(
                    found, wanted,
                    "signatures beside the places of a download of {name}"
                );
            }
        }
        for file in &download.files {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-+~".contains(&b);
            let fine = file.name.bytes().all(plain) && !file.name.is_empty();
            assert!(
                fine && !file.name.starts_with('.'),
                "`{}` is no plain name",
                file.name
            );
            assert!(
                names.insert(file.name.clone()),
                "{name} has two files `{}`",
                file.name
            );
        }
    }
}

fn referral_is_sound(referral: &Referral, source: &dyn ImageSource, name: &ImagePath) {
    let (from, to) = (source.remote(), &referral.remote);
    assert_ne!(
        from.url(),
        to.url(),
        "{name} leads back to where it was asked for"
    );
    assert!(
        !to.url().protocol().is_empty(),
        "{name} leads to no protocol"
    );
}

fn believable(proofs: &[Proof], what: &ImagePath) {
    assert!(!proofs.is_empty(), "the answer to `{what}` has no proof");
    let vouched = proofs
        .iter()
        .any(|proof| matches!(proof, Proof::Vouched { .. }));
    assert!(!vouched, "the answer to `{what}` is believed by decree");
}

/// What two equal answers have in common, as text.
fn gist(answer: &Lookup) -> String {
    match answer {
        Lookup::Image(image) => {
            let places: Vec<_> = image
                .downloads
                .iter()
                .map(|download| &download.locations)
                .collect();
            format!(
                "{} {places:?} {:?} {:?}",
                image.id, image.properties, image.expires_at
            )
        }
        Lookup::Referral(referral) => format!("{} {}", referral.remote.url(), referral.rest),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!("\n  caused by: {cause}"));
        next = cause.source();
    }
    text
}

fn join(prefix: &ImagePath, name: &str) -> ImagePath {
    let mut segments = prefix.segments().to_vec();
    segments.extend(parse(name).segments().iter().cloned());
    ImagePath::from_segments(segments).expect("made of two paths")
}

const DEPTH: usize = 6;
