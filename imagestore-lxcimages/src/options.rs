use std::fmt;

use imagestore_core::{Error, ErrorKind, RemoteConfig, Result};

/// For what kind of container an image is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Root of the container is root of the host.
    System,
    /// The container lives in a user namespace.
    #[default]
    User,
}

impl Mode {
    /// The suffix of its index and of its metadata files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
        }
    }

    pub(crate) fn other(self) -> Self {
        match self {
            Self::System => Self::User,
            Self::User => Self::System,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether a build must have `SHA256SUMS`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Binding {
    /// It counts if it is there; a build without it is believed by the signatures of its files.
    #[default]
    Prefer,
    /// A build without it, or with one signed at another time, is refused.
    Require,
}

/// How a remote of this protocol is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) mode: Mode,
    pub(crate) compat: Option<u32>,
    pub(crate) binding: Binding,
}

impl Options {
    /// These options, where the arguments of the remote do not say otherwise.
    pub(crate) fn for_remote(mut self, remote: &RemoteConfig) -> Result<Self> {
        let arguments = remote.arguments();
        match arguments.get("mode").map(String::as_str) {
            None => {}
            Some("system") => self.mode = Mode::System,
            Some("user") => self.mode = Mode::User,
            Some(other) => return Err(invalid(remote, "mode", other, "`user` or `system`")),
        }
        match arguments.get("binding").map(String::as_str) {
            None => {}
            Some("preferred") => self.binding = Binding::Prefer,
            Some("required") => self.binding = Binding::Require,
            Some(other) => {
                return Err(invalid(
                    remote,
                    "binding",
                    other,
                    "`required` or `preferred`",
                ));
            }
        }
        if let Some(text) = arguments.get("compat") {
            let level = text
                .parse()
                .ok()
                .filter(|level| *level > 0 && !text.starts_with('+'));
            match level {
                Some(level) => self.compat = Some(level),
                None => return Err(invalid(remote, "compat", text, "a number from 1 on")),
            }
        }
        Ok(self)
    }
}

fn invalid(remote: &RemoteConfig, argument: &str, found: &str, wanted: &str) -> Error {
    let found: String = found.chars().take(80).collect();
    Error::new(
        ErrorKind::InvalidConfig,
        format!(
            "remote `{}` has an argument `{argument}` of another value",
            remote.name()
        ),
    )
    .with_subject(format_args!("`{found}`"))
    .with_remedy(format!("it is {wanted}"))
}
