use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use imagestore_core::{FileRole, Image, ImageFile, ImageId, Result};
use imagestore_verify::Sha256;
use serde::{Deserialize, Serialize};

use crate::dir::Dir;
use crate::error::damaged;
use crate::key::check_plain;
use crate::proof_record::ProofRecord;

/// What the store wrote down of a build when it was published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    schema: u32,
    remote: String,
    path: String,
    build: String,
    pub(crate) fetched_at: u64,
    expires_at: Option<u64>,
    fingerprint: Option<String>,
    properties: BTreeMap<String, String>,
    /// Why the index was believed that names the files.
    #[serde(default)]
    proofs: Vec<ProofRecord>,
    pub(crate) files: Vec<ManifestFile>,
}

/// One file of a build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ManifestFile {
    pub(crate) name: String,
    role: String,
    pub(crate) size: u64,
    sha256: String,
    /// Why it was believed when it was fetched.
    #[serde(default)]
    proofs: Vec<ProofRecord>,
}

impl Manifest {
    pub(crate) fn new(
        image: &Image,
        proofs: Vec<ProofRecord>,
        fetched_at: SystemTime,
        files: Vec<ManifestFile>,
    ) -> Self {
        Self {
            schema: SCHEMA,
            remote: image.id.remote().to_owned(),
            path: image.id.path().to_owned(),
            build: image.id.build().to_owned(),
            fetched_at: seconds(fetched_at),
            expires_at: image.expires_at.map(seconds),
            fingerprint: image.fingerprint.map(|fingerprint| fingerprint.to_string()),
            properties: image.properties.clone(),
            proofs,
            files,
        }
    }

    /// The same, with what the index says about the image by now.
    pub(crate) fn renewed(&self, image: &Image, proofs: Vec<ProofRecord>) -> Self {
        Self::new(image, proofs, time(self.fetched_at), self.files.clone())
    }

    /// Reads the manifest of a published build.
    ///
    /// # Errors
    /// `Storage` if there is none or it is damaged. A build without a whole manifest is no build.
    pub(crate) fn read(dir: &Dir) -> Result<Self> {
        let place = dir.path().join(MANIFEST);
        let bytes = dir
            .read(MANIFEST)?
            .ok_or_else(|| damaged("the manifest is missing", place.display()))?;
        Self::parse(&bytes).ok_or_else(|| damaged("the manifest is damaged", place.display()))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let manifest: Self = serde_json::from_slice(bytes).ok()?;
        let whole = manifest.schema == SCHEMA
            && !manifest.files.is_empty()
            && manifest.files.iter().all(|file| {
                check_plain(&file.name).is_ok() && file.sha256().is_some() && file.role().is_some()
            });
        whole.then_some(manifest)
    }

    pub(crate) fn write(&self, dir: &Dir) -> Result<()> {
        let json = serde_json::to_vec_pretty(self)
            .map_err(|cause| damaged("cannot be written as JSON", self.id()).with_source(cause))?;
        dir.replace(MANIFEST, &json)
    }

    pub(crate) fn id(&self) -> ImageId {
        ImageId::new(&self.remote, &self.path, &self.build)
    }

