use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::written::Written;

/// What an image can be started as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Container,
    VirtualMachine,
}

/// One item of a version.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Item {
    /// The version a delta starts from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delta_base: Option<String>,
    /// Fingerprints, and `combined_type`.
    #[serde(flatten)]
    pub(super) fields: BTreeMap<String, String>,
    pub(super) ftype: String,
    pub(super) path: String,
    pub(super) sha256: String,
    pub(super) size: u64,
}

impl Item {
    /// The item for a file that was written.
    pub(super) fn new(written: &Written, ftype: &str, path: String) -> Self {
        Self {
            delta_base: None,
            fields: BTreeMap::new(),
            ftype: ftype.to_owned(),
            path,
            sha256: written.sha256().to_string(),
            size: written.size,
        }
    }

    /// What the image is that this item holds the data of; metadata and deltas hold none.
    pub(super) fn kind(&self) -> Option<Kind> {
        match self.ftype.as_str() {
            "root.tar.xz" | "squashfs" => Some(Kind::Container),
            "disk-kvm.img" => Some(Kind::VirtualMachine),
            "incus_combined.tar.gz" | "lxd_combined.tar.gz" => {
                let found = self.fields.get(COMBINED_TYPE);
                match found.is_some_and(|found| found == VIRTUAL_MACHINE) {
                    true => Some(Kind::VirtualMachine),
                    false => Some(Kind::Container),
                }
            }
            _ => None,
        }
    }

    /// Names the digest a file has behind this metadata, under each of the names readers look for.
    pub(super) fn combine(&mut self, written: &Written, fields: &[&str]) {
        if let Some(combined) = written.combined() {
            for field in fields {
                self.fields
                    .insert((*field).to_owned(), combined.to_string());
            }
        }
    }
}

pub(super) const COMBINED_TYPE: &str = "combined_type";
pub(super) const VIRTUAL_MACHINE: &str = "virtual-machine";
