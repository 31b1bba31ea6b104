use std::fs;

use imagestore_testkit::server::Certificate;

use super::*;

fn parse(text: &str) -> ClientConfig {
    ClientConfig::parse(text.as_bytes(), Family::Lxd).expect(text)
}

fn urls(config: &ClientConfig) -> Vec<String> {
    let shown = |remote: &ClientRemote| {
        let url = remote
            .url
            .as_ref()
            .map_or("local".to_owned(), ToString::to_string);
        format!("{}={url}", remote.name)
    };
    config.remotes.iter().map(shown).collect()
}

#[test]
fn reads_the_files_of_every_year() {
    let of_2014 = parse(
        "default-remote: dakara\nremotes:\n  dakara:\n    addr: dakara.local:8443\nlisten-addr: \"\"\n",
    );
    assert_eq!(of_2014.default_remote.as_deref(), Some("dakara"));
    assert_eq!(urls(&of_2014), ["dakara=https+lxd://dakara.local:8443"]);
    let of_2015 = parse(
        "remotes:\n  images:\n    addr: https://images.linuxcontainers.org:8443\n  \
         local:\n    addr: unix:///var/lib/lxd/unix.socket\n",
    );
    assert_eq!(
        urls(&of_2015),
        [
            "images=https+lxd://images.linuxcontainers.org:8443",
            "local=unix+lxd:///var/lib/lxd/unix.socket"
        ]
    );
    let later = parse(
        "default-remote: local\nremotes:\n  images:\n    addr: https://images.linuxcontainers.org\n    \
         protocol: simplestreams\n    public: true\n  lab:\n    addr: https://192.0.2.1:8443\n    auth_type: tls\n    \
         project: build\n    protocol: lxd\n    public: false\n  local:\n    addr: unix://\n    public: false\naliases: {}\n",
    );
    assert_eq!(
        urls(&later),
        [
            "images=https+simplestreams://images.linuxcontainers.org",
            "lab=https+lxd://192.0.2.1:8443",
            "local=local"
        ]
    );
    assert!(later.remotes[0].public && !later.remotes[1].public);
    assert_eq!(later.remotes[1].project.as_deref(), Some("build"));
    let incus = ClientConfig::parse(
        b"remotes:\n  a:\n    addr: https://a.example:8443\n",
        Family::Incus,
    );
    assert_eq!(
        urls(&incus.expect("incus")),
        ["a=https+incus://a.example:8443"]
    );
    assert!(parse("").remotes.is_empty());
}

#[test]
fn reads_addresses_as_go_does() {
    for (address, url, port) in [
        ("unix://", "local", None),
        ("unix:", "local", None),
        ("unix:/run/x", "unix+lxd:///run/x", None),
        ("unix:///run/x", "unix+lxd:///run/x", None),
        ("unix://@x", "unix+lxd://@x", None),
        ("https://a.example", "https+lxd://a.example", Some(443)),
        ("https://a.example/", "https+lxd://a.example", Some(443)),
        ("https://a.example:443", "https+lxd://a.example", Some(443)),
        ("https://a.example:443/", "https+lxd://a.example", Some(443)),
        ("https://a.example:8443", "https+lxd://a.example:8443", None),
        (
            "https://a.example:9443/p",
            "https+lxd://a.example:9443/p",
            None,
        ),
        ("https://192.0.2.1", "https+lxd://192.0.2.1", Some(443)),
        (
            "https://[2001:db8::443]:8443",
            "https+lxd://[2001:db8::443]:8443",
            None,
        ),
        (
            "https://[2001:db8::1]",
            "https+lxd://[2001:db8::1]",
            Some(443),
        ),
        (
            "https://[2001:db8::1]:443",
            "https+lxd://[2001:db8::1]",
            Some(443),
        ),
        ("unix.example", "https+lxd://unix.example", None),
        ("a.example:8443", "https+lxd://a.example:8443", None),
        ("a.example:443", "https+lxd://a.example", Some(443)),
        ("2001:db8::443", "", None),
    ] {
        let config = parse(&format!("remotes:\n  x:\n    addr: \"{address}\"\n"));
        if url.is_empty() {
            assert_eq!(config.remotes, [], "{address}");
            assert_eq!(config.skipped.len(), 1, "{address}");
            continue;
        }
        assert_eq!(config.skipped, [""; 0], "{address}");
        assert_eq!(urls(&config), [format!("x={url}")], "{address}");
        assert_eq!(config.remotes[0].port, port, "{address}");
    }
    let text = "remotes:\n  x:\n    addr: https://a.example\n    protocol: ";
    for (protocol, port) in [("incus", Some(443)), ("simplestreams", None)] {
        assert_eq!(parse(&format!("{text}{protocol}")).remotes[0].port, port);
    }
}

