use std::collections::{BTreeMap, BTreeSet};

use crate::error::{ParseError, Skipped, form};
use crate::json::{Object, parse};

/// What the `channels.json` of a server says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Channels {
    channels: BTreeMap<String, Channel>,
    skipped: Vec<Skipped>,
}

impl Channels {
    /// The channels in these bytes, which must have been checked. One that cannot be used is left
    /// out and noted.
    ///
    /// # Errors
    /// [`ParseError`] if they are no list of channels, or if nothing of it is left.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let document: Object<'_> = parse(bytes).map_err(|problem| form(WHAT, problem))?;
        let mut found = Self::default();
        for (name, value) in document.iter() {
            match Object::of(value).and_then(|object| channel(&object, name, &mut found.skipped)) {
                Ok(channel) => {
                    found.channels.insert(name.to_owned(), channel);
                }
                Err(problem) => found.skipped.push(Skipped {
                    entry: format!("channel `{}`", imagestore_core::printable(name)),
                    problem,
                }),
            }
        }
        if let (true, Some(first)) = (found.channels.is_empty(), found.skipped.first()) {
            return Err(ParseError::NothingLeft {
                what: WHAT,
                count: found.skipped.len(),
                problem: first.to_string(),
            });
        }
        Ok(found)
    }

    /// The channel of this name.
    #[must_use]
    pub fn channel(&self, name: &str) -> Option<&Channel> {
        self.channels.get(name)
    }

    /// All channels by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Channel)> {
        self.channels
            .iter()
            .map(|(name, channel)| (name.as_str(), channel))
    }

    /// What was left out.
    #[must_use]
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// The names of the channels that have a device and are to be shown for it: not hidden, no
    /// alias, not redirected.
    pub fn for_device<'a>(&'a self, device: &'a str) -> impl Iterator<Item = &'a str> {
        self.iter()
            .filter(move |(_, channel)| {
                channel.devices.contains_key(device)
                    && !channel.hidden
                    && channel.alias.is_none()
                    && channel.redirect.is_none()
            })
            .map(|(name, _)| name)
    }

    /// The channels a name stands for: itself, then what its aliases and redirects lead to.
    ///
    /// # Errors
    /// The name at which they go in a circle or the way becomes longer than eight.
    pub fn names_of(&self, name: &str) -> Result<Vec<String>, String> {
        let mut names = vec![name.to_owned()];
        let mut known = BTreeSet::from([name]);
        let mut at = self.channel(name);
        while let Some(channel) = at {
            let Some(next) = channel.alias.as_deref().or(channel.redirect.as_deref()) else {
                break;
            };
            if !known.insert(next) || names.len() > MAX_ALIASES {
                return Err(next.to_owned());
            }
            names.push(next.to_owned());
            at = self.channel(next);
        }
        Ok(names)
    }
}

/// A channel: a line of builds for each of some devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Channel {
    /// The devices by name.
    pub devices: BTreeMap<String, Device>,
    /// The channel whose images this one mirrors.
    pub alias: Option<String>,
    /// The channel that took its place.
    pub redirect: Option<String>,
    /// Whether it is left out of listings.
    pub hidden: bool,
}

/// Where the builds for a device are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Device {
    /// The path of the index. It is used as it is, never built: redirects point elsewhere.
    pub index: String,
    /// Who else may sign for this device.
    pub keyring: Option<DeviceKeyring>,
    /// The channel that took the place of this one for the device.
    pub redirect: Option<String>,
}

/// Where the keyring of a device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceKeyring {
    /// The path of the tarball.
    pub path: String,
    /// The path of its signature.
    pub signature: String,
}

fn channel(object: &Object<'_>, name: &str, skipped: &mut Vec<Skipped>) -> Result<Channel, String> {
    let mut devices = BTreeMap::new();
    for (device_name, value) in object.object("devices")?.iter() {
        match Object::of(value).and_then(|object| device(&object)) {
            Ok(device) => {
                devices.insert(device_name.to_owned(), device);
            }
            Err(problem) => {
                let entry = format!("device `{device_name}` of channel `{name}`");
                skipped.push(Skipped {
                    entry: imagestore_core::printable(&entry),
                    problem,
                });
            }
        }
    }
    Ok(Channel {
        devices,
        alias: object.optional("alias")?,
        redirect: object.optional("redirect")?,
        hidden: object.optional("hidden")?.unwrap_or(false),
    })
}

