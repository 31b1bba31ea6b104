//! What was seen before: the memory that keeps old but signed documents from being believed again.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use imagestore_verify::{Proof, Sha256};

use crate::error::{Error, ErrorKind, Result};

/// Remembers the newest state seen of each document of each remote, so that older ones can be
/// refused.
///
/// # Contract
/// [`Memory::advance`] compares and stores in one step, also between processes: the memory of a
/// document never goes back. A mark that is refused changes nothing.
pub trait Memory: fmt::Debug + Send + Sync {
    /// Remembers `mark` as the newest of `document` on the remote with this id, if it is not older
    /// than what is remembered.
    ///
    /// # Errors
    /// [`ErrorKind::RolledBack`] if it is older; [`ErrorKind::Malformed`] if it rises by more than
    /// it may at once; [`ErrorKind::Storage`] if it cannot be remembered.
    fn advance(&self, remote: &str, document: &str, mark: &Mark) -> Result<()>;

    /// When the newest signature was made that is remembered of the remote with this id: a time that
    /// has passed, whatever the clock says. Nothing where nothing is remembered, or it cannot be
    /// read; what is to be remembered next says why.
    fn floor(&self, remote: &str) -> Option<SystemTime>;
}

/// How new a document is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mark {
    /// When it was signed.
    pub signed_at: Option<SystemTime>,
    /// Its content.
    pub digest: Option<Sha256>,
    /// Numbers in it that only rise: `serial`, `generated_at`.
    pub counters: BTreeMap<String, u64>,
    /// By how much a number may rise at once, where that is bounded: one that leaps, and is
    /// remembered, would make everything honest look old.
    pub leaps: BTreeMap<String, u64>,
    /// By how much it may have been signed earlier than the newest seen, where that speaks of
    /// several forms of one document: they are signed in turn, and differ.
    pub slack: Option<Duration>,
}

impl Mark {
    /// The mark of a document with these bytes, of which these proofs speak.
    #[must_use]
    pub fn of(document: &[u8], proofs: &[Proof]) -> Self {
        let signed_at = proofs.iter().filter_map(|proof| match proof {
            Proof::Signature(signature) => Some(signature.signed_at()),
            _ => None,
        });
        Self {
            signed_at: signed_at.max(),
            digest: Some(Sha256::of(document)),
            ..Self::default()
        }
    }

    /// One more number that only rises.
    #[must_use]
    pub fn with_counter(mut self, name: impl Into<String>, value: u64) -> Self {
        self.counters.insert(name.into(), value);
        self
    }

    /// The highest amount by which the number of this name may rise at once.
    #[must_use]
    pub fn with_leap(mut self, name: impl Into<String>, highest: u64) -> Self {
        self.leaps.insert(name.into(), highest);
        self
    }

    /// One form of a document among several: they may be signed this far apart, and two that were
    /// signed in the same second are not two contents of one document.
    #[must_use]
    pub fn with_slack(mut self, slack: Duration) -> Self {
        self.slack = Some(slack);
        self
    }

    /// What to remember when `next` comes after this: the higher of each.
    ///
    /// # Errors
    /// [`ErrorKind::RolledBack`] if `next` is older in any respect, or as old with other content;
    /// [`ErrorKind::Malformed`] if a number rises by more than `next` allows.
    /// The same content under an older signature is no change and no error.
    pub fn advance(&self, next: &Self) -> Result<Self> {
        if self.digest.is_some() && self.digest == next.digest {
            let mut same = self.clone();
            same.signed_at = self.signed_at.max(next.signed_at);
            return Ok(same);
        }
        if let (Some(seen), Some(found)) = (self.signed_at, next.signed_at) {
            let earliest = seen.checked_sub(next.slack.unwrap_or_default());
            if earliest.is_some_and(|earliest| found < earliest) {
                return Err(rolled_back(
                    "is older than one seen before",
                    seconds(found),
                    seconds(seen),
                    "signed at",
                ));
            }
            if found == seen
                && next.slack.is_none()
                && let (Some(old), Some(new)) = (self.digest, next.digest)
            {
                return Err(Error::new(
                    ErrorKind::RolledBack,
                    format!(
                        "two different contents were signed at the same second {}: sha256:{old} was seen before, now \
                         sha256:{new}",
                        seconds(seen)
                    ),
                )
                .with_remedy(FORGET));
            }
        }
        let mut merged = next.clone();
        for (name, seen) in &self.counters {
            match next.counters.get(name) {
                Some(found) if found < seen => {
                    return Err(rolled_back(
                        "is older than one seen before",
                        *found,
                        *seen,
                        name,
                    ));
                }
                Some(found) => {
                    let highest = next.leaps.get(name).copied().unwrap_or(u64::MAX);
                    if found - seen > highest {
                        return Err(Error::new(
                            ErrorKind::Malformed,
                            format!(
                                "rises by more than {highest} at once ({name} {found}, seen before {seen})"
                            ),
                        )
                        .with_remedy(FORGET));
                    }
                }
                None => {
                    merged.counters.insert(name.clone(), *seen);
                }
            }
        }
        merged.signed_at = self.signed_at.max(next.signed_at);
        Ok(merged)
    }
}