#[test]
fn says_what_cannot_be_used() {
    let config = parse(
        "remotes:\n  docker:\n    addr: https://docker.io\n    protocol: oci\n  plain:\n    addr: http://a.example\n  \
         none: {}\n  bad:\n    addr: https://u@a.example\n  list:\n    addr: [https://a.example]\n  \
         maybe:\n    addr: https://a.example\n    public: maybe\n  word: https://a.example\n  \
         relative:\n    addr: unix:run/x\n  fine:\n    addr: https://a.example\n",
    );
    assert_eq!(urls(&config), ["fine=https+lxd://a.example"]);
    assert_eq!(
        config.skipped,
        [
            "remote `bad` has an address that is none: a URL must not hold a user name or password: \
             `https://u@a.example`",
            "remote `docker` speaks `oci`, which is no protocol for images here",
            "remote `list` has something wrong in it: `addr` is no text",
            "remote `maybe` has something wrong in it: `public` is `maybe`, not true or false",
            "remote `none` has no address",
            "remote `plain` is reached by `http`, which is not used here",
            "remote `relative` has an address that is none: the URL of a socket needs an absolute path: \
             `unix+lxd://run/x`; write it as unix+PROTOCOL:///path/to/socket",
            "remote `word` has no address",
        ]
    );
}

#[test]
fn takes_pins_and_the_identity_from_the_files_beside_it() {
    let user = Place::new();
    let certificate = Certificate::new(&["lab.example"]);
    user.put(
        "config.yml",
        "remotes:\n  lab:\n    addr: https://lab.example:8443\n  open:\n    addr: https://b.example\n",
    );
    user.put("servercerts/lab.crt", certificate.pem());
    user.put("client.crt", certificate.pem());
    user.put("client.key", certificate.key_pem());
    let config = ClientConfig::open(user.path(), Family::Lxd).expect("a configuration");
    assert_eq!(config.remotes[0].pins, [certificate.sha256()]);
    assert_eq!(config.remotes[1].pins, []);
    let identity = config.identity.expect("an identity");
    assert_eq!(identity.certificate_pem(), certificate.pem().as_bytes());
    let none = ClientConfig::open(&user.path().join("nowhere"), Family::Lxd).expect("nothing");
    assert!(none.remotes.is_empty() && none.identity.is_none());
}

#[test]
fn leaves_out_a_remote_whose_certificate_cannot_be_used() {
    let user = Place::new();
    let certificate = Certificate::new(&["lab.example"]);
    user.put(
        "config.yml",
        "remotes:\n  ../evil:\n    addr: https://b.example\n  broken:\n    addr: https://c.example\n  \
         odd:\n    addr: https://d.example\n  host:\n    addr: unix:///x\n  lab:\n    addr: https://lab.example\n",
    );
    user.put("evil.crt", certificate.pem());
    user.put("servercerts/lab.crt", certificate.pem());
    user.put("servercerts/broken.crt", "no certificate");
    user.put("servercerts/host.crt", "that is not asked for");
    fs::create_dir(user.path().join("servercerts/odd.crt")).expect("a directory");
    let config = ClientConfig::open(user.path(), Family::Lxd).expect("a configuration");
    assert_eq!(
        urls(&config),
        ["host=unix+lxd:///x", "lab=https+lxd://lab.example"]
    );
    assert_eq!(config.remotes[1].pins, [certificate.sha256()]);
    let stored = user.path().join("servercerts");
    let stored = stored.display();
    assert_eq!(
        config.skipped,
        [
            "remote `../evil` has a name that no certificate can be stored under".to_owned(),
            format!(
                "remote `broken` has a certificate that cannot be used: not a PEM certificate: {stored}/broken.crt"
            ),
            format!(
                "remote `odd` has a certificate that cannot be used: cannot read: {stored}/odd.crt"
            ),
        ]
    );
}

