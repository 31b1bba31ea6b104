use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

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
    /// | `$LXD_DIR/unix.socket` | `$INCUS_DIR/unix.socket`, else `unix.socket.user` there |
    /// | `/var/snap/lxd/common/lxd/unix.socket`, if it can be written to | `/run/incus/unix.socket` |
    /// | `/var/lib/lxd/unix.socket` | `/var/lib/incus/unix.socket` |
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

    fn search(
        self,
        environment: &dyn Fn(&str) -> Option<OsString>,
        root: &Path,
    ) -> Result<RemoteUrl> {
        let set = |name: &str| environment(name).filter(|value| !value.is_empty());
        let (socket, directory) = match self {
            Self::Incus => (set("INCUS_SOCKET"), set("INCUS_DIR")),
            Self::Lxd => (set("LXD_SOCKET"), set("LXD_DIR")),
        };
        if let Some(socket) = socket {
            return self.url(&socket);
        }
        if let Some(directory) = directory {
            let directory = PathBuf::from(directory);
            let mut socket = directory.join("unix.socket");
            if self == Self::Incus && !is_socket(&socket) && is_socket(&directory.join(USER_SOCKET))
            {
                socket = directory.join(USER_SOCKET);
            }
            return self.url(socket.as_os_str());
        }
        let places = match self {
            Self::Incus => ["run/incus/unix.socket", "var/lib/incus/unix.socket"],
            Self::Lxd => [SNAP_SOCKET, "var/lib/lxd/unix.socket"],
        };
        for place in places {
            let path = root.join(place);
            // The snap's socket may be there for others while the packaged host is in use.
            if is_socket(&path) && (place != SNAP_SOCKET || is_writable(&path)) {
                return self.url(path.as_os_str());
            }
        }
        let looked: Vec<_> = places.iter().map(|place| format!("/{place}")).collect();
        Err(Error::new(
            ErrorKind::NotFound,
            format!("there is no {} host on this machine", self.name()),
        )
        .with_subject(looked.join(", ")))
    }

    fn url(self, path: &OsStr) -> Result<RemoteUrl> {
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

fn is_socket(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|found| found.file_type().is_socket())
}

/// A socket cannot be opened as a file; with the rights for it, that is what the kernel says.
fn is_writable(path: &Path) -> bool {
    match OpenOptions::new().write(true).open(path) {
        Ok(_) => true,
        Err(error) => error.kind() != std::io::ErrorKind::PermissionDenied,
    }
}

const SNAP_SOCKET: &str = "var/snap/lxd/common/lxd/unix.socket";
const USER_SOCKET: &str = "unix.socket.user";

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn bind(path: &Path) -> UnixListener {
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        UnixListener::bind(path).expect("a socket")
    }

    #[test]
    fn looks_where_the_programs_of_both_look() {
        let root = tempfile::tempdir().expect("a directory");
        let at = |place: &str| root.path().join(place);
        let nothing = |_: &str| None;
        let shown = |family: Family, environment: &dyn Fn(&str) -> Option<OsString>| {
            family.search(environment, root.path()).map(|url| {
                url.to_string()
                    .replace(&root.path().display().to_string(), "")
            })
        };
        let error = shown(Family::Lxd, &nothing).expect_err("nothing there");
        assert_eq!(
            error.to_string(),
            "there is no lxd host on this machine: /var/snap/lxd/common/lxd/unix.socket, \
             /var/lib/lxd/unix.socket"
        );
        let _lxd = bind(&at("var/lib/lxd/unix.socket"));
        let _incus = bind(&at("var/lib/incus/unix.socket"));
        assert_eq!(
            shown(Family::Lxd, &nothing).expect("lxd"),
            "unix+lxd:///var/lib/lxd/unix.socket"
        );
        assert_eq!(
            shown(Family::Incus, &nothing).expect("incus"),
            "unix+incus:///var/lib/incus/unix.socket"
        );
        let _snap = bind(&at("var/snap/lxd/common/lxd/unix.socket"));
        let _run = bind(&at("run/incus/unix.socket"));
        assert_eq!(
            shown(Family::Lxd, &nothing).expect("the snap"),
            "unix+lxd:///var/snap/lxd/common/lxd/unix.socket"
        );
        assert_eq!(
            shown(Family::Incus, &nothing).expect("run"),
            "unix+incus:///run/incus/unix.socket"
        );

        let directory = at("mine");
        let _user = bind(&directory.join(USER_SOCKET));
        let named = |name: &str| match name {
            "LXD_DIR" | "INCUS_DIR" => Some(directory.clone().into_os_string()),
            _ => None,
        };
        assert_eq!(
            shown(Family::Lxd, &named).expect("named"),
            "unix+lxd:///mine/unix.socket"
        );
        assert_eq!(
            shown(Family::Incus, &named).expect("named"),
            "unix+incus:///mine/unix.socket.user"
        );
        let _full = bind(&directory.join("unix.socket"));
        assert_eq!(
            shown(Family::Incus, &named).expect("named"),
            "unix+incus:///mine/unix.socket"
        );

        let given = |name: &str| match name {
            "LXD_SOCKET" => Some("/nowhere/lxd.socket".into()),
            _ => named(name),
        };
        assert_eq!(
            shown(Family::Lxd, &given).expect("given"),
            "unix+lxd:///nowhere/lxd.socket"
        );
        let empty = |name: &str| (name == "LXD_SOCKET").then(OsString::new);
        assert_eq!(
            shown(Family::Lxd, &empty).expect("set to nothing"),
            "unix+lxd:///var/snap/lxd/common/lxd/unix.socket"
        );
    }
}
