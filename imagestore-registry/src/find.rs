use imagestore_core::{Entry, Error, ErrorKind, ImagePath, Result};

use crate::alias::Alias;
use crate::index::Index;
use crate::server::Server;
use crate::wire::short;

/// A server of the index and what to ask there.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) server: Server,
    pub(crate) rest: ImagePath,
}

impl Index {
    /// The server for `path`, and what to ask there; an alias takes this architecture if `path`
    /// names none.
    pub(crate) fn find(&self, path: &ImagePath, architecture: &str) -> Result<Found> {
        if let Some(found) = self.find_server(path)? {
            return Ok(found);
        }
        let Some((name, alias)) = self.longest_alias(path) else {
            return Err(self.no_such(path));
        };
        let rest = path.strip_prefix(name).unwrap_or_default();
        let rest = alias
            .image(&rest, architecture)
            .map_err(|error| error.with_subject(name))?;
        let server = self.server_of(name)?;
        Ok(Found {
            server: server.clone(),
            rest,
        })
    }

    /// The server that knows what lies below `prefix`, and what to ask there.
    pub(crate) fn find_prefix(&self, prefix: &ImagePath) -> Result<Found> {
        if let Some(found) = self.find_server(prefix)? {
            return Ok(found);
        }
        let Some((name, alias)) = self.longest_alias(prefix) else {
            return Err(self.no_such(prefix));
        };
        let rest = prefix.strip_prefix(name).unwrap_or_default();
        let rest = alias
            .prefix(&rest)
            .map_err(|error| error.with_subject(name))?;
        Ok(Found {
            server: self.server_of(name)?.clone(),
            rest,
        })
    }

    /// Whether the registry itself knows all that lies below `prefix`: everything, or the aliases
    /// that begin with it.
    pub(crate) fn is_folder(&self, prefix: &ImagePath) -> bool {
        let Some((first, _)) = prefix.split_first() else {
            return true;
        };
        self.server(first).is_none()
            && self.longest_alias(prefix).is_none()
            && self
                .aliases
                .keys()
                .any(|name| name.strip_prefix(prefix).is_some())
    }

    /// The servers and aliases below `prefix`, sorted by name.
    pub(crate) fn entries(&self, prefix: &ImagePath, locale: Option<&str>) -> Vec<Entry> {
        let servers = self
            .servers
            .iter()
            .filter(|_| prefix.is_empty())
            .map(|server| server.entry(locale));
        let aliases = self.aliases.iter().filter_map(|(name, alias)| {
            let rest = name.strip_prefix(prefix)?;
            // An alias with the very name of a server can never be meant.
            let reachable = self.server(&name.to_string()).is_none();
            reachable.then(|| self.alias_entry(name, alias.entry(rest.to_string())))
        });
        let mut entries: Vec<_> = servers.chain(aliases).collect();
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        entries
    }

    fn alias_entry(&self, name: &ImagePath, entry: Entry) -> Entry {
        let shadow = name.segments().first().and_then(|first| self.server(first));
        match (shadow, self.server_of(name).and_then(Server::check)) {
            (Some(server), _) => {
                let why = format!("server `{}` takes its name", server.name());
                entry.with_property("unusable", why)
            }
            (None, Err(error)) => entry.with_property("unusable", error.to_string()),
            (None, Ok(_)) => entry,
        }
    }

    fn find_server(&self, path: &ImagePath) -> Result<Option<Found>> {
        let Some((first, rest)) = path.split_first() else {
            return Err(Error::new(ErrorKind::NotFound, "a registry is no image")
                .with_remedy(self.names_here()));
        };
        Ok(self.server(first).map(|server| Found {
            server: server.clone(),
            rest,
        }))
    }

    fn longest_alias(&self, path: &ImagePath) -> Option<(&ImagePath, &Alias)> {
        (1..=path.segments().len()).rev().find_map(|length| {
            let name =
                ImagePath::from_segments(path.segments().iter().take(length).cloned()).ok()?;
            self.aliases.get_key_value(&name)
        })
    }

    /// The server an alias leads to. Other aliases are not asked: there are no chains to follow.
    fn server_of(&self, name: &ImagePath) -> Result<&Server> {
        let Some(alias) = self.aliases.get(name) else {
            return Err(self.no_such(name));
        };
        let wanted = alias.server().map_err(|error| error.with_subject(name))?;
        self.server(wanted).ok_or_else(|| {
            Error::new(
                ErrorKind::Malformed,
                format!(
                    "an alias of the registry leads to `{}`, which is no server of it",
                    short(wanted)
                ),
            )
            .with_subject(name)
        })
    }

    fn no_such(&self, path: &ImagePath) -> Error {
        let first = path.segments().first().map_or("", String::as_str);
        Error::new(ErrorKind::NotFound, "no such server or alias")
            .with_subject(format_args!("`{}`", short(first)))
            .with_remedy(self.names_here())
    }

    fn names_here(&self) -> String {
        let servers = self.servers.iter().map(|server| server.name().to_owned());
        let aliases = self.aliases.keys().map(ToString::to_string);
        let aliases = aliases.filter(|name| self.server(name).is_none());
        let names: Vec<_> = servers.chain(aliases).collect();
        match names.len() {
            0 => "the registry has none".to_owned(),
            1..=MAX_NAMES => format!("the registry has {}", names.join(", ")),
            many => {
                let shown = names.get(..MAX_NAMES).unwrap_or_default().join(", ");
                format!("the registry has {shown} and {} more", many - MAX_NAMES)
            }
        }
    }
}

const MAX_NAMES: usize = 8;

#[cfg(test)]
mod tests;
