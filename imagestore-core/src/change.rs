use std::fmt;

use url::Url;

use crate::remote::RemoteConfig;

/// A request that changes something at a remote, or makes it do something.
///
/// `Debug` does not show what is sent: it may hold a secret.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Change<'a> {
    /// Whose certificates, socket and rules apply.
    pub remote: &'a RemoteConfig,
    /// What is to change: a URL at the remote itself, never at a mirror.
    pub url: &'a Url,
    /// How.
    pub action: Action<'a>,
}

impl<'a> Change<'a> {
    /// The request that removes or ends what is at this URL.
    #[must_use]
    pub fn delete(remote: &'a RemoteConfig, url: &'a Url) -> Self {
        Self {
            remote,
            url,
            action: Action::Delete,
        }
    }

    /// The request that hands this JSON to what is at this URL.
    #[must_use]
    pub fn post(remote: &'a RemoteConfig, url: &'a Url, json: &'a [u8]) -> Self {
        Self {
            remote,
            url,
            action: Action::Post { json },
        }
    }
}

impl fmt::Debug for Change<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Change")
            .field("remote", &self.remote.name().as_str())
            .field("action", &self.action)
            .finish_non_exhaustive()
    }
}

/// What a [`Change`] does. A transport has to know all of it, so there may not be more without its
/// notice.
#[derive(Clone, Copy)]
pub enum Action<'a> {
    /// It removes or ends something.
    Delete,
    /// It hands something over.
    Post {
        /// What, as JSON.
        json: &'a [u8],
    },
}

impl fmt::Debug for Action<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delete => f.write_str("Delete"),
            Self::Post { .. } => f.debug_struct("Post").finish_non_exhaustive(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::Trust;

    #[test]
    fn debug_shows_nothing_of_what_is_sent() {
        let remote = RemoteConfig::new(
            "host".parse().expect("a name"),
            "unix+lxd:///run/x".parse().expect("a URL"),
            Trust::Channel,
        );
        let url = "http://localhost/1.0/images?secret=5ec7e7"
            .parse()
            .expect("a URL");
        let post = Change::post(&remote, &url, br#"{"secret":"5ec7e7"}"#);
        assert_eq!(
            format!("{post:?}"),
            r#"Change { remote: "host", action: Post { .. }, .. }"#
        );
    }
}
