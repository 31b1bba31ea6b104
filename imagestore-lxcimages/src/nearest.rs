//! "No such image; nearest: …".

use std::collections::BTreeSet;

/// What to say to somebody who asked for `wanted` where there is only this, all below `folder`.
pub(crate) fn suggestion(folder: &[&str], wanted: &str, there: &BTreeSet<&str>) -> String {
    let shown = |name: &str| {
        let mut path = folder.to_vec();
        path.push(name);
        path.join("/")
    };
    let lower = wanted.to_lowercase();
    let most = (lower.chars().count() / 3).max(1);
    let mut near: Vec<_> = there
        .iter()
        .take(MAX_COMPARED)
        .map(|name| (distance(&lower, &name.to_lowercase()), *name))
        .filter(|(distance, _)| *distance <= most)
        .collect();
    near.sort_unstable();
    if !near.is_empty() {
        let names: Vec<_> = near
            .into_iter()
            .take(MAX_NEAREST)
            .map(|(_, name)| shown(name))
            .collect();
        return format!("nearest: {}", names.join(", "));
    }
    let names: Vec<_> = there
        .iter()
        .take(MAX_LISTED)
        .map(|name| shown(name))
        .collect();
    match there.len() - names.len() {
        0 => format!("there is {}", names.join(", ")),
        more => format!("there is {} and {more} more", names.join(", ")),
    }
}

/// How many characters must be put in, taken out or changed to make one name of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().take(MAX_LENGTH).collect();
    let mut costs: Vec<usize> = (0..=other.len()).collect();
    for (row, a) in one.chars().take(MAX_LENGTH).enumerate() {
        let mut diagonal = row;
        let mut left = row + 1;
        for (cost, b) in costs.iter_mut().skip(1).zip(&other) {
            let changed = diagonal + usize::from(a != *b);
            diagonal = *cost;
            *cost = changed.min(diagonal + 1).min(left + 1);
            left = *cost;
        }
        if let Some(first) = costs.first_mut() {
            *first = row + 1;
        }
    }
    costs.last().copied().unwrap_or(0)
}

const MAX_NEAREST: usize = 3;
const MAX_LISTED: usize = 8;
// An index can hold a million names of 255 bytes; an error message is not worth comparing them all.
const MAX_COMPARED: usize = 10_000;
const MAX_LENGTH: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_changes() {
        for (one, other, wanted) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("trusty", "trusy", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(one, other), wanted, "{one} {other}");
        }
    }

    #[test]
    fn prefers_near_names_and_ignores_case() {
        let there = BTreeSet::from(["Buster", "bookworm", "sid"]);
        assert_eq!(
            suggestion(&["Debian"], "buster", &there),
            "nearest: Debian/Buster"
        );
        assert_eq!(
            suggestion(&["Debian"], "bokworm", &there),
            "nearest: Debian/bookworm"
        );
        assert_eq!(
            suggestion(&["Debian"], "trixie", &there),
            "there is Debian/Buster, Debian/bookworm, Debian/sid"
        );
        let names: Vec<String> = (10..40).map(|n| format!("name{n}")).collect();
        let many = names.iter().map(String::as_str).collect();
        assert_eq!(
            suggestion(&[], "x", &many),
            "there is name10, name11, name12, name13, name14, name15, name16, name17 and 22 more"
        );
        assert_eq!(
            suggestion(&[], "name10", &many),
            "nearest: name10, name11, name12"
        );
    }
}
