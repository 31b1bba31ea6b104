use std::collections::BTreeMap;

use imagestore_core::{Entry, EntryKind, Error, ErrorKind, ImagePath, Result};

use crate::channels::Channels;
use crate::index::Index;

/// What a path names: `CHANNEL/DEVICE`, and perhaps a version of it or the way from one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// As the server calls it: with the base of the remote.
    pub(crate) channel: String,
    pub(crate) device: String,
    pub(crate) wanted: Wanted,
    /// As the user calls both.
    pub(crate) path: String,
}

/// Which build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// `BASE..` or `BASE..VERSION`: what leads from an installed build to the newest or that one.
    From { base: u32, to: Option<u32> },
    /// Nothing said: the newest.
    Newest,
    /// `VERSION`.
    Version(u32),
}

impl Wanted {
    fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| {
            let plain = text.bytes().all(|b| b.is_ascii_digit()) && text.len() <= 5;
            plain.then(|| text.parse::<u32>().ok()).flatten()
        };
        match text.split_once("..") {
            None => number(text).map(Self::Version),
            Some((base, "")) => Some(Self::From {
                base: number(base)?,
                to: None,
            }),
            Some((base, to)) => Some(Self::From {
                base: number(base)?,
                to: Some(number(to)?),
            }),
        }
    }
}

/// The channels below the base of a remote.
pub(crate) struct Named<'a> {
    channels: &'a Channels,
    base: Option<&'a str>,
}

/// What lies below a path.
#[derive(Debug)]
pub(crate) enum Below {
    Entries(Vec<Entry>),
    /// The versions of this, which only its index knows.
    Versions(Name),
}

impl<'a> Named<'a> {
    pub(crate) fn new(channels: &'a Channels, base: Option<&'a str>) -> Self {
        Self { channels, base }
    }

    /// What a path names. Channels may have slashes, so the longest channel that has the device
    /// counts.
    pub(crate) fn find(&self, path: &ImagePath) -> Result<Name> {
        let segments = path.segments();
        let Some((last, before)) = segments.split_last() else {
            return Err(not_found("no channel is named", path)
                .with_remedy("write it as CHANNEL/DEVICE or CHANNEL/DEVICE/VERSION"));
        };
        if let Some(name) = self.device(before, last, Wanted::Newest) {
            return Ok(name);
        }
        let wanted = Wanted::parse(last);
        if let (Some((device, channel)), Some(wanted)) = (before.split_last(), wanted)
            && let Some(name) = self.device(channel, device, wanted)
        {
            return Ok(name);
        }
        Err(self.missing(path))
    }

    /// What lies one level below a path, sorted by name.
    pub(crate) fn below(&self, prefix: &ImagePath) -> Result<Below> {
        let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
        let mut exists = prefix.is_empty();
        for (name, channel) in self.channels.iter() {
            let Some(path) = self.shown(name) else {
                continue;
            };
            let Some(rest) = path.strip_prefix(prefix) else {
                continue;
            };
            exists |= !rest.is_empty() || path == *prefix;
            let Some((first, deeper)) = rest.split_first() else {
                for device in channel.devices.keys().filter(|name| is_segment(name)) {
                    let entry = Entry::new(device.as_str(), EntryKind::Image);
                    entries.insert(device.clone(), entry);
                }
                continue;
            };
            if channel.hidden || entries.contains_key(first) {
                continue;
            }
            let mut entry = Entry::new(first, EntryKind::Folder);
            if deeper.is_empty() {
                for (property, target) in
                    [("alias", &channel.alias), ("redirect", &channel.redirect)]
                {
                    if let Some(target) = target {
                        entry = entry
                            .with_description(Some(format!("{property} for {target}")))
                            .with_property(property, target.as_str());
                    }
                }
            }
            entries.insert(first.to_owned(), entry);
        }
        if exists {
            return Ok(Below::Entries(entries.into_values().collect()));
        }
        match self.find(prefix)? {
            name @ Name {
                wanted: Wanted::Newest,
                ..
            } => Ok(Below::Versions(name)),
            _ => Ok(Below::Entries(Vec::new())),
        }
    }

    fn device(&self, channel: &[String], device: &str, wanted: Wanted) -> Option<Name> {
        let path = channel.join("/");
        let channel = self.full(&path);
        let found = self.channels.channel(&channel)?;
        found.devices.contains_key(device).then(|| Name {
            path: format!("{path}/{device}"),
            channel,
            device: device.to_owned(),
            wanted,
        })
    }

    fn missing(&self, path: &ImagePath) -> Error {
        let segments = path.segments();
        for cut in [segments.len() - 1, segments.len().saturating_sub(2)] {
            let (channel, rest) = segments.split_at(cut);
            let shown = channel.join("/");
            let versioned = rest.len() == 2 && Wanted::parse(&rest[1]).is_none();
            if channel.is_empty() || versioned {
                continue;
            }
            if let Some(found) = self.channels.channel(&self.full(&shown)) {
                let known: Vec<_> = found.devices.keys().map(String::as_str).collect();
                let error = not_found(&format!("no such device in channel `{shown}`"), &rest[0]);
                return match known.len() {
                    0 => error.with_remedy("the channel has no devices"),
                    1..=12 => error.with_remedy(format!("it has {}", known.join(", "))),
                    count => error.with_remedy(format!("it has {count} others; list it")),
                };
            }
        }
        if self
            .channels
            .channel(&self.full(&path.to_string()))
            .is_some()
        {
            return not_found("a channel and no image", path)
                .with_remedy("add a device: CHANNEL/DEVICE");
        }
        not_found("no such channel", path).with_remedy("list the remote to see its channels")
    }

