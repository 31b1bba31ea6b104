//! Which image has which name: readers refuse one that leads to several.

use std::collections::{BTreeMap, BTreeSet};

use super::contents::own_names;
use super::documents::Listed;
use super::item::Kind;
use crate::build_id::BuildId;
use crate::image_name::ImageName;

/// The names that images ask for and others have, each with the other.
#[derive(Debug, Default)]
pub(super) struct Withheld<'a>(BTreeMap<(&'a ImageName, &'a str), &'a ImageName>);

impl<'a> Withheld<'a> {
    /// Gives each name to one image per architecture and kind. Names that describe an image are its own; the newest
    /// build decides about others.
    pub(super) fn of_all(listed: &'a Listed) -> Self {
        let mut claims: Vec<Claim<'a>> = Vec::new();
        for (image, versions) in listed {
            let Some((build, newest)) = versions.first() else {
                continue;
            };
            let own = own_names(image);
            let kinds = versions.iter().flat_map(|(_, version)| version.kinds());
            let kinds: BTreeSet<Kind> = kinds.collect();
            claims.extend(newest.aliases.iter().map(|alias| Claim {
                is_own: own.contains(alias),
                build: *build,
                image,
                alias,
                kinds: kinds.clone(),
            }));
        }
        claims.sort_by(|one, other| other.rank().cmp(&one.rank()));
        let mut withheld = Self::default();
        let mut held: BTreeMap<_, &'a ImageName> = BTreeMap::new();
        for claim in claims {
            let Claim { image, alias, .. } = claim;
            let place = |kind: &Kind| (alias, image.architecture(), *kind);
            let holder = claim.kinds.iter().find_map(|kind| held.get(&place(kind)));
            match holder.copied() {
                Some(holder) => drop(withheld.0.insert((image, alias), holder)),
                None => held.extend(claim.kinds.iter().map(|kind| (place(kind), image))),
            }
        }
        withheld
    }

    /// Whether another image has this name.
    pub(super) fn is_withheld(&self, image: &ImageName, alias: &str) -> bool {
        self.0.contains_key(&(image, alias))
    }

    /// The names an image asks for and others have.
    pub(super) fn from(&self, image: &ImageName) -> BTreeMap<String, ImageName> {
        let own = self.0.iter().filter(|((from, _), _)| *from == image);
        own.map(|((_, alias), holder)| ((*alias).to_owned(), (*holder).clone()))
            .collect()
    }
}

/// A name, and an image that asks for it.
struct Claim<'a> {
    is_own: bool,
    build: BuildId,
    image: &'a ImageName,
    alias: &'a str,
    kinds: BTreeSet<Kind>,
}

impl<'a> Claim<'a> {
    fn rank(&self) -> (bool, BuildId, &'a ImageName) {
        (self.is_own, self.build, self.image)
    }
}
