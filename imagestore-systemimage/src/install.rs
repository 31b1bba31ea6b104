use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use imagestore_core::{Error, ErrorKind, Result};
use imagestore_unpack::{Layer, LayerApplier, LayerBase, UnpackError, Unpacked};
use imagestore_verify::Verified;
use rustix::fs::{AtFlags, Dir, Mode, OFlags, fsync, openat, renameat, unlinkat};
use rustix::io::Errno;

use crate::channel_ini::ChannelIni;
use crate::source::unpack_kind;

/// What the layers of an image must turn out to be: the index says it, and the version tarball in
/// them must say the same.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Expected {
    /// The channels it may name as its own.
    pub channels: Vec<String>,
    /// The device.
    pub device: String,
    /// The build.
    pub version: u32,
    /// The build that must be there before; none if nothing may be there.
    pub base: Option<u32>,
    /// How many layers, from the first, belong to a full image.
    pub full_layers: usize,
}

impl Expected {
    /// What the properties of an image of this protocol say; nothing if it is of another.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] if they say half of it.
    pub fn from_properties(properties: &BTreeMap<String, String>) -> Result<Option<Self>> {
        let Some(full_layers) = properties.get("full_layers") else {
            return Ok(None);
        };
        let missing = |name: &str| {
            let message = format!("the image has no usable property `{name}`");
            Error::new(ErrorKind::Malformed, message)
        };
        let text = |name: &str| properties.get(name).ok_or_else(|| missing(name));
        let base = properties.get("base").map(|base| base.parse());
        Ok(Some(Self {
            channels: text("channels")?.split(' ').map(str::to_owned).collect(),
            device: text("device")?.clone(),
            version: text("version")?.parse().map_err(|_| missing("version"))?,
            base: base.transpose().map_err(|_| missing("base"))?,
            full_layers: full_layers.parse().map_err(|_| missing("full_layers"))?,
        }))
    }
}

/// A layer that is here and checked.
#[derive(Debug)]
pub struct LayerFile {
    /// The name it is kept under.
    pub name: String,
    /// Its content.
    pub archive: Verified<File>,
}

/// Applies the layers of an image to a directory: an empty one, or one with the build they lead on
/// from.
///
/// All layers are looked through before the first is applied, and the version tarball among them
/// must be of the expected channel, device and build. A directory that is upgraded in place gets a
/// journal; if the upgrade breaks off, the same call goes on with it.
///
/// # Errors
/// [`ErrorKind::InvalidConfig`] if the directory holds something else, [`ErrorKind::Untrusted`] if
/// the layers are of another channel, device or build, and those of
/// [`LayerApplier::apply`](imagestore_unpack::LayerApplier::apply).
pub fn install(
    layers: &[LayerFile],
    expected: &Expected,
    directory: impl AsFd,
    applier: &LayerApplier,
) -> Result<Unpacked> {
    let directory = directory.as_fd();
    let mut read = Vec::with_capacity(layers.len());
    for file in layers {
        let layer = Layer::read(&file.archive, applier.limits(), &[CHANNEL_INI.as_bytes()])
            .map_err(|cause| refused(&file.name, cause))?;
        read.push(layer);
    }
    check_binding(layers, &read, expected)?;
    let journal = Journal::begin(directory, expected)?;
    let mut sum = Unpacked::default();
    for (place, (file, layer)) in layers.iter().zip(&read).enumerate() {
        let base = if place < expected.full_layers {
            LayerBase::Nothing
        } else {
            LayerBase::Tree
        };
        let counts = applier
            .apply(&file.archive, layer, base, directory)
            .map_err(|cause| refused(&file.name, cause))?;
        add(&mut sum, &counts);
    }
    // What was placed last decides, so the tree itself is asked.
    match installed(directory)? {
        Some(ini) if ini.build_number == expected.version => {}
        found => {
            let found = found.map_or("none".to_owned(), |ini| ini.build_number.to_string());
            return Err(Error::new(
                ErrorKind::Malformed,
                format!("became build {found}, not {}", expected.version),
            ));
        }
    }
    journal.end(directory)?;
    Ok(sum)
}

/// What is installed in a directory, by its own word.
///
/// # Errors
/// [`ErrorKind::Malformed`] if it says nothing that can be read, [`ErrorKind::Storage`].
pub fn installed(directory: impl AsFd) -> Result<Option<ChannelIni>> {
    let bytes = read_below(directory.as_fd(), CHANNEL_INI)?;
    bytes.map(|bytes| ChannelIni::parse(&bytes)).transpose()
}

/// Whether the version tarballs are of the expected channel, device and, the last, build.
///
/// A signature covers bytes and no names: without this the signed files of another device could be
/// served under our path.
fn check_binding(files: &[LayerFile], layers: &[Layer], expected: &Expected) -> Result<()> {
    let mut build = None;
    for (file, layer) in files.iter().zip(layers) {
        let Some(bytes) = layer.file(CHANNEL_INI.as_bytes()) else {
            continue;
        };
        let about = |error: Error| error.with_subject(&file.name);
        let ini = ChannelIni::parse(bytes).map_err(about)?;
        let other = |what: &str, found: &str, wanted: &str| {
            let found = crate::json::short(found);
            let message = format!("is of {what} `{found}`, not `{wanted}`");
            Err(about(Error::new(ErrorKind::Untrusted, message)))
        };
        if ini.device != expected.device {
            return other("device", &ini.device, &expected.device);
        }
        if !expected.channels.contains(&ini.channel) {
            return other("channel", &ini.channel, &expected.channels.join("` or `"));
        }
        build = Some((ini.build_number, &file.name));
    }
    match build {
        Some((found, _)) if found == expected.version => Ok(()),
        Some((found, name)) => Err(Error::new(
            ErrorKind::Untrusted,
            format!("is of build {found}, not {}", expected.version),
        )
        .with_subject(name)),
        None => Err(Error::new(
            ErrorKind::Untrusted,
            "no layer says of which channel, device and build it is",
        )),
    }
}

