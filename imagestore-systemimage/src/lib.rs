//! The system-image protocol of imagestore: Ubuntu Touch images, planned and verified.

mod channels;
mod date;
mod error;
mod index;
mod json;
mod phase;
mod plan;
mod twister;
mod ways;

pub use crate::channels::{Channel, Channels, Device, DeviceKeyring};
pub use crate::error::{ParseError, Skipped};
pub use crate::index::{Build, BuildKind, Index, IndexFile};
pub use crate::phase::{phase, phase_channel};
pub use crate::plan::{Candidate, Filter, Outcome, Plan, PlannedFile, Request, TooManyWays};
