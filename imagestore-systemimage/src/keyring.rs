use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;
use imagestore_core::{Error, ErrorKind, Result};
use imagestore_unpack::{Member, MemberLimits, read_members_from_bytes};
use imagestore_verify::{Channel, Fingerprint, Keyring, Unverified, Verified, trust_channel};

use crate::date;
use crate::json::{Object, parse};
use crate::packets::without_subkeys;

/// What the keys of a keyring may sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyringKind {
    /// Image-master keyrings, and its own. It is pinned, and never downloaded.
    ArchiveMaster,
    /// Nothing: its keys count no more.
    Blacklist,
    /// The index and the files of one device.
    DeviceSigning,
    /// Image-signing keyrings and the blacklist.
    ImageMaster,
    /// Channels, device-signing keyrings, indexes and files.
    ImageSigning,
}

impl KeyringKind {
    /// Its name in `keyring.json`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ArchiveMaster => "archive-master",
            Self::Blacklist => "blacklist",
            Self::DeviceSigning => "device-signing",
            Self::ImageMaster => "image-master",
            Self::ImageSigning => "image-signing",
        }
    }
}

impl fmt::Display for KeyringKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a keyring tarball holds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OpenedKeyring {
    /// What it calls itself.
    pub kind: String,
    /// Its keys; none in an empty blacklist.
    pub keys: Option<Keyring>,
    /// The device it is for, if it is for one.
    pub model: Option<String>,
    /// When it stops to count, in seconds since 1970.
    pub expiry: Option<f64>,
}

impl OpenedKeyring {
    /// Opens a `.tar.xz` whose signature was checked, in memory and within limits.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], [`ErrorKind::Unsafe`] or [`ErrorKind::TooLarge`] if it holds
    /// anything but `keyring.json` and `keyring.gpg` in their forms.
    pub fn open(tarball: &Verified<Bytes>) -> Result<Self> {
        if tarball.len() as u64 > MAX_PACKED {
            let message = format!(
                "has {} bytes, at most {MAX_PACKED} are allowed in a keyring",
                tarball.len()
            );
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let mut limits = MemberLimits::default();
        limits.bytes = MAX_UNPACKED;
        limits.member_bytes = MAX_UNPACKED;
        limits.members = MAX_MEMBERS;
        let members = read_members_from_bytes(tarball, &limits).map_err(|cause| {
            not_a_keyring(crate::source::unpack_kind(&cause)).with_source(cause)
        })?;
        let (json, keys) = two_members(members)?;
        let object: Object<'_> = parse(&json).map_err(malformed)?;
        let kind: String = object.required("type").map_err(malformed)?;
        let model: Option<String> = object.optional("model").map_err(malformed)?;
        let expiry: Option<f64> = object.optional("expiry").map_err(malformed)?;
        let keys = if keys.is_empty() {
            None
        } else {
            Some(pinned(&keys)?)
        };
        Ok(Self {
            kind,
            keys,
            model,
            expiry,
        })
    }

    /// The fingerprints of its primary keys.
    #[must_use]
    pub fn fingerprints(&self) -> Vec<Fingerprint> {
        self.keys
            .as_ref()
            .map(Keyring::fingerprints)
            .unwrap_or_default()
    }

    /// Whether it may be used as a keyring of this kind, for this device, at this time.
    ///
    /// # Errors
    /// [`ErrorKind::Untrusted`] for another kind or model or no keys, [`ErrorKind::Expired`] if
    /// its time is over.
    pub fn check(&self, wanted: KeyringKind, device: Option<&str>, time: &Time) -> Result<()> {
        if self.kind != wanted.name() {
            let found = crate::json::short(&self.kind);
            return Err(Error::new(
                ErrorKind::Untrusted,
                format!("keyring type mismatch; wanted: {wanted}, got: {found}"),
            ));
        }
        if let (Some(model), Some(device)) = (&self.model, device)
            && model != device
        {
            let found = crate::json::short(model);
            return Err(Error::new(
                ErrorKind::Untrusted,
                format!("keyring model mismatch; wanted: {device}, got: {found}"),
            ));
        }
        if self.keys.is_none() && wanted != KeyringKind::Blacklist {
            let message = format!("the {wanted} keyring has no keys");
            return Err(Error::new(ErrorKind::Untrusted, message));
        }
        match self.expiry {
            Some(expiry) if expiry < time.now as f64 => Err(time.expired(wanted, expiry)),
            _ => Ok(()),
        }
    }

    /// Whether a copy kept from an earlier run may be used once more: not in the very second in
    /// which its time is over.
    pub(crate) fn is_reusable(&self, time: &Time) -> bool {
        self.expiry.is_none_or(|expiry| expiry > time.now as f64)
    }
}

/// The time by which keyrings are judged: never before a time that is known to have passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    clock: u64,
    now: u64,
}

