//! The members of a tar archive, read strictly.
//!
//! Tar readers disagree about archives that contradict themselves; what one checks another does
//! not see. So whatever can be read in two ways is refused here: duplicate or malformed PAX
//! records, sizes that differ between headers, extension headers that are mixed, repeated or
//! orphaned, names with NUL, a missing end marker, bytes after it, unknown types.
//!
//! # Deviation
//!
//! GNU tar reads all of those, each in its own way.

mod entry;
mod extended;
mod extension;
mod header;
mod member;
mod numbers;
mod pax;
mod sparse;
mod walk;

pub(crate) use self::entry::{Device, Entry, Kind, Time, Xattr};
pub(crate) use self::header::looks_like_a_header;
pub(crate) use self::sparse::SparseMap;
pub(crate) use self::walk::Walk;
