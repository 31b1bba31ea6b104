use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::error::{At, PublishError};
use crate::lxc_images::Mode;
use crate::tree::seconds;
use crate::xz;

/// What readers are told about an image: the small files in `meta.tar.xz`.
///
/// # Examples
/// ```
/// use imagestore_publish::Meta;
///
/// let meta = Meta::new("lxc.include = LXC_TEMPLATE_CONFIG/common.conf\nlxc.arch = x86_64\n")
///     .with_config_user("lxc.include = LXC_TEMPLATE_CONFIG/userns.conf\nlxc.arch = x86_64\n")
///     .with_templates(["/etc/hostname", "/etc/hosts"])
///     .with_create_message("You just created a container.\n");
/// # let _ = meta;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    members: BTreeMap<String, Vec<u8>>,
}

impl Meta {
    /// Metadata with this LXC configuration, for both modes unless there is another for users.
    #[must_use]
    pub fn new(config: impl Into<String>) -> Self {
        Self {
            members: BTreeMap::from([("config".to_owned(), config.into().into_bytes())]),
        }
    }

    /// The files of a directory, under the names they have in `meta.tar.xz`.
    ///
    /// # Errors
    /// [`PublishError::Meta`] if one has a name that means nothing there, is no regular file, or is larger than 1 MiB.
    pub fn from_directory(folder: &Path) -> Result<Self, PublishError> {
        let mut members = BTreeMap::new();
        for entry in fs::read_dir(folder).at("list", folder)? {
            let entry = entry.at("list", folder)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let metadata = entry.metadata().at("read", &entry.path())?;
            if !is_member(&name) {
                return Err(PublishError::meta(
                    "hold a file that means nothing to readers",
                    name,
                ));
            }
            if !metadata.is_file() || metadata.len() > MAX_MEMBER_BYTES {
                return Err(PublishError::meta(
                    "hold something that is no small regular file",
                    name,
                ));
            }
            members.insert(name, fs::read(entry.path()).at("read", &entry.path())?);
        }
        let meta = Self { members };
        meta.check()?;
        Ok(meta)
    }

    /// The LXC configuration for containers of users.
    #[must_use]
    pub fn with_config_user(self, config: impl Into<String>) -> Self {
        self.with("config-user", config.into())
    }

