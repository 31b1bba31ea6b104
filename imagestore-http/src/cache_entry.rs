use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use imagestore_core::Validators;
use imagestore_verify::{Sha256, Spool, StreamingCheck, Unverified};
use sha2::{Digest, Sha256 as Hasher};

/// What is noted beside the bytes of a kept document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) url: String,
    pub(crate) validators: Validators,
    pub(crate) content_type: Option<String>,
    length: u64,
    /// Tells a whole copy from a damaged one. It proves nothing about where the bytes came from.
    sha256: Sha256,
}

impl Label {
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        if lines.next()? != FORMAT {
            return None;
        }
        let mut field = |name: &str| {
            let value = lines.next()?.strip_prefix(name)?.strip_prefix(' ')?;
            Some(value.to_owned())
        };
        let optional = |value: String| Some(value).filter(|value| !value.is_empty());
        let label = Self {
            url: field("url")?,
            length: field("length")?.parse().ok()?,
            sha256: field("sha256")?.parse().ok()?,
            validators: Validators {
                etag: optional(field("etag")?),
                last_modified: optional(field("last-modified")?),
            },
            content_type: optional(field("content-type")?),
        };
        lines.next().is_none().then_some(label)
    }

    fn print(&self) -> String {
        let optional = |value: &Option<String>| value.clone().unwrap_or_default();
        format!(
            "{FORMAT}\nurl {}\nlength {}\nsha256 {}\netag {}\nlast-modified {}\ncontent-type {}\n",
            self.url,
            self.length,
            self.sha256,
            optional(&self.validators.etag),
            optional(&self.validators.last_modified),
            optional(&self.content_type),
        )
    }
}

/// A kept document.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) label: Label,
    pub(crate) bytes: Bytes,
    /// When it was fetched.
    pub(crate) fetched: SystemTime,
}

/// The place of one document: two files, its bytes and their label.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    directory: PathBuf,
    name: String,
    url: String,
}

impl Slot {
    /// The place of what this remote has at this URL. Remotes share nothing.
    pub(crate) fn new(directory: &Path, remote: &str, url: &str) -> Self {
        let mut hasher = Hasher::new();
        hasher.update((remote.len() as u64).to_be_bytes());
        hasher.update(remote);
        hasher.update(url);
        let name = Sha256::from_bytes(hasher.finalize().into()).to_string();
        Self {
            directory: directory.to_owned(),
            name,
            url: url.to_owned(),
        }
    }

    /// What is kept there. What is damaged is removed.
    pub(crate) fn load(&self) -> Option<Kept> {
        match self.try_load() {
            Ok(kept) => kept.or_else(|| {
                self.clear();
                None
            }),
            // Nothing there, or a disk that does not answer.
            Err(_) => None,
        }
    }

    /// Removes what is kept there.
    pub(crate) fn clear(&self) {
        for ending in [LABEL, BODY] {
            fs::remove_file(self.path(ending)).ok();
        }
    }

    fn try_load(&self) -> io::Result<Option<Kept>> {
        let (text, fetched) = read(&self.path(LABEL), LONGEST_LABEL)?;
        let Some(label) = std::str::from_utf8(&text).ok().and_then(Label::parse) else {
            return Ok(None);
        };
        let (bytes, _) = match read(&self.path(BODY), LONGEST_KEPT) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        let whole = label.url == self.url
            && label.length == bytes.len() as u64
            && label.sha256 == Sha256::of(&bytes);
        Ok(whole.then(|| Kept {
            label,
            bytes: bytes.into(),
            fetched,
        }))
    }

    fn path(&self, ending: &str) -> PathBuf {
        self.directory.join(format!("{}.{ending}", self.name))
    }
}

/// A document being kept while it passes. Dropped before the end, it leaves nothing.
#[derive(Debug)]
pub(crate) struct Keeping {
    slot: Slot,
    // Writes what nobody may read yet; there is nothing to check against.
    spool: Spool,
    file: File,
    temporary: Temporary,
    validators: Validators,
    content_type: Option<String>,
}

impl Keeping {
    pub(crate) fn begin(
        slot: Slot,
        validators: Validators,
        content_type: Option<String>,
    ) -> io::Result<Self> {
        let temporary = Temporary::new(&slot);
        let file = temporary.create()?;
        let spool = Spool::new(file.try_clone()?, StreamingCheck::new());
        Ok(Self {
            slot,
            spool,
            file,
            temporary,
            validators,
            content_type,
        })
    }

