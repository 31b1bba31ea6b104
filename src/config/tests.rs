use super::*;

fn name(text: &str) -> RemoteName {
    text.parse().expect(text)
}

fn chain(error: &Error) -> String {
    let mut lines = vec![error.to_string()];
    let mut cause = std::error::Error::source(error);
    while let Some(it) = cause {
        lines.push(it.to_string());
        cause = it.source();
    }
    lines.join(" | ")
}

fn refusal(text: &str) -> String {
    let config = Config::parse(text, "/nowhere").expect("valid TOML");
    let error = config
        .remote(&name("x"))
        .expect("configured")
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    chain(&error)
}

#[test]
fn reads_what_it_writes() {
    let text = r#"
default = "images"

[remotes.images]
url = "https+registry://images.example"
trusted_keys = ["keys/registry.asc"]
trusted_certs = ["sha256:0000000000000000000000000000000000000000000000000000000000000001"]
mirrors = ["https://mirror.example/prefix"]
default_arch = "amd64"

[remotes.images.arguments]
base = "ubuntu-core"
"#;
    let config = Config::parse(text, "/etc/x").expect("valid");
    let again = Config::parse(&config.to_toml().expect("written"), "/etc/x").expect("valid");
    assert_eq!(config, again);
    assert_eq!(config.default_remote(), Some(&name("images")));
    assert_eq!(
        config.remotes()[&name("images")].arguments["base"],
        "ubuntu-core"
    );
}

#[test]
fn refuses_keys_it_does_not_know() {
    let error = Config::parse(
        "[remotes.x]\nurl = \"https+registry://x\"\ntrusted_key = []\n",
        "",
    )
    .expect_err("a slip of the pen must not switch trust off");
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(
        chain(&error).contains("unknown field `trusted_key`"),
        "{}",
        chain(&error)
    );
}

#[test]
fn refuses_a_default_that_is_not_there() {
    let error = Config::parse("default = \"images\"\n", "").expect_err("no such remote");
    assert_eq!(
        error.to_string(),
        "the default remote is not configured: `images`"
    );
}

#[test]
fn refuses_a_remote_that_nothing_vouches_for() {
    assert_eq!(
        refusal("[remotes.x]\nurl = \"https+lxc-images://images.example\"\n"),
        "a remote is not configured properly: `x` | there is nothing to believe it by; \
         give it trusted_keys, or set trust = \"channel\" if nothing there is signed"
    );
    assert_eq!(
        refusal("[remotes.x]\nurl = \"https+simplestreams://images.example\"\n"),
        "a remote is not configured properly: `x` | there is nothing to believe it by; \
         give it trusted_keys, or set trust = \"channel\" if nothing there is signed"
    );
}

#[test]
fn names_the_key_that_is_missing_and_its_place() {
    assert_eq!(
        refusal(
            "[remotes.x]\nurl = \"https+lxc-images://i.example\"\ntrusted_keys = [\"E7FB0CAEC8173D669066514CBAEFF88C22F6E216\"]\n"
        ),
        "a remote is not configured properly: `x` | \
         the key E7FB0CAEC8173D669066514CBAEFF88C22F6E216 is not here; \
         put it into /nowhere/keys/E7FB0CAEC8173D669066514CBAEFF88C22F6E216.asc | \
         No such file or directory (os error 2)"
    );
}

#[test]
fn lets_cleartext_leave_this_machine_only_when_told() {
    let remote = |line: &str| {
        let text = format!("[remotes.x]\nurl = \"http+lxd://lan.example\"\n{line}");
        Config::parse(&text, "")
            .expect("valid TOML")
            .remote(&name("x"))
            .expect("configured")
    };
    let error = remote("").expect_err("cleartext and nothing signed");
    assert_eq!(
        error.to_string(),
        "remote `x` has neither keys nor an authenticated channel: http+lxd://lan.example; \
         give it trusted_keys, or an https URL"
    );
    assert!(
        remote("allow_http = true\n").is_err(),
        "an open channel vouches for nothing"
    );
}

#[test]
fn takes_a_channel_only_where_it_is_said() {
    let text = "[remotes.x]\nurl = \"https+simplestreams://images.example\"\ntrust = \"channel\"\n";
    let config = Config::parse(text, "").expect("valid TOML");
    let remote = config
        .remote(&name("x"))
        .expect("configured")
        .expect("believed by its channel");
    assert!(matches!(remote.trust(), imagestore_core::Trust::Channel));
}

#[test]
fn keeps_the_port_443_that_a_url_names_for_a_host() {
    for (url, port) in [
        ("https+lxd://a.example:443", Some("443")),
        ("https+incus://[::1]:443/p", Some("443")),
        ("https+lxd://a.example", None),
        ("https+lxd://a.example:8443", None),
        ("https+simplestreams://a.example:443", None),
    ] {
        let settings = RemoteSettings::new(url).with_trust(TrustSetting::Channel);
        let config = Config::new("/nowhere").with_remote(name("x"), settings);
        let remote = config.remote(&name("x")).expect("configured").expect(url);
        let found = remote.arguments().get("port").map(String::as_str);
        assert_eq!(found, port, "{url}");
    }
}
