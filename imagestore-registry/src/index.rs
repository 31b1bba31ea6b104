use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use imagestore_core::{Error, ErrorKind, ImagePath, Result as CoreResult, printable};

use crate::alias::Alias;
use crate::server::Server;
use crate::wire::{WireIndex, short};

/// What `/1.0/index.json` of a registry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    version: u64,
    generated_at: Option<u64>,
    serial: Option<u64>,
    expires_at: Option<u64>,
    pub(crate) servers: Vec<Server>,
    pub(crate) aliases: BTreeMap<ImagePath, Alias>,
}

impl Index {
    /// The index in these bytes, which must have been checked.
    ///
    /// # Errors
    /// [`ParseError`] if they are no registry index. A single server or alias that cannot be used
    /// is no error.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        check_depth(bytes)?;
        let wire: WireIndex = serde_json::from_slice(bytes).map_err(|error| ParseError::Json {
            problem: printable(&error.to_string()),
        })?;
        if wire.version == 0 {
            return Err(ParseError::Version);
        }
        let servers: Vec<_> = wire.servers.0.into_iter().map(Server::from_wire).collect();
        let mut names = BTreeSet::new();
        for server in &servers {
            let name = server.name();
            if name.contains(':') || ImagePath::from_segments([name]).is_err() {
                return Err(ParseError::ServerName { name: short(name) });
            }
            if !names.insert(name) {
                return Err(ParseError::ServerTwice { name: short(name) });
            }
        }
        let mut aliases = BTreeMap::new();
        for (name, wire) in wire.aliases.0 {
            let Some(path) = name
                .parse::<ImagePath>()
                .ok()
                .filter(|path| !path.is_empty())
            else {
                return Err(ParseError::AliasName { name: short(&name) });
            };
            // `ubuntu` and `ubuntu/` are two keys and one name.
            if aliases.insert(path, Alias::from_wire(wire)).is_some() {
                return Err(ParseError::AliasTwice { name: short(&name) });
            }
        }
        Ok(Self {
            version: wire.version,
            generated_at: wire.generated_at,
            serial: wire.serial,
            expires_at: wire.expires_at,
            servers,
            aliases,
        })
    }

    /// The version of its form; it rises with compatible additions.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// When it was made, in seconds since 1970.
    #[must_use]
    pub fn generated_at(&self) -> Option<u64> {
        self.generated_at
    }

    /// Its number, which rises with every publication.
    #[must_use]
    pub fn serial(&self) -> Option<u64> {
        self.serial
    }

    /// When it stops to count, in seconds since 1970.
    #[must_use]
    pub fn expires_at(&self) -> Option<u64> {
        self.expires_at
    }

    /// The servers, in the order of the index.
    #[must_use]
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The server of this name.
    #[must_use]
    pub fn server(&self, name: &str) -> Option<&Server> {
        self.servers.iter().find(|server| server.name() == name)
    }

    /// The alias of this name.
    #[must_use]
    pub fn alias(&self, name: &ImagePath) -> Option<&Alias> {
        self.aliases.get(name)
    }

    /// Whether it may be used at this time, and something to tell people about its age.
    ///
    /// # Errors
    /// [`ErrorKind::Expired`] if it says that it must not be used any more,
    /// [`ErrorKind::Malformed`] if it says that it was made in the future: a clock that runs ahead
    /// would shut out every later index.
    pub(crate) fn check_time(&self, now: SystemTime) -> CoreResult<Option<String>> {
        let now = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        if let Some(end) = self.expires_at.filter(|end| *end < now) {
            return Err(Error::new(
                ErrorKind::Expired,
                format!("the registry index expired at {end}, it is {now}"),
            ));
        }
        let Some(made) = self.generated_at else {
            return Ok(None);
        };
        if made > now.saturating_add(MAX_AHEAD.as_secs()) {
            return Err(Error::new(
                ErrorKind::Malformed,
                format!("the registry index was generated in the future, at {made}; it is {now}"),
            ));
        }
        let age = Duration::from_secs(now.saturating_sub(made));
        Ok((age > NOTEWORTHY_AGE).then(|| {
            format!(
                "the registry index was generated {} days ago",
                age.as_secs() / 86_400
            )
        }))
    }
}

/// Why bytes are no registry index.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// An alias whose name cannot be typed.
    #[error("`{name}` cannot be the name of an alias")]
    AliasName {
        /// The name, safe to show.
        name: String,
    },
    /// Two aliases of one name.
    #[error("alias `{name}` is there twice")]
    AliasTwice {
        /// The name, safe to show.
        name: String,
    },
    /// Arrays and objects inside each other without end.
    #[error("nested more than {limit} deep")]
    Depth {
        /// How deep is allowed.
        limit: usize,
    },
    /// No JSON, or of another form.
    #[error("not the JSON of a registry: {problem}")]
    Json {
        /// What is wrong and where, safe to show.
        problem: String,
    },
    /// A server whose name cannot be typed.
    #[error("`{name}` cannot be the name of a server")]
    ServerName {
        /// The name, safe to show.
        name: String,
    },
    /// Two servers of one name.
    #[error("server `{name}` is there twice")]
    ServerTwice {
        /// The name, safe to show.
        name: String,
    },
    /// Versions begin with 1.
    #[error("version is 0, the first is 1")]
    Version,
}

impl From<ParseError> for Error {
    fn from(cause: ParseError) -> Self {
        Self::new(ErrorKind::Malformed, "no index of a registry").with_source(cause)
    }
}

/// Counts brackets outside of strings, so that depth is refused before anything recurses or
/// allocates.
fn check_depth(bytes: &[u8]) -> Result<(), ParseError> {
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    for byte in bytes {
        match (quoted, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => quoted = !quoted,
            (false, b'[' | b'{') => depth += 1,
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(ParseError::Depth { limit: MAX_DEPTH });
        }
    }
    Ok(())
}

const MAX_DEPTH: usize = 32;
const MAX_AHEAD: Duration = Duration::from_secs(86_400);
// Registries are made anew when a server changes, which may take weeks; a month without is worth a
// word.
const NOTEWORTHY_AGE: Duration = Duration::from_secs(30 * 86_400);

#[cfg(test)]
mod tests;
