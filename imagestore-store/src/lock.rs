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