    /// The files below the root in which readers replace `LXC_NAME` and the other tokens.
    #[must_use]
    pub fn with_templates<'a>(self, paths: impl IntoIterator<Item = &'a str>) -> Self {
        self.with("templates", lines(paths))
    }

    /// From when on readers should ask for a newer build. Without it, 30 days after the build.
    #[must_use]
    pub fn with_expiry(self, expiry: SystemTime) -> Self {
        self.with("expiry", format!("{}\n", seconds(expiry)))
    }

    /// What a person is told who made a container of it.
    #[must_use]
    pub fn with_create_message(self, message: impl Into<String>) -> Self {
        self.with("create-message", message.into())
    }

    /// The patterns of what is not unpacked for users, such as `./dev/null`. Without it, the device nodes of a rootfs
    /// that is packed here.
    #[must_use]
    pub fn with_excludes_user<'a>(self, patterns: impl IntoIterator<Item = &'a str>) -> Self {
        self.with("excludes-user", lines(patterns))
    }

    fn with(mut self, name: &str, content: String) -> Self {
        self.members.insert(name.to_owned(), content.into_bytes());
        self
    }

    /// Fills in what a build knows.
    pub(crate) fn complete(mut self, built_at: SystemTime, devices: &[String]) -> Self {
        let expiry = format!("{}\n", seconds(built_at + EXPIRY)).into_bytes();
        self.members.entry("expiry".to_owned()).or_insert(expiry);
        if !devices.is_empty() {
            let excludes = lines(devices.iter().map(String::as_str)).into_bytes();
            self.members
                .entry("excludes-user".to_owned())
                .or_insert(excludes);
        }
        self
    }

    /// Writes `meta.tar.xz`: flat, in the order image servers use, owned by root.
    pub(crate) fn write(&self, built_at: SystemTime, to: impl Write) -> io::Result<()> {
        let mut tarball = tar::Builder::new(xz::encoder(to)?);
        for logical in LOGICAL {
            let members = self
                .members
                .iter()
                .filter(|(name, _)| logical_name(name) == Some(logical));
            for (name, content) in members {
                let mut header = tar::Header::new_ustar();
                header.set_mode(0o644);
                header.set_uid(0);
                header.set_gid(0);
                header.set_mtime(seconds(built_at));
                header.set_size(content.len() as u64);
                tarball.append_data(&mut header, name, content.as_slice())?;
            }
        }
        tarball.into_inner()?.finish()?.flush()
    }

    /// What `meta.tar.xz` at this path holds.
    pub(crate) fn read(path: &Path) -> Result<Self, PublishError> {
        let archive = |source| PublishError::Archive {
            path: path.to_owned(),
            source,
        };
        let mut members = BTreeMap::new();
        let mut tarball = tar::Archive::new(xz::decoder(path)?.take(MAX_TARBALL_BYTES));
        for entry in tarball.entries().map_err(archive)? {
            let mut entry = entry.map_err(archive)?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let name = name
                .strip_prefix("./")
                .unwrap_or(&name)
                .trim_end_matches('/')
                .to_owned();
            if name.is_empty() || name == "." {
                continue;
            }
            if entry.header().entry_type() != tar::EntryType::Regular || name.contains('/') {
                return Err(PublishError::meta(
                    "hold something that is no plain file",
                    name,
                ));
            }
            if entry.size() > MAX_MEMBER_BYTES || members.len() >= MAX_MEMBERS {
                return Err(PublishError::meta("hold more than readers take", name));
            }
            let mut content = Vec::new();
            entry.read_to_end(&mut content).map_err(archive)?;
            if members.insert(name.clone(), content).is_some() {
                return Err(PublishError::meta("hold a file twice", name));
            }
        }
        let meta = Self { members };
        meta.check()?;
        Ok(meta)
    }

    /// Whether readers in this mode find a configuration: `config-MODE`, or else `config`.
    pub(crate) fn serves(&self, mode: Mode) -> bool {
        self.members.contains_key(&format!("config-{mode}")) || self.members.contains_key("config")
    }

    /// Whether every file says what readers can make use of.
    pub(crate) fn check(&self) -> Result<(), PublishError> {
        if !self.serves(Mode::System) && !self.serves(Mode::User) {
            return Err(PublishError::meta("lack a file", "config"));
        }
        for (name, content) in &self.members {
            let text = String::from_utf8_lossy(content);
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let wrong = match logical_name(name) {
                Some("config") => lines
                    .filter(|line| line.starts_with("lxc."))
                    .find(|line| !line.contains('='))
                    .map(|line| ("have a line of LXC configuration without `=`", line)),
                Some("templates") => lines
                    .filter(|line| {
                        !line.starts_with('/') || line.split('/').any(|part| part == "..")
                    })
                    .map(|line| ("have a template that is no absolute path", line))
                    .next(),
                Some("expiry") => (text.trim().parse::<u64>().is_err())
                    .then_some(("have an expiry that is no number of seconds", text.trim())),
                _ => None,
            };
            if let Some((problem, line)) = wrong {
                return Err(PublishError::meta(problem, line));
            }
            if content.contains(&0) {
                return Err(PublishError::meta("have a zero byte in a text", name));
            }
        }
        Ok(())
    }
}

/// Whether readers look for a file of this name: `STEM`, `STEM-user`, `STEM-system`, each also with `.LEVEL`.
fn is_member(name: &str) -> bool {
    logical_name(name).is_some()
}

fn logical_name(name: &str) -> Option<&'static str> {
    let stem = match name.split_once('.') {
        Some((stem, level)) if !level.is_empty() && level.bytes().all(|b| b.is_ascii_digit()) => {
            stem
        }
        Some(_) => return None,
        None => name,
    };
    let stem = stem
        .strip_suffix("-user")
        .or_else(|| stem.strip_suffix("-system"))
        .unwrap_or(stem);
    LOGICAL.into_iter().find(|known| *known == stem)
}

fn lines<'a>(lines: impl IntoIterator<Item = &'a str>) -> String {
    lines.into_iter().map(|line| format!("{line}\n")).collect()
}

const LOGICAL: [&str; 6] = [
    "create-message",
    "expiry",
    "excludes",
    "config",
    "fstab",
    "templates",
];
const EXPIRY: Duration = Duration::from_secs(30 * 86_400);
const MAX_MEMBER_BYTES: u64 = 1 << 20;
const MAX_MEMBERS: usize = 100;
const MAX_TARBALL_BYTES: u64 = 64 << 20;
