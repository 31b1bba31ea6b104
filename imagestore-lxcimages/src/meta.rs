use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use imagestore_core::printable;

use crate::build;
use crate::config::{self, ConfigLine, Standing};
use crate::error::ParseError;
use crate::options::Mode;

/// What `meta.tar.xz` says about a build, for one mode and compat level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    config_text: Vec<u8>,
    config: Vec<ConfigLine>,
    fstab: Option<Vec<u8>>,
    templates: Vec<Vec<u8>>,
    excludes: Vec<Vec<u8>>,
    expiry: Expiry,
    create_message: Option<Vec<u8>>,
}

impl Metadata {
    /// What the members of a metadata tarball say, which must have been checked: their names and
    /// contents.
    ///
    /// Members with other names are ignored, those in folders too. Whoever reads the tarball lets
    /// only regular files through.
    ///
    /// # Errors
    /// [`ParseError`] if a member leaves its place or is there twice, if there is no config for the
    /// mode, or if a line says nothing that LXC understands.
    pub fn from_members<N, D>(
        members: impl IntoIterator<Item = (N, D)>,
        mode: Mode,
        compat: Option<u32>,
    ) -> Result<Self, ParseError>
    where
        N: AsRef<[u8]>,
        D: AsRef<[u8]>,
    {
        let files = Files::collect(members)?;
        let file = |logical: &str| files.relevant(logical, mode, compat);
        let Some(config_text) = file("config") else {
            return Err(ParseError::MissingConfig { mode: mode.name() });
        };
        Ok(Self {
            config: config::parse(config_text)?,
            config_text: config_text.to_vec(),
            fstab: file("fstab").map(<[u8]>::to_vec),
            templates: templates(file("templates").unwrap_or_default())?,
            excludes: entries(file("excludes").unwrap_or_default()),
            expiry: Expiry::parse(file("expiry")),
            create_message: file("create-message").map(<[u8]>::to_vec),
        })
    }

    /// The settings of the container config, in order.
    #[must_use]
    pub fn config(&self) -> &[ConfigLine] {
        &self.config
    }

    /// The settings that must not be used without asking.
    pub fn needs_consent(&self) -> impl Iterator<Item = &ConfigLine> {
        self.config
            .iter()
            .filter(|line| line.standing == Standing::NeedsConsent)
    }

    /// The lines of the container config as they stand in the image, comments included.
    pub fn config_lines(&self) -> impl Iterator<Item = &[u8]> {
        config::lines(&self.config_text)
    }

    /// Mounts for the container, in the form of `fstab`. Like a mount in the config they need
    /// consent.
    #[must_use]
    pub fn fstab(&self) -> Option<&[u8]> {
        self.fstab.as_deref()
    }

    /// Files inside the root file system in which tokens are to be replaced: absolute paths. Links
    /// in them must not be followed out of it.
    #[must_use]
    pub fn templates(&self) -> &[Vec<u8>] {
        &self.templates
    }

    /// What not to unpack: patterns as GNU tar takes them with `--anchored`, such as `./dev/null`.
    #[must_use]
    pub fn excludes(&self) -> &[Vec<u8>] {
        &self.excludes
    }

    /// Until when a kept copy may be used without asking the remote.
    #[must_use]
    pub fn expiry(&self) -> &Expiry {
        &self.expiry
    }

    /// What to tell who made a container of it, as it stands in the image.
    #[must_use]
    pub fn create_message(&self) -> Option<&[u8]> {
        self.create_message.as_deref()
    }

    /// What to tell who made a container of it, safe to show on a terminal, line by line.
    #[must_use]
    pub fn printable_message(&self) -> Option<Vec<String>> {
        let message = self.create_message.as_deref()?;
        let line = |line: &[u8]| printable(&String::from_utf8_lossy(line));
        Some(config::lines(message).map(line).collect())
    }

    /// Whether the build named in the create-message, where images name it as `(20240313_0500)`, is
    /// the one in the index.
    #[must_use]
    pub fn agrees_with_build(&self, build: &str) -> Agreement {
        let message = self.create_message.as_deref().unwrap_or_default();
        let (Some(said), Some(listed)) = (build_in(message), build::seconds(build)) else {
            return Agreement::Unsaid;
        };
        // An index may name the day alone.
        let unit = if build.contains(':') { 60 } else { 86_400 };
        if said / unit == listed / unit {
            Agreement::Same
        } else {
            Agreement::Different
        }
    }
}

/// Until when a kept copy of a build may be used without asking the remote.
///
/// A build past its expiry is no bad build: it may be the newest there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// Until then.
    At(SystemTime),
    /// For ever: the image says 0.
    Never,
    /// The image does not say, or says something that is no time; the remote must be asked.
    ///
    /// # Deviation
    /// The LXC template takes garbage for "never".
    Unknown {
        /// What it says, safe to show.
        found: Option<String>,
    },
}

