//! What `lxc` and `incus` know, as a configuration.

use std::ffi::OsString;
use std::fs;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use imagestore::config::Imported;
use imagestore::core::{RemoteConfig, TlsTrust, Trust};
use imagestore::lxd::Family;
use imagestore::{Config, Error, ErrorKind, Result};
use imagestore_testkit::server::Certificate;

#[test]
fn takes_over_pins_projects_and_the_client_certificate() {
    let user = User::new(
        "default-remote: lab\nremotes:\n  lab:\n    addr: https://lab.example:8443\n    project: build\n  \
         public:\n    addr: https://public.example:8443\n    public: true\n  \
         tree:\n    addr: https://tree.example\n    protocol: simplestreams\n  \
         socket:\n    addr: unix:/run/x\n    project: test\n",
    );
    let (lab, me) = (Certificate::new(&["lab"]), Certificate::new(&["me"]));
    user.put("servercerts/lab.crt", lab.pem());
    user.put("client.crt", me.pem());
    user.put("client.key", me.key_pem());
    let Imported {
        config, skipped, ..
    } = user.import(Family::Lxd).expect("imported");
    assert_eq!(skipped, [""; 0]);
    let default = config.default_remote().expect("one");
    assert_eq!(default.as_str(), "lab");

    let remote = |name: &str| remote(&config, name);
    let known = remote("lab");
    assert_eq!(known.url().to_string(), "https+lxd://lab.example:8443");
    assert!(matches!(known.trust(), Trust::Channel));
    assert_eq!(known.tls(), &TlsTrust::Pin(vec![lab.sha256()]));
    assert_eq!(known.arguments()["project"], "build");
    assert!(!known.arguments().contains_key("port"));
    let identity = known.identity().expect("an identity");
    assert_eq!(identity.certificate_pem(), me.pem().as_bytes());
    for name in ["public", "tree", "socket"] {
        assert!(remote(name).identity().is_none(), "{name}");
    }
    assert_eq!(remote("public").tls(), &TlsTrust::SystemRoots);
    assert_eq!(
        remote("tree").url().to_string(),
        "https+simplestreams://tree.example"
    );
    let socket = remote("socket");
    assert_eq!(socket.url().to_string(), "unix+lxd:///run/x");
    assert_eq!(socket.arguments()["project"], "test");
    let again = Config::parse(&config.to_toml().expect("written"), user.path("user"));
    assert_eq!(again.expect("valid"), config);
}

#[test]
fn asks_a_host_on_the_port_that_its_address_means() {
    let user = User::new(
        "remotes:\n  plain:\n    addr: https://a.example\n  said:\n    addr: https://b.example:443\n  \
         usual:\n    addr: https://c.example:8443\n  old:\n    addr: d.example\n",
    );
    let imported = user.import(Family::Lxd).expect("imported");
    for (name, url, port) in [
        ("plain", "https+lxd://a.example", Some("443")),
        ("said", "https+lxd://b.example", Some("443")),
        ("usual", "https+lxd://c.example:8443", None),
        ("old", "https+lxd://d.example", None),
    ] {
        let remote = remote(&imported.config, name);
        assert_eq!(remote.url().to_string(), url);
        let found = remote.arguments().get("port").map(String::as_str);
        assert_eq!(found, port, "{name}");
    }
}

#[test]
fn asks_for_aliases_as_lxc_does() {
    let cloud = "https://cloud-images.ubuntu.com";
    let user = User::new(&format!(
        "remotes:\n  daily:\n    addr: {cloud}/daily/\n    protocol: simplestreams\n  \
         fake:\n    addr: {cloud}.example\n    protocol: simplestreams\n",
    ));
    let imported = user.import(Family::Lxd).expect("imported");
    for (name, strip) in [("daily", Some("ubuntu/")), ("fake", None)] {
        let remote = remote(&imported.config, name);
        let found = remote.arguments().get("strip").map(String::as_str);
        assert_eq!(found, strip, "{name}");
    }
}

#[test]
fn takes_over_what_incus_knows() {
    let user = User::new(
        "remotes:\n  lab:\n    addr: https://lab.example\n    auth_type: tls\n  local:\n    addr: unix://\n",
    );
    let socket = user.path("incus.socket");
    let _listener = UnixListener::bind(&socket).expect("a socket");
    let imported = user.import(Family::Incus).expect("imported");
    assert_eq!(imported.skipped, [""; 0]);
    let local = remote(&imported.config, "local");
    assert_eq!(
        local.url().to_string(),
        format!("unix+incus://{}", socket.display())
    );
    let lab = remote(&imported.config, "lab");
    assert_eq!(lab.url().to_string(), "https+incus://lab.example");
    assert_eq!(lab.arguments()["port"], "443");
}

