use imagestore_core::{Error, ErrorKind, Place, RemoteConfig, Result, Trust};

/// How a remote of this protocol is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) project: Option<String>,
}

impl Options {
    /// What the arguments of the remote say.
    pub(crate) fn of(remote: &RemoteConfig) -> Result<Self> {
        let project = remote.arguments().get("project").cloned();
        if let Some(project) = &project
            && (project.is_empty() || project.len() > 255 || project.chars().any(char::is_control))
        {
            let shown: String = project.chars().take(80).collect();
            return Err(
                invalid(remote, "names no valid project").with_subject(format_args!("`{shown}`"))
            );
        }
        Ok(Self { project })
    }
}

/// The remote with the port of the API filled in, if it may be asked at all.
pub(crate) fn prepare(remote: RemoteConfig) -> Result<RemoteConfig> {
    if let Trust::Signatures(_) = remote.trust() {
        return Err(
            invalid(&remote, "has keys, but a host signs nothing").with_remedy(
                "trust the channel: reach it by its socket, or by https with its certificate pinned",
            ),
        );
    }
    let port = match remote.arguments().get("port") {
        None => DEFAULT_PORT,
        Some(text) => text.parse().ok().filter(|port| *port > 0).ok_or_else(|| {
            let shown: String = text.chars().take(80).collect();
            invalid(&remote, "has an argument `port` that is no port")
                .with_subject(format_args!("`{shown}`"))
        })?,
    };
    let Place::Base(base) = remote.url().place() else {
        return Ok(remote);
    };
    let authority = base.authority();
    let has_port = authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    if has_port || port == 443 {
        return Ok(remote);
    }
    let text = remote.url().to_string();
    // The name of the host may stand in the scheme as well.
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    let below = rest.strip_prefix(authority).unwrap_or_default();
    let url = format!("{scheme}://{authority}:{port}{below}").parse()?;
    let mut moved = RemoteConfig::new(remote.name().clone(), url, remote.trust().clone())
        .with_tls(remote.tls().clone())
        .with_cleartext(remote.cleartext())
        .with_mirrors(remote.mirrors().to_vec())
        .with_arguments(remote.arguments().clone())
        .with_architecture(remote.architecture().map(str::to_owned))
        .with_max_age(remote.max_age());
    if let Some(identity) = remote.identity() {
        moved = moved.with_identity(identity.clone());
    }
    Ok(moved)
}

fn invalid(remote: &RemoteConfig, what: &str) -> Error {
    Error::new(
        ErrorKind::InvalidConfig,
        format!("remote `{}` {what}", remote.name()),
    )
}

// What `lxc remote add NAME HOST` takes.
const DEFAULT_PORT: u16 = 8443;

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(url: &str, arguments: &[(&str, &str)]) -> RemoteConfig {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        RemoteConfig::new(
            "host".parse().expect("a name"),
            url.parse().expect(url),
            Trust::Channel,
        )
        .with_arguments(arguments.iter().map(own).collect())
    }

    #[test]
    fn fills_in_the_port_of_the_api() {
        for (url, arguments, wanted) in [
            (
                "https+lxd://lxd.example",
                &[][..],
                "https+lxd://lxd.example:8443",
            ),
            (
                "https+lxd://https.example/p",
                &[],
                "https+lxd://https.example:8443/p",
            ),
            ("https+lxd://lxd", &[], "https+lxd://lxd:8443"),
            ("https+incus://incus/s", &[], "https+incus://incus:8443/s"),
            ("https+incus://[::1]", &[], "https+incus://[::1]:8443"),
            (
                "https+lxd://lxd.example:9443",
                &[],
                "https+lxd://lxd.example:9443",
            ),
            (
                "https+lxd://lxd.example",
                &[("port", "443")],
                "https+lxd://lxd.example",
            ),
            (
                "https+lxd://lxd.example",
                &[("port", "10443")],
                "https+lxd://lxd.example:10443",
            ),
            ("unix+lxd:///run/x", &[], "unix+lxd:///run/x"),
        ] {
            let prepared = prepare(remote(url, arguments)).expect(url);
            assert_eq!(prepared.url().to_string(), wanted);
        }
    }

    #[test]
    fn refuses_arguments_that_mean_nothing() {
        for (name, value) in [("port", "0"), ("port", "x"), ("port", "70000")] {
            let error =
                prepare(remote("https+lxd://a.example", &[(name, value)])).expect_err(value);
            assert_eq!(error.kind(), ErrorKind::InvalidConfig);
            assert_eq!(
                error.to_string(),
                format!("remote `host` has an argument `port` that is no port: `{value}`")
            );
        }
        let error = Options::of(&remote("unix+lxd:///x", &[("project", "a\nb")]))
            .expect_err("a line break");
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    }
}