    pub(crate) fn write(&mut self, bytes: &Unverified<Bytes>) -> io::Result<()> {
        if self.spool.len() + bytes.len() as u64 > LONGEST_KEPT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.spool.write(bytes)
    }

    /// Puts the bytes and their label in place.
    ///
    /// A crash or another process in between leaves a pair that does not fit and is removed when read.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        let length = self.spool.len();
        self.file.seek(SeekFrom::Start(0))?;
        let mut hasher = Hasher::new();
        io::copy(&mut self.file, &mut hasher)?;
        let line = |text: Option<String>| text.filter(|text| !text.contains(char::is_control));
        let label = Label {
            url: self.slot.url.clone(),
            validators: Validators {
                etag: line(self.validators.etag),
                last_modified: line(self.validators.last_modified),
            },
            content_type: line(self.content_type),
            length,
            sha256: Sha256::from_bytes(hasher.finalize().into()),
        };
        let text = Temporary::new(&self.slot);
        text.create()?.write_all(label.print().as_bytes())?;
        fs::rename(&self.temporary.0, self.slot.path(BODY))?;
        fs::rename(&text.0, self.slot.path(LABEL))
    }
}

/// Removes documents that were fetched longer ago than `age`, and what crashes left; how many files.
pub(crate) fn prune(directory: &Path, age: Duration, now: SystemTime) -> io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let ending = Path::new(&name)
            .extension()
            .and_then(|ending| ending.to_str());
        let limit = match ending {
            Some(BODY | LABEL) => age,
            Some(TEMPORARY) => age.min(LONGEST_FETCH),
            _ => continue,
        };
        let written = entry.metadata().and_then(|found| found.modified());
        let old = written.is_ok_and(|time| now.duration_since(time).is_ok_and(|age| age > limit));
        if old && fs::remove_file(entry.path()).is_ok() {
            removed += 1;
        }
    }
    Ok(removed)
}

/// A file under a name of its own, removed unless it is renamed.
#[derive(Debug)]
struct Temporary(PathBuf);

impl Temporary {
    fn new(slot: &Slot) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{}-{count}.{TEMPORARY}", slot.name, std::process::id());
        Self(slot.directory.join(name))
    }

    fn create(&self) -> io::Result<File> {
        // What a killed process with our number left behind.
        fs::remove_file(&self.0).ok();
        OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.0)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        fs::remove_file(&self.0).ok();
    }
}

fn read(path: &Path, limit: u64) -> io::Result<(Vec<u8>, SystemTime)> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    let written = file.metadata()?.modified()?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    // Too long is as good as damaged: the length will not fit.
    bytes.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok((bytes, written))
}

const FORMAT: &str = "imagestore document 1";
const BODY: &str = "body";
const LABEL: &str = "label";
const TEMPORARY: &str = "tmp";
const LONGEST_LABEL: u64 = 64 << 10;
const LONGEST_KEPT: u64 = 64 << 20;
const LONGEST_FETCH: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use super::*;

    fn label() -> Label {
        Label {
            url: "https://a.example/x".to_owned(),
            validators: Validators {
                etag: Some("\"a b\"".to_owned()),
                last_modified: None,
            },
            content_type: Some("text/plain; charset=utf-8".to_owned()),
            length: 7,
            sha256: Sha256::of(b"content"),
        }
    }

    #[test]
    fn labels_print_and_parse_to_the_same() {
        assert_eq!(Label::parse(&label().print()), Some(label()));
    }

    #[test]
    fn refuses_labels_that_are_cut_changed_or_of_another_format() {
        let text = label().print();
        for end in 0..text.len() {
            assert_eq!(Label::parse(&text[..end]), None, "cut at {end}");
        }
        let changes = [
            ("document 1", "document 2"),
            ("length 7", "length x"),
            ("etag", "tag"),
        ];
        for (old, new) in changes {
            assert_eq!(Label::parse(&text.replace(old, new)), None, "{new}");
        }
        assert_eq!(Label::parse(&format!("{text}more\n")), None);
    }

    #[test]
    fn remotes_share_no_slot() {
        let slot = |remote: &str, url: &str| Slot::new(Path::new("d"), remote, url).name;
        let one = slot("https+registry://a.example", "https://a.example/x");
        assert_ne!(
            one,
            slot("https+lxc-images://a.example", "https://a.example/x")
        );
        assert_ne!(
            one,
            slot("https+registry://a.example", "https://a.example/y")
        );
        assert_ne!(slot("ab", "c"), slot("a", "bc"));
    }
}
