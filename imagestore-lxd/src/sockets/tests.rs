use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use tempfile::TempDir;

use super::*;

/// A root of a file system with sockets in it.
struct Machine {
    root: TempDir,
}

impl Machine {
    fn new() -> Self {
        Self {
            root: tempfile::tempdir().expect("a directory"),
        }
    }

    fn at(&self, place: &str) -> PathBuf {
        self.root.path().join(place)
    }

    /// A socket somebody listens on, as long as the listener is kept.
    fn bind(&self, place: &str) -> UnixListener {
        let path = self.at(place);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        let listener = UnixListener::bind(path).expect("a socket");
        listener.set_nonblocking(true).expect("a setting");
        listener
    }

    /// Takes the right to write from everybody; nothing where this user may do everything.
    fn forbid(&self, place: &str) -> Option<()> {
        fs::set_permissions(self.at(place), Permissions::from_mode(0o400)).expect("set");
        let is_root = self.root.path().metadata().expect("there").uid() == 0;
        if is_root {
            eprintln!("SKIPPED: to root no socket is forbidden");
        }
        (!is_root).then_some(())
    }

    fn local(&self, family: Family, set: &[(&str, &str)]) -> Result<String> {
        let url = family.search(&self.environment(set), self.root.path())?;
        Ok(self.shown(&url))
    }

    fn live(&self, family: Family, set: &[(&str, &str)]) -> Option<String> {
        let url = family.search_live(&self.environment(set), self.root.path())?;
        Some(self.shown(&url))
    }