#[test]
fn takes_over_the_remotes_for_all_users() {
    let user = User::new("remotes:\n  both:\n    addr: https://mine.example:8443\n");
    user.put(
        "../all/config.yml",
        "remotes:\n  both:\n    addr: https://theirs.example:8443\n  lab:\n    addr: https://lab.example:8443\n",
    );
    let lab = Certificate::new(&["lab"]);
    user.put("../all/servercerts/lab.crt", lab.pem());
    user.put("client.crt", lab.pem());
    user.put("client.key", lab.key_pem());
    let imported = user.import(Family::Lxd).expect("imported");
    let both = remote(&imported.config, "both");
    assert_eq!(both.url().to_string(), "https+lxd://mine.example:8443");
    let known = remote(&imported.config, "lab");
    assert_eq!(known.tls(), &TlsTrust::Pin(vec![lab.sha256()]));
    assert!(known.identity().is_some(), "the user's own");
}

#[test]
fn one_odd_remote_does_not_stand_in_the_way_of_others() {
    let user = User::new(
        "default-remote: local\nremotes:\n  a b:\n    addr: https://a.example\n  \
         broken:\n    addr: https://b.example\n  docker:\n    addr: https://docker.io\n    protocol: oci\n  \
         fine:\n    addr: https://c.example\n  local:\n    addr: unix://\n",
    );
    user.put("servercerts/broken.crt", "no certificate");
    let imported = user.import(Family::Lxd).expect("imported");
    let names = imported.config.remotes().keys();
    let names: Vec<_> = names.map(ToString::to_string).collect();
    assert_eq!(names, ["fine"]);
    assert_eq!(imported.config.default_remote(), None);
    let skipped = [
        format!(
            "remote `broken` has a certificate that cannot be used: not a PEM certificate: {}",
            user.path("user/servercerts/broken.crt").display()
        ),
        "remote `docker` speaks `oci`, which is no protocol for images here".to_owned(),
        "not the name of a remote: `a b`; names have letters, digits, `.`, `_` and `-`".to_owned(),
        "remote `local` cannot be reached: the URL of a socket needs an absolute path: \
         `unix+lxd://not-absolute`; write it as unix+PROTOCOL:///path/to/socket"
            .to_owned(),
    ];
    assert_eq!(imported.skipped, skipped);
}

#[test]
fn says_why_nothing_is_left() {
    let user = User::new("remotes:\n  docker:\n    addr: https://docker.io\n    protocol: oci\n");
    let error = user.import(Family::Incus).expect_err("nothing to use");
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    let directory = user.path("user");
    let message = format!(
        "there is no remote that can be used: {}",
        directory.display()
    );
    assert_eq!(error.to_string(), message);
    assert_eq!(
        cause(&error),
        "remote `docker` speaks `oci`, which is no protocol for images here"
    );
}

/// A user of a machine that has nothing but what is in its directory.
struct User {
    directory: tempfile::TempDir,
}

impl User {
    fn new(config: &str) -> Self {
        let directory = tempfile::TempDir::new().expect("a directory");
        let user = Self { directory };
        user.put("config.yml", config);
        user
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn put(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path("user")).expect("a directory");
        let path = self.path("user").join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, text).expect("written");
    }

    fn import(&self, family: Family) -> Result<Imported> {
        let environment = |name: &str| -> Option<OsString> {
            match name {
                "INCUS_GLOBAL_CONF" | "LXD_GLOBAL_CONF" => Some(self.path("all").into()),
                "INCUS_SOCKET" => Some(self.path("incus.socket").into()),
                "LXD_SOCKET" => Some("not-absolute".into()),
                _ => None,
            }
        };
        Config::import_with(&self.path("user"), family, environment)
    }
}

fn remote(config: &Config, name: &str) -> RemoteConfig {
    let remote = config.remote(&name.parse().expect(name)).expect(name);
    remote.expect("usable")
}

fn cause(error: &Error) -> String {
    let cause = std::error::Error::source(error).expect("a cause");
    cause.to_string()
}