impl Expiry {
    /// Whether the remote must be asked at this time.
    #[must_use]
    pub fn is_past(&self, now: SystemTime) -> bool {
        match self {
            Self::At(end) => *end < now,
            Self::Never => false,
            Self::Unknown { .. } => true,
        }
    }

    fn parse(file: Option<&[u8]>) -> Self {
        let Some(bytes) = file else {
            return Self::Unknown { found: None };
        };
        let text = String::from_utf8_lossy(bytes.trim_ascii());
        let seconds = text.parse::<i64>().ok().filter(|_| !text.starts_with('+'));
        let time = seconds.and_then(|seconds| {
            let distance = Duration::from_secs(seconds.unsigned_abs());
            match seconds {
                0.. => SystemTime::UNIX_EPOCH.checked_add(distance),
                _ => SystemTime::UNIX_EPOCH.checked_sub(distance),
            }
        });
        match (seconds, time) {
            (Some(0), _) => Self::Never,
            (_, Some(time)) => Self::At(time),
            _ => Self::Unknown {
                found: Some(printable(&text.chars().take(80).collect::<String>())),
            },
        }
    }
}

/// Whether an image names the build that the index gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// It names another one.
    Different,
    /// It names that one.
    Same,
    /// It names none, or the index has no date.
    Unsaid,
}

/// The known files of a metadata tarball by name.
struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    fn collect<N: AsRef<[u8]>, D: AsRef<[u8]>>(
        members: impl IntoIterator<Item = (N, D)>,
    ) -> Result<Self, ParseError> {
        let mut files = BTreeMap::new();
        for (name, data) in members {
            let name = name.as_ref();
            if name.starts_with(b"/") || name.split(|byte| *byte == b'/').any(|part| part == b"..")
            {
                let name = printable(&String::from_utf8_lossy(name));
                return Err(ParseError::MemberName { name });
            }
            let name = name.strip_prefix(b"./").unwrap_or(name);
            let Some(name) = std::str::from_utf8(name).ok().filter(|name| is_known(name)) else {
                continue;
            };
            if files
                .insert(name.to_owned(), data.as_ref().to_vec())
                .is_some()
            {
                return Err(ParseError::MemberTwice {
                    name: name.to_owned(),
                });
            }
        }
        Ok(Self(files))
    }

    /// The file for a logical name: with the mode's suffix if there is one, then with that of
    /// exactly this level if there is one. `X.4` does not count beside `X-user`, and `X-user.4`
    /// does not count without it.
    fn relevant(&self, logical: &str, mode: Mode, compat: Option<u32>) -> Option<&[u8]> {
        let with_mode = format!("{logical}-{mode}");
        let stem = if self.0.contains_key(&with_mode) {
            &with_mode
        } else {
            logical
        };
        let exact = compat.and_then(|level| self.0.get(&format!("{stem}.{level}")));
        exact.or_else(|| self.0.get(stem)).map(Vec::as_slice)
    }
}

fn is_known(name: &str) -> bool {
    let stem = match name.rsplit_once('.') {
        Some((stem, level)) if !level.is_empty() && level.bytes().all(|b| b.is_ascii_digit()) => {
            stem
        }
        _ => name,
    };
    let stem = stem
        .strip_suffix("-user")
        .or(stem.strip_suffix("-system"))
        .unwrap_or(stem);
    LOGICAL.contains(&stem)
}

fn entries(bytes: &[u8]) -> Vec<Vec<u8>> {
    config::lines(bytes)
        .filter(|line| !line.trim_ascii().is_empty())
        .map(<[u8]>::to_vec)
        .collect()
}

fn templates(bytes: &[u8]) -> Result<Vec<Vec<u8>>, ParseError> {
    let paths = entries(bytes);
    for path in &paths {
        let leaves = path.split(|byte| *byte == b'/').any(|part| part == b"..");
        if leaves || path.contains(&0) {
            let path = printable(&String::from_utf8_lossy(path));
            return Err(ParseError::TemplatePath { path });
        }
    }
    Ok(paths)
}

/// The time in the first text of the form `20240313_0500` or `20240313_05:00`, in seconds since
/// 1970.
fn build_in(message: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(message);
    text.split(|c: char| !c.is_ascii_digit() && c != '_' && c != ':')
        .find_map(|word| {
            let (day, time) = word.split_once('_')?;
            let time = time.replace(':', "");
            let (hour, minute) = time.split_at_checked(2)?;
            build::seconds(&format!("{day}_{hour}:{minute}"))
        })
}

const LOGICAL: [&str; 6] = [
    "config",
    "create-message",
    "excludes",
    "expiry",
    "fstab",
    "templates",
];

#[cfg(test)]
mod tests;