    pub(crate) fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at.map(time)
    }

    pub(crate) fn fingerprint(&self) -> Option<Sha256> {
        self.fingerprint
            .as_deref()
            .and_then(|text| text.parse().ok())
    }

    pub(crate) fn properties(&self) -> &BTreeMap<String, String> {
        &self.properties
    }

    pub(crate) fn proofs(&self) -> &[ProofRecord] {
        &self.proofs
    }

    pub(crate) fn fetched_at(&self) -> SystemTime {
        time(self.fetched_at)
    }

    pub(crate) fn sha256(&self, name: &str) -> Option<Sha256> {
        self.files
            .iter()
            .find(|file| file.name == name)
            .and_then(ManifestFile::sha256)
    }

    pub(crate) fn size(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

impl ManifestFile {
    pub(crate) fn new(
        file: &ImageFile,
        size: u64,
        sha256: Sha256,
        proofs: Vec<ProofRecord>,
    ) -> Self {
        Self {
            name: file.name.clone(),
            role: role_name(&file.role).to_owned(),
            size,
            sha256: sha256.to_string(),
            proofs,
        }
    }

    pub(crate) fn proofs(&self) -> &[ProofRecord] {
        &self.proofs
    }

    pub(crate) fn sha256(&self) -> Option<Sha256> {
        self.sha256.parse().ok()
    }

    pub(crate) fn role(&self) -> Option<FileRole> {
        ROLES
            .iter()
            .find(|(name, _)| *name == self.role)
            .map(|(_, role)| role.clone())
    }
}

fn role_name(role: &FileRole) -> &'static str {
    // A role that has no name here is handed over like a sidecar: kept, and not unpacked.
    ROLES
        .iter()
        .find(|(_, known)| known == role)
        .map_or("sidecar", |(name, _)| name)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

fn time(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_secs(seconds))
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

pub(crate) const MANIFEST: &str = "manifest.json";
const SCHEMA: u32 = 1;
const ROLES: [(&str, FileRole); 6] = [
    ("disk", FileRole::Disk),
    ("layer", FileRole::Layer),
    ("metadata", FileRole::Metadata),
    ("rootfs", FileRole::Rootfs),
    ("sidecar", FileRole::Sidecar),
    ("unified", FileRole::Unified),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let file = ImageFile::new("rootfs.tar.xz", FileRole::Rootfs);
        let image = Image::new(ImageId::new("r", "p", "b"), Vec::new())
            .with_expiry(Some(time(99)))
            .with_fingerprint(Sha256::of(b"image"))
            .with_property("release", "trusty");
        Manifest::new(
            &image,
            vec![ProofRecord::Channel {
                what: "a socket".to_owned(),
            }],
            time(7),
            vec![ManifestFile::new(&file, 3, Sha256::of(b"abc"), Vec::new())],
        )
    }

    #[test]
    fn reads_what_it_wrote() {
        let manifest = manifest();
        let json = serde_json::to_vec(&manifest).expect("JSON");
        let read = Manifest::parse(&json).expect("whole");
        assert_eq!(read, manifest);
        assert_eq!(read.id(), ImageId::new("r", "p", "b"));
        assert_eq!(read.expires_at(), Some(time(99)));
        assert_eq!(read.files[0].role(), Some(FileRole::Rootfs));
        assert_eq!((read.size(), read.fetched_at()), (3, time(7)));
    }

    #[test]
    fn reads_manifests_from_before_proofs_were_written_down() {
        let mut manifest = manifest();
        let json = serde_json::to_string(&manifest).expect("JSON");
        let channel = r#""proofs":[{"kind":"channel","what":"a socket"}],"#;
        let before = json.replace(channel, "").replace(r#","proofs":[]"#, "");
        assert!(!before.contains("proofs"), "{before}");
        manifest.proofs.clear();
        assert_eq!(Manifest::parse(before.as_bytes()), Some(manifest));
    }

    #[test]
    fn refuses_manifests_that_are_not_whole() {
        let json = serde_json::to_string(&manifest()).expect("JSON");
        for (from, to) in [
            ("\"schema\":1", "\"schema\":2"),
            ("rootfs.tar.xz", "../rootfs"),
            ("\"role\":\"rootfs\"", "\"role\":\"hat\""),
            ("\"sha256\":\"", "\"sha256\":\"x"),
            ("}]}", "}]"),
        ] {
            let spoiled = json.replace(from, to);
            assert_ne!(spoiled, json, "{from}");
            assert_eq!(Manifest::parse(spoiled.as_bytes()), None, "{to}");
        }
        assert_eq!(Manifest::parse(b""), None);
    }
}