    /// Variables, of which those that begin with a slash name places on this machine.
    fn environment(&self, set: &[(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
        let set: Vec<_> = set
            .iter()
            .map(|(name, value)| match value.strip_prefix('/') {
                Some(place) => ((*name).to_owned(), self.at(place).into_os_string()),
                None => ((*name).to_owned(), (*value).into()),
            })
            .collect();
        move |name| {
            let found = set.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone())
        }
    }

    fn shown(&self, url: &RemoteUrl) -> String {
        let root = self.root.path().display().to_string();
        url.to_string().replace(&root, "")
    }
}

#[test]
fn looks_where_the_programs_of_both_look() {
    let machine = Machine::new();
    let local = |family: Family, set: &[(&str, &str)]| machine.local(family, set).expect("a host");
    let error = machine.local(Family::Lxd, &[]).expect_err("nothing there");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(
        error.to_string(),
        "there is no lxd host on this machine: /var/snap/lxd/common/lxd/unix.socket, \
         /var/lib/lxd/unix.socket"
    );
    let _lxd = machine.bind("var/lib/lxd/unix.socket");
    let _incus = machine.bind("var/lib/incus/unix.socket");
    assert_eq!(
        local(Family::Lxd, &[]),
        "unix+lxd:///var/lib/lxd/unix.socket"
    );
    assert_eq!(
        local(Family::Incus, &[]),
        "unix+incus:///var/lib/incus/unix.socket"
    );
    let _snap = machine.bind("var/snap/lxd/common/lxd/unix.socket");
    let _run = machine.bind("run/incus/unix.socket");
    assert_eq!(
        local(Family::Lxd, &[]),
        "unix+lxd:///var/snap/lxd/common/lxd/unix.socket"
    );
    assert_eq!(
        local(Family::Incus, &[]),
        "unix+incus:///run/incus/unix.socket"
    );

    let set = [("LXD_DIR", "/mine"), ("INCUS_DIR", "/mine")];
    let _user = machine.bind("mine/unix.socket.user");
    assert_eq!(local(Family::Lxd, &set), "unix+lxd:///mine/unix.socket");
    let given = [("LXD_DIR", "/mine"), ("LXD_SOCKET", "/nowhere/lxd.socket")];
    assert_eq!(local(Family::Lxd, &given), "unix+lxd:///nowhere/lxd.socket");
    assert_eq!(
        local(Family::Lxd, &[("LXD_SOCKET", "")]),
        "unix+lxd:///var/snap/lxd/common/lxd/unix.socket"
    );
}

#[test]
fn takes_the_users_socket_of_incus_where_the_other_is_not_to_be_had() {
    for (directory, set) in [
        ("mine", &[("INCUS_DIR", "/mine")][..]),
        ("run/incus", &[]),
        ("var/lib/incus", &[]),
    ] {
        let machine = Machine::new();
        let _user = machine.bind(&format!("{directory}/unix.socket.user"));
        let user = format!("unix+incus:///{directory}/unix.socket.user");
        assert_eq!(machine.local(Family::Incus, set).expect("one"), user);
        assert_eq!(machine.live(Family::Incus, set), Some(user.clone()));
        let full = format!("{directory}/unix.socket");
        let _full = machine.bind(&full);
        let url = format!("unix+incus:///{full}");
        assert_eq!(machine.local(Family::Incus, set).expect("two"), url);
        assert_eq!(machine.live(Family::Incus, set), Some(url));
        if machine.forbid(&full).is_some() {
            assert_eq!(machine.local(Family::Incus, set).expect("two"), user);
            assert_eq!(machine.live(Family::Incus, set), Some(user));
        }
    }
}

#[test]
fn a_link_is_no_socket() {
    let machine = Machine::new();
    let _real = machine.bind("real/unix.socket");
    fs::create_dir_all(machine.at("var/lib/lxd")).expect("a directory");
    let link = machine.at("var/lib/lxd/unix.socket");
    symlink(machine.at("real/unix.socket"), link).expect("a link");
    assert!(machine.local(Family::Lxd, &[]).is_err());
    assert_eq!(machine.live(Family::Lxd, &[]), None);
}

#[test]
fn a_dead_or_forbidden_socket_is_not_live() {
    let machine = Machine::new();
    assert_eq!(machine.live(Family::Lxd, &[]), None);
    drop(machine.bind("var/snap/lxd/common/lxd/unix.socket"));
    assert!(machine.local(Family::Lxd, &[]).is_ok(), "it is there");
    assert_eq!(machine.live(Family::Lxd, &[]), None);
    let _packaged = machine.bind("var/lib/lxd/unix.socket");
    let live = machine.live(Family::Lxd, &[]);
    assert_eq!(live.as_deref(), Some("unix+lxd:///var/lib/lxd/unix.socket"));
    let named = [("LXD_DIR", "/nowhere")];
    assert_eq!(machine.live(Family::Lxd, &named), None);
    let snap = [("LXD_SOCKET", "/var/snap/lxd/common/lxd/unix.socket")];
    assert_eq!(machine.live(Family::Lxd, &snap), None);
    if machine.forbid("var/lib/lxd/unix.socket").is_some() {
        assert_eq!(machine.live(Family::Lxd, &[]), None);
    }
}

#[test]
fn a_daemon_whose_socket_is_held_for_it_is_not_started() {
    let machine = Machine::new();
    let held = machine.bind("var/lib/lxd/unix.socket");
    assert!(machine.live(Family::Lxd, &[]).is_some());
    let error = held.accept().expect_err("nobody connected");
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    // By another name it is not listed, and no way is left but to try.
    symlink(machine.at("var/lib/lxd"), machine.at("elsewhere")).expect("a link");
    let set = [("LXD_DIR", "/elsewhere")];
    let live = machine.live(Family::Lxd, &set);
    assert_eq!(live.as_deref(), Some("unix+lxd:///elsewhere/unix.socket"));
    held.accept().expect("somebody connected");
}

#[test]
fn reads_the_table_of_the_kernel() {
    let table = b"Num       RefCount Protocol Flags    Type St Inode Path\n\
        0000000000000000: 00000003 00000000 00000000 0001 03   568\n\
        0000000000000000: 00000002 00000000 00010000 0001 01 69570 /run/a\n\
        0000000000000000: 00000002 00000000 00010000 0001 01   571 /run/with space\n\
        0000000000000000: 00000003 00000000 00000000 0001 03 69572 /run/connected\n\
        0000000000000000: 00000002 00000000 00010000 0005 01 69573 /run/packets\n\
        0000000000000000: 00000002 00000000 00010000 0001 01 69574 @abstract";
    for (name, listed) in [
        ("/run/a", true),
        ("/run/with space", true),
        ("@abstract", true),
        ("/run/connected", false),
        ("/run/packets", false),
        ("space", false),
        ("a", false),
        ("/a", false),
        ("", false),
    ] {
        assert_eq!(is_listed(table, name.as_bytes()), listed, "{name}");
    }
}
