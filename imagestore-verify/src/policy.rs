use std::time::{Duration, SystemTime};

use crate::{
    clock::{from_seconds, seconds},
    error::VerifyError,
    fingerprint::Fingerprint,
    reason::Reason,
    warning::Warning,
};

/// What is asked of a signature beyond the arithmetic.
///
/// The default is the strictest reading of every rule in POLICY.md. Each method that loosens it
/// says what is lost.
///
/// # Defaults
///
/// The system clock, 30 minutes of skew, one signer, keys alive today, binary signatures, digests
/// of 256 bits and more.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The time to judge at; `None` is the system clock at the moment of the check.
    pub at: Option<SystemTime>,
    floor: Option<SystemTime>,
    skew: Duration,
    signers: usize,
    alive: Alive,
    text: bool,
    sha224: bool,
    old_sha1: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alive {
    AtSigning,
    Today,
}

/// What holds for the data beside a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beside {
    Digest,
    Nothing,
}

/// A policy at one moment: every check of a run sees the same clock.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    pub(crate) now: u64,
    pub(crate) skew: u64,
    pub(crate) signers: usize,
    pub(crate) alive_today: bool,
    pub(crate) text: bool,
    pub(crate) beside: Beside,
    pub(crate) sha224: bool,
    pub(crate) old_sha1: bool,
    pub(crate) clock_behind: Option<Warning>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            at: None,
            floor: None,
            skew: Duration::from_secs(30 * 60),
            signers: 1,
            alive: Alive::Today,
            text: false,
            sha224: false,
            old_sha1: false,
        }
    }
}

impl Policy {
    /// Judges at this time instead of the system clock's.
    #[must_use]
    pub fn with_at(mut self, at: SystemTime) -> Self {
        self.at = Some(at);
        self
    }

    /// A time that is known to have passed, such as that of the newest signature seen. The clock
    /// is never taken to be before it, so a clock that was reset revives no expired key.
    #[must_use]
    pub fn with_floor(mut self, floor: SystemTime) -> Self {
        self.floor = Some(floor);
        self
    }

    /// How far in the future a signature may be dated, for clocks that disagree; at most a day.
    #[must_use]
    pub fn with_skew(mut self, skew: Duration) -> Self {
        self.skew = skew.min(Duration::from_secs(24 * 60 * 60));
        self
    }

    /// Asks for good signatures by this many different primary keys instead of one.
    #[must_use]
    pub fn with_signers(mut self, signers: usize) -> Self {
        self.signers = signers.max(1);
        self
    }

    /// Accepts keys that have expired, or were superseded or retired, since they signed.
    ///
    /// For files named by an index that is itself fresh. Lost: whoever gets hold of an old key can
    /// date new signatures back to when it was alive.
    #[must_use]
    pub fn with_keys_alive_at_signing(mut self) -> Self {
        self.alive = Alive::AtSigning;
        self
    }

    /// Accepts text signatures (type 0x01) over data whose line endings are those that were
    /// signed or a single `\n` each, where a digest [is checked as
    /// well](crate::StreamingCheck::with_digest).
    ///
    /// Lost: the signature alone fits files with other line endings, which have other digests; what
    /// is believed rests on the digest, and on whoever gave it.
    #[must_use]
    pub fn with_text_signatures(mut self) -> Self {
        self.text = true;
        self
    }

    /// Accepts SHA-224 digests by RSA keys.
    ///
    /// Lost: 112 bits of collision resistance instead of 128.
    #[must_use]
    pub fn with_sha224(mut self) -> Self {
        self.sha224 = true;
        self
    }

    /// Accepts SHA-1 over data, when the signature is dated before 2020 and its key is
    /// [pinned](crate::Keyring::pinned).
    ///
    /// For archives of 2013 to 2015, such as the first keyrings of system-image. Lost: whoever
    /// could get a file of their making signed before 2020 may have a second file with the same
    /// digest. Files that bear the marks of the known attacks are refused. Pin the digest as well.
    #[must_use]
    pub fn with_sha1_before_2020(mut self) -> Self {
        self.old_sha1 = true;
        self
    }

    pub(crate) fn moment(&self, beside: Beside) -> Moment {
        let clock = self.at.unwrap_or_else(SystemTime::now);
        // A caller who names the time may name any; the system clock cannot be before this code.
        let built = self.at.is_none().then(|| from_seconds(WRITTEN));
        let floor = [self.floor, built].into_iter().flatten().max();
        let now = floor.map_or(clock, |floor| floor.max(clock));
        let behind =
            floor.filter(|floor| floor.duration_since(clock).is_ok_and(|behind| behind > DAY));
        Moment {
            now: u64::try_from(seconds(now)).unwrap_or(0),
            skew: self.skew.as_secs(),
            signers: self.signers,
            alive_today: self.alive == Alive::Today,
            text: self.text,
            beside,
            sha224: self.sha224,
            old_sha1: self.old_sha1,
            clock_behind: behind.map(|floor| Warning::ClockBehind { clock, floor }),
        }
    }
}

impl Moment {
    /// What a date in the future means: a wrong clock, or a wrong date.
    pub(crate) fn in_the_future(&self, key: Fingerprint, signed: u64) -> VerifyError {
        if let Some(Warning::ClockBehind { clock, floor }) = self.clock_behind {
            return VerifyError::WrongClock { clock, floor };
        }
        let signed_at = from_seconds(signed);
        let reason = Reason::SignedInFuture {
            signed: signed_at,
            clock: from_seconds(self.now),
        };
        VerifyError::NotAlive {
            key,
            signed_at,
            reason,
        }
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
// 2026-01-01, a time before this code was written.
const WRITTEN: u64 = 1_767_225_600;
