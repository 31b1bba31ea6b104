//! The system-image protocol of imagestore: Ubuntu Touch images, planned and verified.

mod avoided;
mod chain;
mod channel_ini;
mod channels;
mod command;
mod date;
mod error;
mod files;
mod index;
mod install;
mod json;
mod keyring;
mod name;
mod packets;
mod pair;
mod phase;
mod plan;
mod source;
mod trust_memory;
mod twister;
mod ways;

pub use crate::channel_ini::ChannelIni;
pub use crate::channels::{Channel, Channels, Device, DeviceKeyring};
pub use crate::command::{HandOver, HandedKeyring};
pub use crate::error::{ParseError, Skipped};
pub use crate::files::{Layer, layers};
pub use crate::index::{Build, BuildKind, Index, IndexFile};
pub use crate::install::{Expected, LayerFile, install, installed};
pub use crate::keyring::{KeyringKind, OpenedKeyring, Time, archive_master};
pub use crate::phase::{phase, phase_channel};
pub use crate::plan::{Candidate, Filter, Outcome, Plan, PlannedFile, Request, TooManyWays};
pub use crate::source::{SystemImage, SystemImageProtocol};
pub use crate::trust_memory::{TrustDirectory, TrustInMemory, TrustMemory};
