//! Stops or spoils the work at a named step, for tests of crashes and broken disks.
//!
//! Only with the feature `faults`, which nothing but the tests of this crate turns on.

#[cfg(feature = "faults")]
pub use self::hook::inject;

/// Is called before every step that changes the disk.
#[cfg(not(feature = "faults"))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "with the feature `faults` a step can fail"
)]
pub(crate) fn reached(_step: &str, _place: &std::path::Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(feature = "faults")]
pub(crate) use self::hook::reached;

#[cfg(feature = "faults")]
mod hook {
    use std::io;
    use std::path::Path;
    use std::sync::{Arc, PoisonError, RwLock};

    type Hook = Arc<dyn Fn(&str, &Path) -> io::Result<()> + Send + Sync>;

    static HOOK: RwLock<Option<Hook>> = RwLock::new(None);

    /// Calls `hook` before every step that changes the disk, with its name and place. What it
    /// returns is the outcome of the step.
    pub fn inject(hook: impl Fn(&str, &Path) -> io::Result<()> + Send + Sync + 'static) {
        *HOOK.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(hook));
    }

    pub(crate) fn reached(step: &str, place: &Path) -> io::Result<()> {
        let hook = HOOK.read().unwrap_or_else(PoisonError::into_inner).clone();
        hook.map_or(Ok(()), |hook| hook(step, place))
    }
}
