//! From the items of one version to the images it holds: which files make one image, and by what
//! fingerprint it is known.

use std::borrow::Cow;
use std::sync::Arc;

use imagestore_core::FileRole;
use imagestore_verify::Sha256;

use crate::error::ParseError;
use crate::form::Form;
use crate::json::{Fields, Node};
use crate::path::{check_path, shown};

/// One image of a version: a form, its fingerprint and its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub(crate) form: Form,
    pub(crate) rank: Rank,
    pub(crate) fingerprint: Sha256,
    /// In the order in which they are hashed and unpacked.
    pub(crate) files: Vec<Item>,
}

impl Choice {
    /// How it is packed.
    #[must_use]
    pub fn form(&self) -> Form {
        self.form
    }

    /// Its name among the images of a version: that of its form, with `+lxd` behind it where LXD and
    /// Incus see different images.
    pub(crate) fn name(&self) -> Cow<'static, str> {
        match self.rank {
            Rank::First => Cow::Borrowed(self.form.name()),
            Rank::Second => Cow::Owned(format!("{}+lxd", self.form.name())),
        }
    }

    /// By what LXD and Incus know it: sha256 of its files, one behind the other.
    #[must_use]
    pub fn fingerprint(&self) -> Sha256 {
        self.fingerprint
    }

    /// Its files: metadata and data, or one of both.
    pub fn files(&self) -> impl Iterator<Item = &Item> {
        self.files.iter()
    }
}

/// Whether there is a better image of its form in its version, which is another one then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rank {
    First,
    Second,
}

/// One file of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub(crate) name: &'static str,
    pub(crate) role: FileRole,
    pub(crate) path: Arc<str>,
    pub(crate) sha256: Sha256,
    pub(crate) size: Option<u64>,
}

impl Item {
    /// The plain name it is kept under, by its type.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Where it is, below the root of the tree.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its digest.
    #[must_use]
    pub fn sha256(&self) -> Sha256 {
        self.sha256
    }

    /// Its size in bytes, if the index says it.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.size
    }
}

/// A form that is there, or what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) form: Form,
    pub(crate) choice: Result<Choice, ParseError>,
}

impl Offer {
    /// Whether this names it, as [`Choice::name`] does, or its form if there is something wrong
    /// with it.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        match &self.choice {
            Ok(choice) => choice.name() == name,
            Err(_) => self.form.name() == name,
        }
    }
}

/// The images among the items of a version, by form, the best of each form first: what is in order,
/// then what is for Incus.
///
/// Trees for both programs list the same image twice. Where it is not the same, both are there.
pub(crate) fn offers(items: &Node, above: &[&Fields]) -> Vec<Offer> {
    let shelf = Shelf { items, above };
    let mut offers: Vec<Offer> = Vec::new();
    for family in FAMILIES {
        let found = DATA
            .iter()
            .filter_map(|kind| {
                shelf
                    .split(family, kind)
                    .transpose()
                    .map(|c| (kind.form, c))
            })
            .chain(shelf.unified(family));
        for (form, choice) in found {
            add(&mut offers, form, choice);
        }
    }
    offers.sort_by_key(|offer| (offer.form, offer.choice.is_err()));
    offers
}

/// One more image of a form, if it is another one.
fn add(offers: &mut Vec<Offer>, form: Form, mut choice: Result<Choice, ParseError>) {
    let before = offers.iter().find(|offer| offer.form == form);
    match (before.map(|offer| &offer.choice), &mut choice) {
        (Some(Ok(first)), Ok(second)) if first.fingerprint == second.fingerprint => return,
        (Some(Ok(_)), Ok(second)) => second.rank = Rank::Second,
        // One that is wrong says nothing beside one that is not, or that says it already.
        (Some(_), Err(_)) => return,
        (Some(Err(_)) | None, _) => {}
    }
    offers.push(Offer { form, choice });
}

/// An item that makes the data of a form out of those of an older version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeltaItem {
    pub(crate) form: Form,
    /// The serial of the older version.
    pub(crate) base: Arc<str>,
    pub(crate) item: Item,
}

/// The deltas among the items of a version. One that is wrong is left out: the full file is there.
pub(crate) fn deltas(items: &Node, above: &[&Fields]) -> Vec<DeltaItem> {
    let shelf = Shelf { items, above };
    let mut found = Vec::new();
    for (form, ftype) in DELTAS {
        for item in items.below.values().map(|node| &node.fields) {
            if shelf.field(item, "ftype") == Some(ftype)
                && let Some(base) = shelf.shared(item, "delta_base")
                && let Ok(delta) = shelf.item(item, ftype, ftype, FileRole::Sidecar)
            {
                found.push(DeltaItem {
                    form: *form,
                    base: Arc::clone(base),
                    item: delta,
                });
            }
        }
    }
    found
}

/// The items of a version, and the fields that hold for them from above.
struct Shelf<'a> {
    items: &'a Node,
    above: &'a [&'a Fields],
}