impl Time {
    /// The clock of this machine, corrected by what was signed already.
    #[must_use]
    pub fn new(clock: SystemTime, floor: Option<SystemTime>) -> Self {
        let clock = seconds(clock);
        Self {
            clock,
            now: floor.map_or(clock, |floor| clock.max(seconds(floor))),
        }
    }

    /// The time in seconds since 1970.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        self.now
    }

    fn expired(&self, kind: KeyringKind, expiry: f64) -> Error {
        let (clock, at) = (date::show(self.clock), date::show(expiry.max(0.0) as u64));
        if self.clock + DAY < self.now {
            return Error::new(
                ErrorKind::Expired,
                format!(
                    "the {kind} keyring counted until {at}; your clock is {clock}, which was over when it was signed"
                ),
            )
            .with_remedy("set the clock of this machine");
        }
        Error::new(
            ErrorKind::Expired,
            format!("expired keyring timestamp: the {kind} keyring counted until {at}; your clock is {clock}"),
        )
        .with_remedy("if the clock is right, the server must publish a new keyring")
    }
}

/// The archive-master keys in a keyring tarball that was shipped with a program or put there by an
/// administrator, if they hold the key with this fingerprint. No other key of it counts.
///
/// The tarball is a local file and no download; what is believed in it is the fingerprint.
///
/// # Errors
/// [`ErrorKind::InvalidConfig`] if it is no archive-master keyring, or holds another key.
pub fn archive_master(tarball: &[u8], fingerprint: &Fingerprint) -> Result<Keyring> {
    let local = Channel::new("a keyring tarball in the configuration");
    let bytes = trust_channel(Unverified::new(Bytes::copy_from_slice(tarball)), &local);
    let refused = |cause: Error| {
        Error::new(ErrorKind::InvalidConfig, "cannot be used as archive-master").with_source(cause)
    };
    let opened = OpenedKeyring::open(&bytes).map_err(refused)?;
    let time = Time::new(SystemTime::UNIX_EPOCH, None);
    opened
        .check(KeyringKind::ArchiveMaster, None, &time)
        .map_err(refused)?;
    let keys = opened.keys.ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidConfig,
            "the archive-master keyring is empty",
        )
    })?;
    let missing = |cause| {
        Error::new(
            ErrorKind::InvalidConfig,
            format!("the archive-master keyring does not hold the key {fingerprint}"),
        )
        .with_source(cause)
    };
    keys.only(fingerprint)
        .and_then(|keys| keys.pinned(fingerprint))
        .map_err(missing)
}

/// The two members, each of them once and nothing else.
fn two_members(members: Vec<Member>) -> Result<(Vec<u8>, Vec<u8>)> {
    let (mut json, mut keys) = (None, None);
    for member in members {
        match member.name.as_slice() {
            b"keyring.json" => json = Some(member.data),
            b"keyring.gpg" => keys = Some(member.data),
            other => {
                let name = String::from_utf8_lossy(other).into_owned();
                let message = format!("a keyring holds `{}`", crate::json::short(&name));
                return Err(Error::new(ErrorKind::Unsafe, message));
            }
        }
    }
    match (json, keys) {
        (Some(json), Some(keys)) => Ok((json, keys)),
        (None, _) => Err(malformed("`keyring.json` is missing".to_owned())),
        (_, None) => Err(malformed("`keyring.gpg` is missing".to_owned())),
    }
}

/// The keys, each pinned: whoever signed the tarball signed every byte of them, so their own
/// self-signatures, some of them by SHA-1 and ten years old, add nothing and may only restrict.
fn pinned(bytes: &[u8]) -> Result<Keyring> {
    let bytes = without_subkeys(bytes).map_err(|problem| malformed(problem.to_owned()))?;
    let broken = |cause| not_a_keyring(ErrorKind::Malformed).with_source(cause);
    let mut keyring = Keyring::from_bytes(&bytes).map_err(broken)?;
    for fingerprint in keyring.fingerprints() {
        keyring = keyring.pinned(&fingerprint).map_err(broken)?;
    }
    Ok(keyring)
}

fn malformed(problem: String) -> Error {
    Error::new(ErrorKind::Malformed, format!("not a keyring: {problem}"))
}

fn not_a_keyring(kind: ErrorKind) -> Error {
    Error::new(kind, "not a keyring tarball")
}

pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

pub(crate) const MAX_PACKED: u64 = 1 << 20;
const MAX_UNPACKED: u64 = 8 << 20;
const MAX_MEMBERS: u64 = 16;
const DAY: u64 = 86_400;