#[test]
fn takes_the_remotes_for_all_users_where_the_user_has_none_of_the_name() {
    let (user, all) = (Place::new(), Place::new());
    let certificate = |name: &str| Certificate::new(&[name]);
    let (of_user, of_all) = (certificate("user.example"), certificate("all.example"));
    user.put(
        "config.yml",
        "default-remote: both\nremotes:\n  both:\n    addr: https://user.example:8443\n  \
         broken:\n    addr: https://user.example:8443\n",
    );
    user.put("servercerts/both.crt", of_user.pem());
    user.put("servercerts/broken.crt", "no certificate");
    // Beside a remote of all users it means nothing.
    user.put("servercerts/lab.crt", of_user.pem());
    all.put(
        "config.yml",
        "default-remote: lab\nremotes:\n  both:\n    addr: https://all.example:8443\n  \
         broken:\n    addr: https://all.example:8443\n  lab:\n    addr: https://all.example:8443\n  \
         oci:\n    addr: https://all.example\n    protocol: oci\n",
    );
    all.put("servercerts/both.crt", of_all.pem());
    all.put("servercerts/broken.crt", of_all.pem());
    all.put("servercerts/lab.crt", of_all.pem());
    all.put("client.crt", of_all.pem());
    all.put("client.key", of_all.key_pem());
    let config = ClientConfig::open_with_global(user.path(), all.path(), Family::Lxd);
    let config = config.expect("a configuration");
    assert_eq!(
        urls(&config),
        [
            "both=https+lxd://user.example:8443",
            "lab=https+lxd://all.example:8443"
        ]
    );
    assert_eq!(config.remotes[0].pins, [of_user.sha256()]);
    assert_eq!(config.remotes[1].pins, [of_all.sha256()]);
    assert_eq!(config.default_remote.as_deref(), Some("both"));
    assert!(config.identity.is_none());
    assert_eq!(config.skipped.len(), 2);
    assert!(config.skipped[0].starts_with("remote `broken` has a certificate"));
    assert!(config.skipped[1].starts_with("remote `oci` speaks `oci`"));
}

#[test]
fn finds_the_directory_as_the_programs_do() {
    let home = Place::new();
    let at = |place: &str| home.path().join(place);
    let directory = |family: Family, set: &[(&str, PathBuf)]| {
        ClientConfig::directory(family, |name| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.clone().into_os_string())
        })
    };
    let usual = [("HOME", at("")), ("XDG_CONFIG_HOME", at("settings"))];
    assert_eq!(directory(Family::Lxd, &usual), Some(at(".config/lxc")));
    assert_eq!(directory(Family::Incus, &usual), Some(at(".config/incus")));
    for place in ["settings/lxc", "settings/incus"] {
        fs::create_dir_all(at(place)).expect("a directory");
    }
    assert_eq!(directory(Family::Lxd, &usual), Some(at(".config/lxc")));
    assert_eq!(directory(Family::Incus, &usual), Some(at("settings/incus")));
    home.put("snap/lxd/common/config/config.yml", "");
    assert_eq!(
        directory(Family::Lxd, &usual),
        Some(at("snap/lxd/common/config"))
    );
    for (family, variable) in [(Family::Lxd, "LXD_CONF"), (Family::Incus, "INCUS_CONF")] {
        let named = [("HOME", at("")), (variable, "/etc/mine".into())];
        assert_eq!(directory(family, &named), Some("/etc/mine".into()));
        assert_eq!(directory(family, &[]), None);
    }
}

#[test]
fn finds_the_directory_for_all_users() {
    for (family, variable, usual) in [
        (Family::Lxd, "LXD_GLOBAL_CONF", "/etc/lxd"),
        (Family::Incus, "INCUS_GLOBAL_CONF", "/etc/incus"),
    ] {
        let directory = |value: &str| {
            ClientConfig::global_directory(family, |name| (name == variable).then(|| value.into()))
        };
        assert_eq!(directory(""), Path::new(usual));
        assert_eq!(directory("/srv/all"), Path::new("/srv/all"));
    }
}

/// A directory with files.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn put(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, text).expect("written");
    }
}
