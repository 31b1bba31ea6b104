use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use bytes::Bytes;
use imagestore_core::{Error, ErrorKind, Result};
use imagestore_verify::{Spool, StreamingCheck, Unverified};

use crate::files::Layer;

/// What a recovery is given to install a build: the files, and the script that names them.
///
/// Everything in it was verified before; the recovery verifies once more.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HandOver {
    /// The text of `ubuntu_command`.
    pub command: String,
    /// The keyrings, in the order in which they are loaded.
    pub keyrings: Vec<HandedKeyring>,
    /// The files, in the order in which they are applied, each once.
    pub layers: Vec<Layer>,
}

/// A keyring for a recovery, with its signature.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HandedKeyring {
    /// `image-master.tar.xz`, …
    pub name: String,
    /// The tarball.
    pub tarball: Bytes,
    /// What lies beside it, as it was sent; the tarball was checked with it.
    pub asc: Unverified<Bytes>,
}

impl HandOver {
    /// The names of all files of a recovery's folder but `ubuntu_command`, each once.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let keyrings = self
            .keyrings
            .iter()
            .flat_map(|keyring| [keyring.name.clone(), format!("{}.asc", keyring.name)]);
        let layers = self
            .layers
            .iter()
            .flat_map(|layer| [layer.name.clone(), layer.signature_name.clone()]);
        keyrings.chain(layers).collect()
    }

    /// Writes the keyrings and the files into a folder, made if it is missing, and
    /// `ubuntu_command` last and in one step: a recovery that finds it finds everything.
    ///
    /// `open` gives the verified content of a layer and then that of its signature.
    ///
    /// # Errors
    /// [`ErrorKind::Storage`] if something cannot be read or written.
    pub fn write(
        &self,
        folder: &Path,
        mut open: impl FnMut(&Layer) -> io::Result<(Box<dyn Read>, Box<dyn Read>)>,
    ) -> Result<()> {
        let failed = |name: &str, cause: io::Error| {
            Error::new(ErrorKind::Storage, "cannot hand over")
                .with_subject(folder.join(name).display())
                .with_source(cause)
        };
        fs::create_dir_all(folder).map_err(|cause| failed("", cause))?;
        // A script of an earlier attempt must not meet half of the files of this one.
        remove(&folder.join(COMMAND)).map_err(|cause| failed(COMMAND, cause))?;
        for keyring in &self.keyrings {
            let name = keyring.name.as_str();
            create(folder, name, &mut &keyring.tarball[..]).map_err(|cause| failed(name, cause))?;
            let name = format!("{name}.asc");
            spool(folder, &name, &keyring.asc).map_err(|cause| failed(&name, cause))?;
        }
        for layer in &self.layers {
            let (mut data, mut asc) = open(layer).map_err(|cause| failed(&layer.name, cause))?;
            create(folder, &layer.name, &mut data).map_err(|cause| failed(&layer.name, cause))?;
            create(folder, &layer.signature_name, &mut asc)
                .map_err(|cause| failed(&layer.signature_name, cause))?;
        }
        let new = format!("{COMMAND}.new");
        create(folder, &new, &mut self.command.as_bytes())
            .and_then(|()| fs::rename(folder.join(&new), folder.join(COMMAND)))
            .and_then(|()| File::open(folder)?.sync_all())
            .map_err(|cause| failed(COMMAND, cause))
    }
}

/// The script for a recovery.
pub(crate) fn command(keyrings: &[HandedKeyring], layers: &[Layer], formats: bool) -> String {
    let mut lines: Vec<String> = keyrings
        .iter()
        .map(|keyring| format!("load_keyring {0} {0}.asc", keyring.name))
        .collect();
    if formats {
        lines.push("format system".to_owned());
    }
    lines.push("mount system".to_owned());
    lines.extend(
        layers
            .iter()
            .map(|layer| format!("update {} {}", layer.name, layer.signature_name)),
    );
    lines.push("unmount system".to_owned());
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn create(folder: &Path, name: &str, from: &mut dyn Read) -> io::Result<()> {
    let mut file = fresh(folder, name)?;
    io::copy(from, &mut file)?;
    file.flush()?;
    file.sync_all()
}

fn spool(folder: &Path, name: &str, bytes: &Unverified<Bytes>) -> io::Result<()> {
    let mut spool = Spool::new(fresh(folder, name)?, StreamingCheck::new());
    spool.write(bytes)?;
    spool.sync_all()
}

fn fresh(folder: &Path, name: &str) -> io::Result<File> {
    let path = folder.join(name);
    remove(&path)?;
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

const COMMAND: &str = "ubuntu_command";
