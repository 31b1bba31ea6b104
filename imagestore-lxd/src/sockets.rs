use std::env;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::ErrorKind::{NotFound, PermissionDenied};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use imagestore_core::{Error, ErrorKind, RemoteUrl, Result};

/// Whose host is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Incus.
    Incus,
    /// LXD.
    Lxd,
}

impl Family {
    /// The name of its protocol.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Incus => "incus",
            Self::Lxd => "lxd",
        }
    }

    /// The host of this machine, where its own programs would look for it.
    ///
    /// # Defaults
    /// | LXD | Incus |
    /// |---|---|
    /// | `$LXD_SOCKET` | `$INCUS_SOCKET` |
    /// | `$LXD_DIR/unix.socket` | `$INCUS_DIR/unix.socket` |
    /// | `/var/snap/lxd/common/lxd/unix.socket`, if it can be written to | `/run/incus/unix.socket` |
    /// | `/var/lib/lxd/unix.socket` | `/var/lib/incus/unix.socket` |
    ///
    /// For whoever may not write to the `unix.socket` of Incus, `unix.socket.user` beside it is
    /// meant, if that can be written to.
    ///
    /// What the environment names is taken without looking for anything else. For daemons, whose
    /// environment is somebody else's, there is [`Family::local_with`].
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no socket in any of the places, which it names.
    pub fn local(self) -> Result<RemoteUrl> {
        self.local_with(|name| env::var_os(name))
    }

    /// The same, in an environment that is given.
    ///
    /// # Errors
    /// Those of [`Family::local`].
    pub fn local_with(self, environment: impl Fn(&str) -> Option<OsString>) -> Result<RemoteUrl> {
        self.search(&environment, Path::new("/"))
    }

    /// The host of this machine, if somebody listens there and this user may talk to it. Of the
    /// places of [`Family::local`] it is the first that is so.
    ///
    /// Nobody is talked to if it can be helped, since a connection starts a daemon whose socket is
    /// held for it: what the kernel lists as listening is. A socket that is not listed, because it
    /// comes from another namespace, is connected to.
    #[must_use]
    pub fn live(self) -> Option<RemoteUrl> {
        self.live_with(|name| env::var_os(name))
    }

    /// The same, in an environment that is given.
    #[must_use]
    pub fn live_with(self, environment: impl Fn(&str) -> Option<OsString>) -> Option<RemoteUrl> {
        self.search_live(&environment, Path::new("/"))
    }

    fn search(
        self,
        environment: &dyn Fn(&str) -> Option<OsString>,
        root: &Path,
    ) -> Result<RemoteUrl> {
        let directories = match self.places(environment, root) {
            Places::Directory(directory) => {
                let found = self.choose(&directory);
                return self.url(&found.unwrap_or_else(|| directory.join(SOCKET)));
            }
            Places::Socket(socket) => return self.url(&socket),
            Places::Usual(directories) => directories,
        };
        let snap = root.join(SNAP);
        // The snap's socket may be there for others while the packaged host is in use.
        let found = directories
            .iter()
            .filter_map(|directory| self.choose(directory))
            .find(|socket| !socket.starts_with(&snap) || is_writable(socket));
        if let Some(socket) = found {
            return self.url(&socket);
        }
        let looked: Vec<_> = self
            .usual()
            .map(|place| format!("/{place}/{SOCKET}"))
            .into();
        Err(Error::new(
            ErrorKind::NotFound,
            format!("there is no {} host on this machine", self.name()),
        )
        .with_subject(looked.join(", ")))
    }

    fn search_live(
        self,
        environment: &dyn Fn(&str) -> Option<OsString>,
        root: &Path,
    ) -> Option<RemoteUrl> {
        let sockets = match self.places(environment, root) {
            Places::Directory(directory) => self.sockets(&directory),
            Places::Socket(socket) => vec![socket],
            Places::Usual(directories) => directories
                .iter()
                .flat_map(|directory| self.sockets(directory))
                .collect(),
        };
        let live = sockets.into_iter().find(|socket| is_live(socket))?;
        self.url(&live).ok()
    }

    fn places(self, environment: &dyn Fn(&str) -> Option<OsString>, root: &Path) -> Places {
        let set = |name: &str| environment(name).filter(|value| !value.is_empty());
        let (socket, directory) = match self {
            Self::Incus => (set("INCUS_SOCKET"), set("INCUS_DIR")),
            Self::Lxd => (set("LXD_SOCKET"), set("LXD_DIR")),
        };
        match (socket, directory) {
            (Some(socket), _) => Places::Socket(socket.into()),
            (None, Some(directory)) => Places::Directory(directory.into()),
            (None, None) => Places::Usual(self.usual().map(|place| root.join(place))),
        }
    }

    /// The directories it is in, below the root.
    fn usual(self) -> [&'static str; 2] {
        match self {
            Self::Incus => ["run/incus", "var/lib/incus"],
            Self::Lxd => [SNAP, "var/lib/lxd"],
        }
    }

    /// The sockets it may have in a directory, the one for everything first.
    fn sockets(self, directory: &Path) -> Vec<PathBuf> {
        let names = match self {
            Self::Incus => &[SOCKET, USER_SOCKET][..],
            Self::Lxd => &[SOCKET],
        };
        names.iter().map(|name| directory.join(name)).collect()
    }

    /// The socket its own programs take in a directory.
    fn choose(self, directory: &Path) -> Option<PathBuf> {
        let sockets = self.sockets(directory);
        let writable = sockets.iter().find(|socket| is_writable(socket));
        // One that is there and forbidden is an answer as well: it says who has to be asked.
        let there = sockets.first().filter(|socket| is_socket(socket));
        writable.or(there).cloned()
    }

    fn url(self, path: &Path) -> Result<RemoteUrl> {
        let text = path.to_str().ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidConfig,
                "the path of a socket is not UTF-8",
            )
            .with_subject(path.display())
        })?;
        format!("unix+{}://{text}", self.name()).parse()
    }
}