fn device(object: &Object<'_>) -> Result<Device, String> {
    let keyring = match object.raw("keyring") {
        Some(value) if value.get() != "null" => {
            let keyring = Object::of(value).map_err(|problem| format!("`keyring`: {problem}"))?;
            Some(DeviceKeyring {
                path: keyring.required("path")?,
                signature: keyring.required("signature")?,
            })
        }
        _ => None,
    };
    Ok(Device {
        index: object.required("index")?,
        keyring,
        redirect: object.optional("redirect")?,
    })
}

const WHAT: &str = "a list of channels";
const MAX_ALIASES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_aliases_redirects_and_device_keyrings() {
        let channels = Channels::parse(
            br#"{
              "24.04-1.x/arm64/android9plus/daily": {"devices": {"vidofnir": {
                "index": "/d/vidofnir/index.json",
                "keyring": {"path": "/d/k.tar.xz", "signature": "/d/k.tar.xz.asc"}}}},
              "daily": {"devices": {"vidofnir": {"index": "/x/index.json"}},
                "alias": "24.04-1.x/arm64/android9plus/daily", "later": {"unknown": 1}},
              "old": {"devices": {}, "redirect": "daily", "hidden": true},
              "older": {"devices": {}, "redirect": "old", "hidden": null}
            }"#,
        )
        .expect("channels");
        assert!(channels.skipped().is_empty());
        let device = &channels
            .channel("24.04-1.x/arm64/android9plus/daily")
            .expect("there")
            .devices["vidofnir"];
        assert_eq!(device.keyring.as_ref().expect("there").path, "/d/k.tar.xz");
        assert!(channels.channel("old").expect("there").hidden);
        assert!(!channels.channel("older").expect("there").hidden);
        assert_eq!(
            channels.for_device("vidofnir").collect::<Vec<_>>(),
            ["24.04-1.x/arm64/android9plus/daily"]
        );
        assert_eq!(
            channels.names_of("older").expect("no circle"),
            [
                "older",
                "old",
                "daily",
                "24.04-1.x/arm64/android9plus/daily"
            ]
        );
    }

    #[test]
    fn leaves_out_what_is_broken_and_keeps_the_rest() {
        let channels = Channels::parse(
            br#"{"good": {"devices": {"a": {"index": "/i"}, "b": {}, "c": {"index": 1}}},
                 "bad": {}, "worse": [], "hidden": {"devices": {}, "hidden": "yes"},
                 "keyring": {"devices": {"a": {"index": "/i", "keyring": {"path": "/k"}}}}}"#,
        )
        .expect("some are good");
        let left: Vec<_> = channels.iter().map(|(name, _)| name).collect();
        assert_eq!(left, ["good", "keyring"]);
        let problems: Vec<_> = channels.skipped().iter().map(ToString::to_string).collect();
        assert_eq!(
            problems[0],
            "channel `bad` is left out: `devices` is missing"
        );
        assert_eq!(
            problems[1],
            "device `b` of channel `good` is left out: `index` is missing"
        );
        // A device whose keyring is only half named would lose a key, so it goes as a whole.
        assert!(
            channels
                .channel("keyring")
                .expect("there")
                .devices
                .is_empty()
        );
        assert!(Channels::parse(br#"{"bad": {}}"#).is_err());
        assert!(
            Channels::parse(b"{}")
                .expect("empty")
                .iter()
                .next()
                .is_none()
        );
    }

    #[test]
    fn finds_circles_of_aliases() {
        let channels = Channels::parse(
            br#"{"a": {"devices": {}, "alias": "b"}, "b": {"devices": {}, "redirect": "a"},
                 "self": {"devices": {}, "alias": "self"}, "lost": {"devices": {}, "alias": "x"}}"#,
        )
        .expect("channels");
        assert_eq!(channels.names_of("a"), Err("a".to_owned()));
        assert_eq!(channels.names_of("self"), Err("self".to_owned()));
        assert_eq!(
            channels.names_of("lost"),
            Ok(vec!["lost".to_owned(), "x".to_owned()])
        );
        let long: Vec<String> = (0..10_000)
            .map(|n| format!(r#""{n}": {{"devices": {{}}, "alias": "{}"}}"#, n + 1))
            .collect();
        let channels =
            Channels::parse(format!("{{{}}}", long.join(",")).as_bytes()).expect("channels");
        assert_eq!(channels.names_of("0"), Err("9".to_owned()));
    }
}