fn rolled_back(message: &str, found: u64, seen: u64, what: &str) -> Error {
    Error::new(
        ErrorKind::RolledBack,
        format!("{message} ({what} {found}, seen before {seen})"),
    )
    .with_remedy(FORGET)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

const FORGET: &str = "if the remote was rebuilt on purpose, forget what is remembered of it";

/// A memory that lasts as long as the process.
#[derive(Debug, Default)]
pub struct InMemory {
    marks: Mutex<HashMap<(String, String), Mark>>,
}

impl Memory for InMemory {
    fn advance(&self, remote: &str, document: &str, mark: &Mark) -> Result<()> {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = marks
            .entry((remote.to_owned(), document.to_owned()))
            .or_default();
        *seen = seen.advance(mark)?;
        Ok(())
    }

    fn floor(&self, remote: &str) -> Option<SystemTime> {
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let of_remote = marks.iter().filter(|((known, _), _)| known == remote);
        of_remote.filter_map(|(_, mark)| mark.signed_at).max()
    }
}

/// No memory: an old but signed index is believed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Forgetful;

impl Memory for Forgetful {
    fn advance(&self, _remote: &str, _document: &str, _mark: &Mark) -> Result<()> {
        Ok(())
    }

    fn floor(&self, _remote: &str) -> Option<SystemTime> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn mark(signed_at: u64, content: &[u8]) -> Mark {
        Mark {
            signed_at: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(signed_at)),
            digest: Some(Sha256::of(content)),
            ..Mark::default()
        }
    }

    #[test]
    fn refuses_an_older_index_and_keeps_the_newer() {
        let memory = InMemory::default();
        memory
            .advance("r", "d", &mark(20, b"new"))
            .expect("the first");
        let error = memory
            .advance("r", "d", &mark(10, b"old"))
            .expect_err("older");
        assert_eq!(error.kind(), ErrorKind::RolledBack);
        assert_eq!(
            error.to_string(),
            "is older than one seen before (signed at 10, seen before 20); \
             if the remote was rebuilt on purpose, forget what is remembered of it"
        );
        memory
            .advance("r", "d", &mark(20, b"new"))
            .expect("the same again");
        memory
            .advance("other", "d", &mark(10, b"old"))
            .expect("another remote");
    }

    #[test]
    fn refuses_two_contents_signed_at_one_time() {
        let error = mark(20, b"a")
            .advance(&mark(20, b"b"))
            .expect_err("equivocation");
        assert_eq!(error.kind(), ErrorKind::RolledBack);
    }

    #[test]
    fn takes_the_same_content_under_an_older_signature_as_no_change() {
        assert_eq!(
            mark(20, b"a").advance(&mark(10, b"a")).expect("no change"),
            mark(20, b"a")
        );
    }

    #[test]
    fn refuses_a_counter_that_falls() {
        let seen = mark(10, b"a").with_counter("serial", 42);
        let error = seen
            .advance(&mark(20, b"b").with_counter("serial", 41))
            .expect_err("falls");
        assert_eq!(error.kind(), ErrorKind::RolledBack);
        let kept = seen.advance(&mark(20, b"b")).expect("no serial any more");
        assert_eq!(kept.counters.get("serial"), Some(&42));
    }

    #[test]
    fn refuses_a_counter_that_leaps() {
        let seen = mark(10, b"a").with_counter("version", 42);
        let next = |version| {
            mark(20, b"b")
                .with_counter("version", version)
                .with_leap("version", 10_000)
        };
        seen.advance(&next(10_042)).expect("as much as it may");
        Mark::default()
            .advance(&next(1_000_000))
            .expect("the first is compared with nothing");
        let error = seen.advance(&next(10_043)).expect_err("one more");
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert_eq!(
            error.to_string(),
            "rises by more than 10000 at once (version 10043, seen before 42); \
             if the remote was rebuilt on purpose, forget what is remembered of it"
        );
    }

    #[test]
    fn forms_of_one_document_are_signed_in_turn_and_differ() {
        let seen = mark(1000, b"one form").with_counter("updated", 7);
        let other = |signed_at, updated| {
            mark(signed_at, b"another form")
                .with_counter("updated", updated)
                .with_slack(Duration::from_secs(300))
        };
        for signed_at in [700, 1000, 1300] {
            let kept = seen.advance(&other(signed_at, 7)).expect("the same again");
            let newest = SystemTime::UNIX_EPOCH + Duration::from_secs(signed_at.max(1000));
            assert_eq!(kept.signed_at, Some(newest), "{signed_at}");
        }
        let error = seen.advance(&other(699, 7)).expect_err("long before");
        assert_eq!(error.kind(), ErrorKind::RolledBack);
        let error = seen.advance(&other(1000, 6)).expect_err("an older one");
        assert_eq!(error.kind(), ErrorKind::RolledBack);
    }
}
