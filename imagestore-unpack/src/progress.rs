use std::fmt;
use std::sync::Arc;

/// How far the unpacking of one archive has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct UnpackProgress {
    /// Packed bytes that were read.
    pub packed: u64,
    /// Packed bytes that there are.
    pub packed_total: u64,
    /// Bytes of the archive that were placed.
    pub bytes: u64,
    /// Members that were placed.
    pub entries: u64,
}

/// What the caller wants to be told.
#[derive(Clone)]
pub(crate) struct Watch(pub(crate) Arc<dyn Fn(UnpackProgress) + Send + Sync>);

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}
