use std::collections::BTreeSet;

use crate::channel_ini::ChannelIni;
use crate::channels::Channels;
use crate::index::Build;

/// What is installed, and what is wanted.
///
/// # Defaults
/// No filter, no maximum, a device that every build above 0 % is offered to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    build: u32,
    device_phase: u32,
    filter: Option<Filter>,
    maximum: Option<i64>,
    avoided: BTreeSet<(u32, Option<u32>)>,
}

impl Request {
    /// An upgrade of the installed build of this number; 0 if nothing is installed.
    #[must_use]
    pub fn new(build: u32) -> Self {
        Self {
            build,
            ..Self::default()
        }
    }

    /// An upgrade of what is installed, by its own word.
    ///
    /// A device on an alias remembers what the alias stood for when it was installed. If it stands
    /// for another channel by this time, the builds of the two do not follow on each other, and the
    /// device starts from nothing. A build that is named wins over both.
    #[must_use]
    pub fn for_installed(installed: &ChannelIni, channels: &Channels, build: Option<u32>) -> Self {
        let channel = channels.channel(&installed.channel);
        let alias = channel.and_then(|channel| channel.alias.as_ref());
        let switched = match (alias, &installed.channel_target) {
            (Some(alias), Some(target)) => alias != target,
            _ => false,
        };
        let there = if switched { 0 } else { installed.build_number };
        Self::new(build.unwrap_or(there))
    }

    /// The percentage of the device, see [`phase`](crate::phase()). With 0 only withdrawn builds are
    /// not offered.
    #[must_use]
    pub fn with_device_phase(mut self, percentage: u32) -> Self {
        self.device_phase = percentage;
        self
    }

    /// Which images may be used.
    #[must_use]
    pub fn with_filter(mut self, filter: Option<Filter>) -> Self {
        self.filter = filter;
        self
    }

    /// Images of a higher version are dropped from the winner. Nothing is planned anew.
    #[must_use]
    pub fn with_maximum(mut self, maximum: Option<i64>) -> Self {
        self.maximum = maximum;
        self
    }

    /// Plans around an image that turned out to be unusable: missing, damaged, not applicable.
    #[must_use]
    pub fn without(mut self, build: &Build) -> Self {
        self.avoided.insert((build.version, build.base()));
        self
    }

    /// The installed build.
    #[must_use]
    pub fn build(&self) -> u32 {
        self.build
    }

    pub(crate) fn device_phase(&self) -> u32 {
        self.device_phase
    }

    pub(crate) fn maximum(&self) -> Option<i64> {
        self.maximum
    }

    pub(crate) fn filter(&self) -> Option<Filter> {
        self.filter
    }

    pub(crate) fn avoids(&self, version: u32, base: u32) -> bool {
        self.avoided.contains(&(version, Some(base)))
    }

    pub(crate) fn avoids_full(&self, version: u32) -> bool {
        self.avoided.contains(&(version, None))
    }
}

/// Which images of a path may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Deltas only.
    Delta,
    /// One full image only.
    Full,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_that_stands_for_another_channel_starts_from_nothing() {
        let channels = Channels::parse(
            br#"{"devel": {"devices": {}, "alias": "utopic"}, "utopic": {"devices": {}}}"#,
        )
        .expect("channels");
        for (channel, target, given, build) in [
            ("devel", "channel_target: trusty", None, 0),
            ("devel", "channel_target: utopic", None, 7),
            ("devel", "", None, 7),
            ("utopic", "channel_target: trusty", None, 7),
            ("devel", "channel_target: trusty", Some(5), 5),
        ] {
            let text =
                format!("[service]\nchannel: {channel}\ndevice: mako\nbuild_number: 7\n{target}\n");
            let ini = ChannelIni::parse(text.as_bytes()).expect("an ini file");
            let request = Request::for_installed(&ini, &channels, given);
            assert_eq!(request.build(), build, "{channel} {target}");
        }
    }
}