    fn full(&self, path: &str) -> String {
        match self.base {
            Some(base) => format!("{base}/{path}"),
            None => path.to_owned(),
        }
    }

    /// The name of a channel below the base as a path, if it is one.
    fn shown(&self, channel: &str) -> Option<ImagePath> {
        let below = match self.base {
            Some(base) => channel.strip_prefix(base)?.strip_prefix('/')?,
            None => channel,
        };
        let path: ImagePath = below.parse().ok()?;
        // A slash at the end would make two names for one channel.
        (!path.is_empty() && path.to_string() == below).then_some(path)
    }
}

/// The versions that can be fetched without anything installed.
pub(crate) fn versions(index: &Index) -> Vec<Entry> {
    let mut reached: BTreeMap<u32, Entry> = BTreeMap::new();
    let mut builds: Vec<_> = index.builds().iter().collect();
    builds.sort_by_key(|build| build.version);
    for build in builds {
        let usable = match build.base() {
            Some(base) => reached.contains_key(&base),
            None => build.minimum <= 0,
        };
        if usable {
            let entry = Entry::new(build.version.to_string(), EntryKind::Image);
            let entry = match build.descriptions.get("description") {
                Some(text) => entry.with_description(Some(text.clone())),
                None => entry,
            };
            reached.entry(build.version).or_insert(entry);
        }
    }
    let mut entries: Vec<_> = reached.into_values().collect();
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    entries
}

fn is_segment(name: &str) -> bool {
    ImagePath::from_segments([name]).is_ok()
}

fn not_found(message: &str, subject: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::NotFound, message).with_subject(format_args!("`{subject}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channels() -> Channels {
        Channels::parse(
            br#"{"a": {"devices": {"d": {"index": "/a"}, "24": {"index": "/a"}}},
                 "a/d": {"devices": {"7": {"index": "/ad"}}},
                 "core/devel": {"devices": {"d": {"index": "/c"}}, "hidden": true},
                 "core/edge": {"devices": {"d": {"index": "/c"}}, "alias": "core/devel"}}"#,
        )
        .expect("channels")
    }

    #[test]
    fn the_longest_channel_that_has_the_device_counts() {
        let channels = channels();
        let named = Named::new(&channels, None);
        for (path, channel, device, wanted) in [
            ("a/d", "a", "d", Wanted::Newest),
            ("a/d/6", "a", "d", Wanted::Version(6)),
            ("a/d/7", "a/d", "7", Wanted::Newest),
            ("a/d/7/8", "a/d", "7", Wanted::Version(8)),
            ("a/24", "a", "24", Wanted::Newest),
            ("a/d/6..", "a", "d", Wanted::From { base: 6, to: None }),
            (
                "a/d/6..9",
                "a",
                "d",
                Wanted::From {
                    base: 6,
                    to: Some(9),
                },
            ),
            ("core/devel/d", "core/devel", "d", Wanted::Newest),
        ] {
            let name = named.find(&path.parse().expect("a path")).expect(path);
            assert_eq!(
                (name.channel.as_str(), name.device.as_str(), name.wanted),
                (channel, device, wanted),
                "{path}"
            );
        }
    }

    #[test]
    fn says_what_is_missing() {
        let channels = channels();
        let named = Named::new(&channels, None);
        for (path, message) in [
            (
                "x/d",
                "no such channel: `x/d`; list the remote to see its channels",
            ),
            ("a/e", "no such device in channel `a`: `e`; it has 24, d"),
            ("a/e/7", "no such device in channel `a`: `e`; it has 24, d"),
            (
                "a/d/latest",
                "no such device in channel `a/d`: `latest`; it has 7",
            ),
            (
                "core/devel",
                "a channel and no image: `core/devel`; add a device: CHANNEL/DEVICE",
            ),
        ] {
            let error = named.find(&path.parse().expect("a path")).expect_err(path);
            assert_eq!(
                (error.kind(), error.to_string().as_str()),
                (ErrorKind::NotFound, message)
            );
        }
    }

    #[test]
    fn a_base_shows_only_what_is_below_it() {
        let channels = channels();
        let named = Named::new(&channels, Some("core"));
        let name = named
            .find(&"devel/d".parse().expect("a path"))
            .expect("there");
        assert_eq!(
            (name.channel.as_str(), name.path.as_str()),
            ("core/devel", "devel/d")
        );
        assert!(named.find(&"a/d".parse().expect("a path")).is_err());
        let Below::Entries(entries) = named.below(&ImagePath::default()).expect("there") else {
            panic!("channels")
        };
        let names: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["edge"], "devel is hidden");
        assert_eq!(entries[0].properties["alias"], "core/devel");
    }
}
