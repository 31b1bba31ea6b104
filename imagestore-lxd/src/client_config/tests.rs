use std::fs;

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
fn says_what_cannot_be_used() {
    let config = parse(
        "remotes:\n  docker:\n    addr: https://docker.io\n    protocol: oci\n  plain:\n    addr: http://a.example\n  \
         none: {}\n  bad:\n    addr: https://u@a.example\n",
    );
    assert!(config.remotes.is_empty());
    assert_eq!(
        config.skipped,
        [
            "remote `bad` has an address that is none: a URL must not hold a user name or password: \
             `https://u@a.example`",
            "remote `docker` speaks `oci`, which is no protocol for images here",
            "remote `none` has no address",
            "remote `plain` is reached by `http`, which is not used here",
        ]
    );
}

#[test]
fn takes_pins_and_the_identity_from_the_files_beside_it() {
    let certificate = imagestore_testkit::server::Certificate::new(&["lab.example"]);
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    fs::create_dir(at("servercerts")).expect("a directory");
    let put = |name: &str, text: &str| fs::write(at(name), text).expect("written");
    put(
        "config.yml",
        "remotes:\n  lab:\n    addr: https://lab.example:8443\n  ../evil:\n    addr: https://b.example\n",
    );
    put("servercerts/lab.crt", certificate.pem());
    put("evil.crt", certificate.pem());
    put("client.crt", certificate.pem());
    put("client.key", certificate.key_pem());
    let config = ClientConfig::open(directory.path(), Family::Lxd).expect("a configuration");
    assert_eq!(config.remotes[0].pins, []);
    assert_eq!(config.remotes[1].pins, [certificate.sha256()]);
    let identity = config.identity.expect("an identity");
    assert_eq!(identity.certificate_pem(), certificate.pem().as_bytes());

    put("servercerts/lab.crt", "no certificate");
    let error = ClientConfig::open(directory.path(), Family::Lxd).expect_err("no certificate");
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(
        error.to_string().starts_with("not a PEM certificate: "),
        "{error}"
    );
    let none = ClientConfig::open(&at("nowhere"), Family::Lxd).expect("nothing there");
    assert!(none.remotes.is_empty() && none.identity.is_none());
}

#[test]
fn finds_the_directory_as_the_programs_do() {
    let home = tempfile::tempdir().expect("a directory");
    let at = |place: &str| Some(home.path().join(place));
    let environment = |name: &str| (name == "HOME").then(|| home.path().into());
    assert_eq!(
        ClientConfig::directory(Family::Lxd, environment),
        at(".config/lxc")
    );
    assert_eq!(
        ClientConfig::directory(Family::Incus, environment),
        at(".config/incus")
    );
    let snap = home.path().join("snap/lxd/common/config");
    fs::create_dir_all(&snap).expect("a directory");
    fs::write(snap.join("config.yml"), "").expect("written");
    assert_eq!(
        ClientConfig::directory(Family::Lxd, environment),
        Some(snap)
    );
    let named = |name: &str| match name {
        "LXD_CONF" => Some("/etc/mine".into()),
        _ => environment(name),
    };
    assert_eq!(
        ClientConfig::directory(Family::Lxd, named),
        Some("/etc/mine".into())
    );
    assert_eq!(ClientConfig::directory(Family::Lxd, |_| None), None);
}
