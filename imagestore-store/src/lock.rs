use std::thread;
use std::time::{Duration, Instant};

use imagestore_core::{Error, ErrorKind, Result};

use crate::dir::{Dir, Lock};

/// Asks again and again for something another process holds, until it is had, given up, or waited
/// for too long.
pub(crate) fn wait_for<T>(
    patience: Duration,
    is_given_up: impl Fn() -> bool,
    busy: impl Fn() -> Error,
    mut attempt: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    let mut pause = SHORTEST_PAUSE;
    loop {
        if let Some(had) = attempt()? {
            return Ok(had);
        }
        if is_given_up() {
            return Err(Error::new(
                ErrorKind::Canceled,
                "waiting for another process was given up",
            ));
        }
        if start.elapsed() >= patience {
            return Err(busy());
        }
        // flock cannot wait for a limited time.
        thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The directory of this name, locked, or nothing if somebody else has it or just moved it away.
pub(crate) fn try_lock(parent: &Dir, name: &str, dir: Dir, lock: Lock) -> Result<Option<Dir>> {
    // The lock is on what was opened; what has the name by now may be something else.
    let ours = dir.try_lock(lock)? && parent.holds(name, &dir)?;
    Ok(ours.then_some(dir))
}

/// The error for something that stayed locked.
pub(crate) fn busy(what: &str, subject: impl std::fmt::Display, patience: Duration) -> Error {
    let message = format!(
        "{what} is busy in another process, waited {} seconds",
        patience.as_secs()
    );
    Error::new(ErrorKind::Storage, message)
        .with_subject(subject)
        .with_remedy("wait until that one is done, then try again")
}

const SHORTEST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_lock_on_what_was_moved_away_is_worth_nothing() {
        let directory = TempDir::new().expect("a temporary directory");
        let path = directory.path().canonicalize().expect("a path");
        let parent = Dir::open_path(&path).expect("opens");
        let opened = parent.create("a").expect("made");
        let locked = try_lock(&parent, "a", opened.clone(), Lock::Exclusive).expect("locks");
        assert!(locked.is_some());
        parent.rename("a", &parent, "b").expect("moved");
        let again = try_lock(&parent, "a", opened.clone(), Lock::Exclusive).expect("locks");
        assert!(again.is_none(), "nothing has the name");
        parent.create("a").expect("made");
        let again = try_lock(&parent, "a", opened, Lock::Exclusive).expect("locks");
        assert!(again.is_none(), "something else has the name");
    }

    #[test]
    fn waiting_ends_when_it_is_given_up_or_takes_too_long() {
        let busy = || busy("the image", "x", Duration::ZERO);
        let never = || Ok(None::<()>);
        let error = wait_for(Duration::MAX, || true, busy, never).expect_err("given up");
        assert_eq!(error.kind(), ErrorKind::Canceled);
        let error = wait_for(Duration::ZERO, || false, busy, never).expect_err("too long");
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (
                ErrorKind::Storage,
                "the image is busy in another process, waited 0 seconds: x; \
                 wait until that one is done, then try again"
            )
        );
    }
}