/// Where a host of this machine may be.
enum Places {
    /// Where the environment says that its files are.
    Directory(PathBuf),
    /// Where the environment says that its socket is.
    Socket(PathBuf),
    Usual([PathBuf; 2]),
}

fn is_live(path: &Path) -> bool {
    let is_abstract = path.as_os_str().as_bytes().starts_with(b"@");
    if !is_abstract && !is_writable(path) {
        return false;
    }
    let table = fs::read("/proc/net/unix").unwrap_or_default();
    is_listed(&table, path.as_os_str().as_bytes()) || (!is_abstract && is_answered(path))
}

/// Whether a table in the form of `/proc/net/unix` has a stream socket of this name that listens.
fn is_listed(table: &[u8], name: &[u8]) -> bool {
    table.split(|byte| *byte == b'\n').any(|line| {
        // A name may hold spaces, so it is cut off from behind.
        let head = line
            .strip_suffix(name)
            .and_then(|head| head.strip_suffix(b" "));
        let head = head.and_then(|head| str::from_utf8(head).ok());
        let fields: Vec<_> = head.unwrap_or_default().split_ascii_whitespace().collect();
        matches!(fields[..], [_, _, _, "00010000", "0001", _, _])
    })
}

/// Whether a connection is taken.
fn is_answered(path: &Path) -> bool {
    let (sender, receiver) = mpsc::channel();
    let path = path.to_owned();
    thread::spawn(move || sender.send(UnixStream::connect(path).is_ok()));
    // That nobody listens is said at once; it takes long only where a listener's queue is full.
    receiver.recv_timeout(PATIENCE).unwrap_or(true)
}

/// Links do not count: no request follows them either.
fn is_socket(path: &Path) -> bool {
    path.symlink_metadata()
        .is_ok_and(|found| found.file_type().is_socket())
}

/// A socket cannot be opened as a file; with the rights for it, that is what the kernel says.
fn is_writable(path: &Path) -> bool {
    is_socket(path)
        && match OpenOptions::new().write(true).open(path) {
            Ok(_) => true,
            Err(error) => !matches!(error.kind(), NotFound | PermissionDenied),
        }
}

const PATIENCE: Duration = Duration::from_secs(1);
const SNAP: &str = "var/snap/lxd/common/lxd";
const SOCKET: &str = "unix.socket";
const USER_SOCKET: &str = "unix.socket.user";

#[cfg(test)]
mod tests;