impl<'a> Shelf<'a> {
    /// The image of metadata and one kind of data, if both are there and the metadata say what they
    /// are together.
    fn split(&self, family: &Family, kind: &Kind) -> Result<Option<Choice>, ParseError> {
        let Some(data) = self.one(kind.ftype)? else {
            return Ok(None);
        };
        let Some(meta) = self.one(family.metadata)? else {
            return Ok(None);
        };
        let combined = kind
            .combined
            .iter()
            .find_map(|field| Some((*field, self.field(meta, field)?)));
        let Some((field, combined)) = combined else {
            return Ok(None);
        };
        Ok(Some(Choice {
            form: kind.form,
            rank: Rank::First,
            fingerprint: digest(field, combined)?,
            files: vec![
                self.item(meta, family.metadata, family.metadata, FileRole::Metadata)?,
                self.item(data, kind.ftype, kind.name, kind.role.clone())?,
            ],
        }))
    }

    fn unified(&self, family: &Family) -> Option<(Form, Result<Choice, ParseError>)> {
        let name = family.combined;
        let item = match self.one(name) {
            Ok(item) => item?,
            Err(error) => return Some((Form::Combined, Err(error))),
        };
        let form = match self.field(item, "combined_type") {
            Some("virtual-machine") => Form::CombinedDisk,
            _ => Form::Combined,
        };
        let choice = self
            .item(item, name, name, FileRole::Unified)
            .map(|item| Choice {
                form,
                rank: Rank::First,
                fingerprint: item.sha256,
                files: vec![item],
            });
        Some((form, choice))
    }

    /// The item of a type; two that are the same file are one.
    fn one(&self, ftype: &'static str) -> Result<Option<&'a Fields>, ParseError> {
        let mut all = self
            .items
            .below
            .values()
            .map(|node| &node.fields)
            .filter(|item| self.field(item, "ftype") == Some(ftype));
        let first = all.next();
        let same = |item: &Fields| {
            first.is_some_and(|first| self.field(first, "sha256") == self.field(item, "sha256"))
        };
        if all.all(same) {
            Ok(first)
        } else {
            Err(ParseError::Twice { ftype })
        }
    }

    /// What a field of an item is: its own, or the nearest above.
    fn field<'b>(&'b self, item: &'b Fields, name: &str) -> Option<&'b str> {
        self.shared(item, name).map(AsRef::as_ref)
    }

    fn shared<'b>(&'b self, item: &'b Fields, name: &str) -> Option<&'b Arc<str>> {
        let own = item.get(name);
        own.or_else(|| self.above.iter().find_map(|fields| fields.get(name)))
    }

    fn item(
        &self,
        item: &Fields,
        ftype: &'static str,
        name: &'static str,
        role: FileRole,
    ) -> Result<Item, ParseError> {
        let need = |field| {
            let missing = ParseError::Missing { ftype, field };
            self.shared(item, field).ok_or(missing)
        };
        let sha256 = digest("sha256", need("sha256")?)?;
        let size = match self.field(item, "size") {
            None => None,
            Some(text) => {
                let plain = text.bytes().all(|byte| byte.is_ascii_digit());
                let size = text.parse().ok().filter(|size| plain && *size > 0);
                Some(size.ok_or_else(|| ParseError::Size { found: shown(text) })?)
            }
        };
        let path = need("path")?;
        check_path(path)?;
        Ok(Item {
            name,
            role,
            path: Arc::clone(path),
            sha256,
            size,
        })
    }
}

/// A digest as this protocol writes it. A prefix checks little, and another spelling makes two
/// fingerprints of one.
fn digest(field: &'static str, text: &str) -> Result<Sha256, ParseError> {
    let fine = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let parsed = text.bytes().all(fine).then(|| text.parse().ok());
    parsed.flatten().ok_or_else(|| ParseError::Digest {
        field,
        found: shown(text),
    })
}

struct Family {
    metadata: &'static str,
    combined: &'static str,
}

/// Incus and LXD: each program reads its own items, this one reads both.
const FAMILIES: &[Family] = &[
    Family {
        metadata: "incus.tar.xz",
        combined: "incus_combined.tar.gz",
    },
    Family {
        metadata: "lxd.tar.xz",
        combined: "lxd_combined.tar.gz",
    },
];

struct Kind {
    form: Form,
    ftype: &'static str,
    name: &'static str,
    role: FileRole,
    /// Where the metadata item has the fingerprint, the better field first.
    combined: &'static [&'static str],
}

const DATA: &[Kind] = &[
    Kind {
        form: Form::Squashfs,
        ftype: "squashfs",
        name: "rootfs.squashfs",
        role: FileRole::Rootfs,
        combined: &["combined_squashfs_sha256"],
    },
    Kind {
        form: Form::Tar,
        ftype: "root.tar.xz",
        name: "rootfs.tar.xz",
        role: FileRole::Rootfs,
        combined: &["combined_rootxz_sha256", "combined_sha256"],
    },
    Kind {
        form: Form::DiskKvm,
        ftype: "disk-kvm.img",
        name: "disk-kvm.img",
        role: FileRole::Disk,
        combined: &["combined_disk-kvm-img_sha256"],
    },
    Kind {
        form: Form::Uefi1,
        ftype: "uefi1.img",
        name: "uefi1.img",
        role: FileRole::Disk,
        combined: &["combined_uefi1-img_sha256"],
    },
    Kind {
        form: Form::Disk1,
        ftype: "disk1.img",
        name: "disk1.img",
        role: FileRole::Disk,
        combined: &["combined_disk1-img_sha256"],
    },
];

/// Each starts from the data of its own form.
const DELTAS: &[(Form, &str)] = &[
    (Form::Squashfs, "squashfs.vcdiff"),
    (Form::DiskKvm, "disk-kvm.img.vcdiff"),
];
