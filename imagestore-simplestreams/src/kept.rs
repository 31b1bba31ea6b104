//! What was read of a tree, and for how long it is good.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use imagestore_core::Caches;
use imagestore_verify::Verified;

use crate::products::Products;

/// The one snapshot of a tree that is kept: index and product files of one moment.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    state: Mutex<State>,
    /// Held by the look-up that asks the tree for all.
    turn: futures_util::lock::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    snapshot: Option<Snapshot>,
    /// How often it was forgotten.
    forgotten: u64,
    /// Whether it was forgotten since it was read last.
    outdated: bool,
    /// How often the tree was asked in vain.
    failed: u64,
}

/// What is here before a tree is asked.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) snapshot: Option<Snapshot>,
    /// Whether caches may answer for the tree.
    pub(crate) caches: Caches,
    forgotten: u64,
}

impl Known {
    /// What is good without asking.
    pub(crate) fn fresh(&self, now: Moment) -> Option<Verified<Arc<Products>>> {
        let kept = self.snapshot.as_ref();
        let fresh = kept.filter(|kept| kept.age(now) < FRESH)?;
        Some(fresh.products.clone())
    }
}

impl Kept {
    pub(crate) fn known(&self) -> Known {
        let state = self.state();
        Known {
            snapshot: state.snapshot.clone(),
            caches: if state.outdated {
                Caches::Bypass
            } else {
                Caches::Ask
            },
            forgotten: state.forgotten,
        }
    }

    /// Waits while somebody else asks the tree. What it holds on to is given back when the tree
    /// was asked.
    ///
    /// If the one before failed, nobody waits for one another any more: one after the other, each
    /// would wait for as long as a server takes not to answer.
    pub(crate) async fn turn(&self) -> Option<futures_util::lock::MutexGuard<'_, ()>> {
        let failed = self.state().failed;
        let turn = self.turn.lock().await;
        (self.state().failed == failed).then_some(turn)
    }

    /// Notes that the tree was asked in vain.
    pub(crate) fn fail(&self) {
        self.state().failed += 1;
    }

    /// Keeps what the tree said, unless it was forgotten while it was asked.
    pub(crate) fn keep(&self, known: &Known, snapshot: Snapshot) {
        let mut state = self.state();
        if state.forgotten == known.forgotten {
            state.snapshot = Some(snapshot);
            state.outdated = false;
        }
    }

    pub(crate) fn forget(&self) {
        let mut state = self.state();
        state.snapshot = None;
        state.forgotten += 1;
        state.outdated = true;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All products of a tree at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) products: Verified<Arc<Products>>,
    read: Moment,
}

impl Snapshot {
    /// What was asked for at this moment.
    pub(crate) fn new(products: Verified<Arc<Products>>, asked: Moment) -> Self {
        Self {
            products,
            read: asked,
        }
    }

    pub(crate) fn age(&self, now: Moment) -> Duration {
        now.since(self.read)
    }
}

/// A moment by two clocks: one can be set, or stand still where a program judges by a fixed time;
/// the other does not run while the machine sleeps. The one that ran further is believed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) clock: SystemTime,
    pub(crate) timer: Instant,
}

impl Moment {
    /// The later one by each clock.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            clock: self.clock.max(other.clock),
            timer: self.timer.max(other.timer),
        }
    }

    fn since(self, earlier: Self) -> Duration {
        let ran = self.timer.saturating_duration_since(earlier.timer);
        match self.clock.duration_since(earlier.clock) {
            Ok(age) => age.max(ran),
            // The clock was set back, so nothing it said before can be relied on.
            Err(_) => ran.max(FRESH),
        }
    }
}

/// For how long many look-ups are answered out of one index.
pub(crate) const FRESH: Duration = Duration::from_secs(60);
/// For how long an index that cannot be asked for anew is better than none. Whoever can keep a
/// machine from its images can keep it at old ones for no longer.
pub(crate) const LONGEST_STALE: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_by_the_clock_that_ran_further() {
        let start = Moment {
            clock: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000),
            timer: Instant::now(),
        };
        let after = |clock: i64, timer: u64| {
            let shift = Duration::from_secs(clock.unsigned_abs());
            let clock = if clock < 0 {
                start.clock - shift
            } else {
                start.clock + shift
            };
            let timer = start.timer + Duration::from_secs(timer);
            Moment { clock, timer }.since(start).as_secs()
        };
        assert_eq!(after(59, 59), 59);
        assert_eq!(after(0, 3600), 3600, "a clock that stands still");
        assert_eq!(after(3600, 1), 3600, "a machine that slept");
        assert_eq!(after(-10, 5), 60, "a clock that was set back");
        assert_eq!(after(-10, 500), 500);
    }

    #[test]
    fn an_answer_that_was_on_its_way_when_it_was_forgotten_is_not_kept() {
        let now = Moment {
            clock: SystemTime::UNIX_EPOCH,
            timer: Instant::now(),
        };
        let products = || {
            let bytes = imagestore_verify::Unverified::new(bytes::Bytes::new());
            let channel = imagestore_verify::Channel::new("a test");
            imagestore_verify::trust_channel(bytes, &channel).map(|_| Arc::default())
        };
        let kept = Kept::default();
        let known = kept.known();
        kept.forget();
        kept.keep(&known, Snapshot::new(products(), now));
        let known = kept.known();
        assert!(known.snapshot.is_none());
        assert_eq!(known.caches, Caches::Bypass);
        kept.keep(&known, Snapshot::new(products(), now));
        let known = kept.known();
        assert!(known.snapshot.is_some());
        assert_eq!(known.caches, Caches::Ask);
    }
}