/// Says in the directory what it is being turned into, as long as it is.
struct Journal {
    is_kept: bool,
}

impl Journal {
    fn begin(directory: BorrowedFd<'_>, expected: &Expected) -> Result<Self> {
        let Some(base) = expected.base else {
            check_empty(directory)?;
            return Ok(Self { is_kept: false });
        };
        let line = format!("{base} {}\n", expected.version);
        if let Some(found) = read_below(directory, JOURNAL)? {
            if found == line.as_bytes() {
                return Ok(Self { is_kept: true });
            }
            let found = String::from_utf8_lossy(&found);
            let (from, to) = found.trim().split_once(' ').unwrap_or(("?", "?"));
            let (from, to) = (crate::json::short(from), crate::json::short(to));
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                format!("an upgrade from build {from} to {to} was broken off in the directory"),
            )
            .with_remedy(format!("apply {from}..{to} again")));
        }
        let there = installed(directory)?;
        let fits = there
            .as_ref()
            .is_some_and(|ini| ini.build_number == base && ini.device == expected.device);
        if !fits {
            let found = there.map_or("nothing that is known".to_owned(), |ini| {
                format!("build {} of `{}`", ini.build_number, ini.device)
            });
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                format!(
                    "the delta leads on from build {base} of `{}`, and the directory holds {found}",
                    expected.device
                ),
            ));
        }
        write(directory, &line).map_err(|cause| storage("write the journal", cause))?;
        Ok(Self { is_kept: true })
    }

    fn end(self, directory: BorrowedFd<'_>) -> Result<()> {
        if self.is_kept {
            unlinkat(directory, JOURNAL, AtFlags::empty())
                .map_err(|errno| storage("remove the journal", errno))?;
        }
        Ok(())
    }
}

fn write(directory: BorrowedFd<'_>, line: &str) -> std::io::Result<()> {
    let flags =
        OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(openat(
        directory,
        NEW_JOURNAL,
        flags,
        Mode::RUSR | Mode::WUSR,
    )?);
    file.write_all(line.as_bytes())?;
    fsync(&file)?;
    renameat(directory, NEW_JOURNAL, directory, JOURNAL)?;
    Ok(())
}

fn check_empty(directory: BorrowedFd<'_>) -> Result<()> {
    let failed = |errno: Errno| storage("list the directory", errno);
    for entry in Dir::read_from(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "a full image needs an empty directory",
            ));
        }
    }
    Ok(())
}

/// A small file below a directory; no component of its path may be a link.
fn read_below(directory: BorrowedFd<'_>, path: &str) -> Result<Option<Vec<u8>>> {
    let failed = |errno: Errno| storage(&format!("read {path}"), errno);
    let mut above: Option<OwnedFd> = None;
    let mut components = path.split('/').peekable();
    while let Some(component) = components.next() {
        let from = above.as_ref().map_or(directory, AsFd::as_fd);
        let mut flags = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY | OFlags::NONBLOCK;
        if components.peek().is_some() {
            flags |= OFlags::DIRECTORY;
        }
        match openat(from, component, flags, Mode::empty()) {
            Ok(fd) => above = Some(fd),
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(failed(errno)),
        }
    }
    let Some(fd) = above else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    File::from(fd)
        .take(MAX_SMALL)
        .read_to_end(&mut bytes)
        .map_err(|cause| storage(&format!("read {path}"), cause))?;
    Ok(Some(bytes))
}

fn add(sum: &mut Unpacked, counts: &Unpacked) {
    sum.files += counts.files;
    sum.directories += counts.directories;
    sum.symlinks += counts.symlinks;
    sum.hard_links += counts.hard_links;
    sum.fifos += counts.fifos;
    sum.devices += counts.devices;
    sum.devices_skipped += counts.devices_skipped;
    sum.xattrs_dropped += counts.xattrs_dropped;
    sum.set_ids_dropped += counts.set_ids_dropped;
    sum.bytes += counts.bytes;
}

fn refused(name: &str, cause: UnpackError) -> Error {
    Error::new(unpack_kind(&cause), format!("{name} is not applied")).with_source(cause)
}

fn storage(what: &str, cause: impl Into<std::io::Error>) -> Error {
    Error::new(ErrorKind::Storage, format!("cannot {what}")).with_source(cause.into())
}

const CHANNEL_INI: &str = "system/etc/system-image/channel.ini";
const JOURNAL: &str = ".system-image-upgrade";
const NEW_JOURNAL: &str = ".system-image-upgrade.new";
const MAX_SMALL: u64 = 1 << 20;
