use std::collections::BTreeMap;

use imagestore_core::{Error, ErrorKind, Result};
use imagestore_verify::Sha256;

use crate::index::{Build, IndexFile};
use crate::plan::{Plan, PlannedFile};

/// A file that is to be downloaded and applied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Layer {
    /// Its name on a device, which is plain.
    pub name: String,
    /// The name of its signature there.
    pub signature_name: String,
    /// Where it is on the server.
    pub path: String,
    /// Where its signature is.
    pub signature: String,
    /// Its digest.
    pub sha256: Sha256,
    /// Its size by the index.
    pub size: u64,
    /// The image it belongs to.
    pub build: u32,
    /// The version that image is applied to; none for a full image.
    pub base: Option<u32>,
}

/// The files of a plan in the order in which they are applied, each distinct file once, at its
/// last place: a recovery removes a file after its first use, and a later delta could undo it.
///
/// # Errors
/// [`ErrorKind::Malformed`] or [`ErrorKind::Unsafe`] for names, digests and doubles that no honest
/// index has.
pub fn layers(plan: &Plan<'_>) -> Result<Vec<Layer>> {
    let all: Vec<Layer> = plan
        .apply_order()
        .iter()
        .map(layer)
        .collect::<Result<_>>()?;
    let mut by_name: BTreeMap<&str, &Layer> = BTreeMap::new();
    for layer in &all {
        for (name, place) in [
            (&layer.name, &layer.path),
            (&layer.signature_name, &layer.signature),
        ] {
            let Some(other) = by_name.insert(name, layer) else {
                continue;
            };
            let same = (&other.path, &other.signature, other.sha256)
                == (&layer.path, &layer.signature, layer.sha256);
            if !same {
                return Err(Error::new(
                    ErrorKind::Malformed,
                    format!("two files would be called `{name}` on the device"),
                )
                .with_subject(format_args!("`{place}`")));
            }
        }
    }
    let kept: Vec<Layer> = all
        .iter()
        .enumerate()
        .filter(|(place, layer)| {
            all[place + 1..]
                .iter()
                .all(|later| later.name != layer.name)
        })
        .map(|(_, layer)| layer.clone())
        .collect();
    Ok(kept)
}

/// Whether every image of a plan has its version tarball where its index lies, which is all that
/// tells the index of one device from that of another before anything is downloaded.
///
/// # Errors
/// [`ErrorKind::Untrusted`] if one has none.
pub(crate) fn check_place(plan: &Plan<'_>, index: &str) -> Result<()> {
    let folder = index.rsplit_once('/').map_or("", |(folder, _)| folder);
    for build in plan.until_reboot() {
        let wanted = format!("{folder}/version-{}.tar.xz", build.version);
        let rooted = |path: &str| format!("/{}", path.trim_start_matches('/'));
        let has_it = build
            .files
            .iter()
            .any(|file| rooted(&file.path) == rooted(&wanted));
        if !has_it {
            return Err(Error::new(
                ErrorKind::Untrusted,
                format!("the index is not of this channel and device: {build} has no `{wanted}`"),
            )
            .with_subject(format_args!("`{index}`")));
        }
    }
    Ok(())
}

fn layer(planned: &PlannedFile<'_>) -> Result<Layer> {
    let (file, build) = (planned.file, planned.build);
    let about = |error: Error| error.with_subject(format_args!("`{}`", file.path));
    let name = local(file.local_name(), ".tar.xz").map_err(about)?;
    let signature_name = local(file.local_signature(), ".tar.xz.asc").map_err(about)?;
    Ok(Layer {
        name,
        signature_name,
        path: file.path.clone(),
        signature: file.signature.clone(),
        sha256: digest(file, build)?,
        size: file.size,
        build: build.version,
        base: build.base(),
    })
}

fn digest(file: &IndexFile, build: &Build) -> Result<Sha256> {
    let lower = !file.checksum.bytes().any(|byte| byte.is_ascii_uppercase());
    let parsed = file.checksum.parse().ok().filter(|_| lower);
    parsed.ok_or_else(|| {
        let found = crate::json::short(&file.checksum);
        Error::new(
            ErrorKind::Malformed,
            format!("a file of {build} has the checksum `{found}`, not 64 digits of SHA-256"),
        )
        .with_subject(format_args!("`{}`", file.path))
    })
}

/// A name for a file on a device: it goes into a script of the recovery, which splits at blanks.
fn local(name: &str, suffix: &str) -> Result<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._+-".contains(&b);
    let stem = name.strip_suffix(suffix);
    let fine = stem.is_some_and(|stem| {
        !stem.is_empty() && !stem.starts_with(['.', '-']) && !RESERVED.contains(&stem)
    });
    if fine && name.bytes().all(plain) && name.len() <= MAX_NAME {
        return Ok(name.to_owned());
    }
    let shown = crate::json::short(name);
    Err(Error::new(
        ErrorKind::Unsafe,
        format!("`{shown}` is no name for a file that ends in {suffix}"),
    ))
}

/// What the recovery's own files are called.
const RESERVED: &[&str] = &[
    "archive-master",
    "blacklist",
    "device-signing",
    "image-master",
    "image-signing",
    "keyring",
    "ubuntu_command",
];
const MAX_NAME: usize = 250;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_plain_names_only() {
        for name in [
            "rootfs-0a.tar.xz",
            "a+b_c.delta-x.tar.xz",
            "version-1.tar.xz",
        ] {
            assert_eq!(local(name, ".tar.xz").expect(name), name);
        }
        for name in [
            "",
            ".tar.xz",
            "..tar.xz",
            "-rf.tar.xz",
            "a b.tar.xz",
            "a\nformat data.tar.xz",
            "ubuntu_command",
            "ubuntu_command.tar.xz",
            "image-master.tar.xz",
            "log",
            "5.txt",
            "..",
        ] {
            let error = local(name, ".tar.xz").expect_err(name);
            assert_eq!(error.kind(), ErrorKind::Unsafe, "{name:?}");
        }
        assert!(local("image-master.tar.xz.asc", ".tar.xz.asc").is_err());
        assert!(local("a.tar.xz", ".tar.xz.asc").is_err());
    }
}
