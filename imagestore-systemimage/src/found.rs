use imagestore_core::{Error, ErrorKind, Result};

use crate::channels::{Channels, Device, DeviceKeyring};
use crate::files::Layer;
use crate::index::Index;
use crate::name::{Name, Wanted};
use crate::plan::{Outcome, Plan};

/// What a path leads to.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) name: Name,
    pub(crate) layers: Vec<Layer>,
    pub(crate) build: String,
    pub(crate) version: u32,
    pub(crate) base: Option<u32>,
    pub(crate) formats: bool,
    pub(crate) explanation: String,
    pub(crate) detail: String,
    /// The channels that the version tarball may name.
    pub(crate) accepted: Vec<String>,
}

/// Why a plan has no winner, without the build it starts from.
pub(crate) struct Why<'a>(pub(crate) &'a Plan<'a>);

impl std::fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.outcome() {
            Outcome::Update => f.write_str("nothing is left of the plan"),
            outcome => outcome.fmt(f),
        }
    }
}

pub(crate) fn device<'a>(channels: &'a Channels, named: &Name) -> Result<&'a Device> {
    let channel = channels.channel(&named.channel);
    channel
        .and_then(|channel| channel.devices.get(&named.device))
        .ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "no such device")
                .with_subject(format_args!("`{}`", named.path))
        })
}

/// The keyring that the channels name for the device. A redirect is a copy of the entry it leads to
/// without the keyring, so for the same device and the same index that of the target counts.
pub(crate) fn keyring<'a>(
    channels: &'a Channels,
    named: &Name,
) -> Result<Option<&'a DeviceKeyring>> {
    let own = device(channels, named)?;
    if own.keyring.is_some() {
        return Ok(own.keyring.as_ref());
    }
    let whole = channels.channel(&named.channel);
    let target = own
        .redirect
        .as_ref()
        .or(whole.and_then(|channel| channel.redirect.as_ref()));
    let there = target
        .and_then(|target| channels.channel(target))
        .and_then(|channel| channel.devices.get(&named.device))
        .filter(|there| there.index == own.index);
    Ok(there.and_then(|there| there.keyring.as_ref()))
}

/// The channels that a build found in this place may name as its own.
pub(crate) fn accepted(channels: &Channels, named: &Name) -> Result<Vec<String>> {
    let mut names = channels.names_of(&named.channel).map_err(|at| {
        Error::new(
            ErrorKind::Malformed,
            format!(
                "the aliases of channel `{}` go in a circle at `{at}`",
                named.channel
            ),
        )
    })?;
    let device = device(channels, named)?;
    names.extend(device.redirect.clone());
    // Where the index lies tells the channel it is of.
    let own = device.index.trim_start_matches('/');
    let suffix = format!("/{}/index.json", named.device);
    names.extend(own.strip_suffix(&suffix).map(str::to_owned));
    names.dedup();
    Ok(names)
}

/// The index without what lies above a version that was asked for.
pub(crate) fn bounded(index: &Index, named: &Name) -> Result<Index> {
    let highest = match named.wanted {
        Wanted::Version(version) => Some(version),
        Wanted::From { to, .. } => to,
        Wanted::Newest => None,
    };
    Ok(match highest {
        Some(highest) => index.up_to(highest),
        None => index.clone(),
    })
}

/// Which build it is: its version, with the way to it where that decides which files there are.
pub(crate) fn build_name(plan: &Plan<'_>) -> String {
    let versions: Vec<_> = plan
        .until_reboot()
        .map(|build| build.version.to_string())
        .collect();
    let way = versions.join("+");
    match plan.until_reboot().next().and_then(crate::Build::base) {
        Some(base) => format!("{base}..{way}"),
        None => way,
    }
}

pub(crate) fn too_many_ways(cause: crate::TooManyWays) -> Error {
    Error::new(ErrorKind::TooLarge, "cannot be planned").with_source(cause)
}
