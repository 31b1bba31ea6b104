use std::fmt;
use std::str::FromStr;

use imagestore_core::printable;
use imagestore_verify::Sha256;
use serde::Deserialize;

use crate::error::ParseError;
use crate::index::fingerprint;
use crate::reply::{self, Object};
use crate::secret::Secret;
use crate::told::Told;

/// Something a host does for longer than a request takes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Operation {
    /// By what the host knows it.
    pub id: OperationId,
    /// What kind it is.
    pub class: OperationClass,
    /// What is done, for people.
    pub description: String,
    /// How far it is.
    pub status: OperationStatus,
    /// Whether [`Lxd::cancel`](crate::Lxd::cancel) is of use.
    pub may_cancel: bool,
    /// Why it failed, in the words of the host.
    pub error: Option<String>,
    /// How far it is, in the words of the host. There need not be a number in it.
    pub progress: Option<String>,
    /// The image that came of it.
    pub fingerprint: Option<Sha256>,
    /// The size of that image in bytes.
    pub size: Option<u64>,
    pub(crate) secret: Option<Secret>,
}

impl Operation {
    /// Reads the answer to `/1.0/operations/<id>`.
    ///
    /// # Errors
    /// [`ParseError`] if it has another form.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        Self::of(reply::parse::<Object<_>>(bytes)?.0)
    }

    /// Reads the answer to a request that began one.
    ///
    /// # Errors
    /// [`ParseError`] if it has another form.
    pub fn parse_begun(bytes: &[u8]) -> Result<Self, ParseError> {
        Self::of(reply::parse_begun::<Object<_>>(bytes)?.0)
    }

    fn of(wire: WireOperation) -> Result<Self, ParseError> {
        let told = wire.metadata.unwrap_or_default();
        // The parser's own error could not quote it, but says nothing of use either.
        let secret = told.secret.as_deref().map(Secret::new).transpose();
        Ok(Self {
            id: wire.id.parse()?,
            class: OperationClass::of(&wire.class),
            description: shown(&wire.description, LONGEST_NAME),
            status: OperationStatus::of(wire.status_code)?,
            may_cancel: wire.may_cancel,
            error: Some(shown(&wire.err, LONGEST_ERROR)).filter(|text| !text.is_empty()),
            progress: told.progress.map(|text| shown(&text, LONGEST_NAME)),
            fingerprint: told.fingerprint.as_deref().map(fingerprint).transpose()?,
            size: told.size,
            secret: secret.map_err(|error| ParseError::Json {
                what: error.to_string(),
            })?,
        })
    }
}

/// By what a host knows an operation: a UUID.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct OperationId(String);

impl OperationId {
    /// The digits and hyphens.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for OperationId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let fits = |(at, byte): (usize, u8)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => is_digit(byte),
        };
        // It becomes a part of URLs.
        if text.len() == 36 && text.bytes().enumerate().all(fits) {
            return Ok(Self(text.to_owned()));
        }
        Err(ParseError::Json {
            what: format!("an operation with the id `{}`", shown(text, 80)),
        })
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OperationId({})", self.0)
    }
}

/// What kind of operation it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OperationClass {
    /// Something is done that outlives a restart of the host.
    Durable,
    /// A kind that is not known here.
    Other,
    /// Something is done.
    Task,
    /// Nothing is done: a secret is there until the operation ends.
    Token,
    /// Somebody talks over a socket.
    Websocket,
}

impl OperationClass {
    fn of(text: &str) -> Self {
        match text {
            "durable" => Self::Durable,
            "task" => Self::Task,
            "token" => Self::Token,
            "websocket" => Self::Websocket,
            _ => Self::Other,
        }
    }
}

/// How far an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OperationStatus {
    /// It was cancelled.
    Cancelled,
    /// It is being cancelled.
    Cancelling,
    /// It failed.
    Failure,
    /// It will be begun.
    Pending,
    /// It is being done.
    Running,
    /// It is done.
    Success,
}

impl OperationStatus {
    /// Whether it will not change any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Cancelled | Self::Failure | Self::Success)
    }

    fn of(code: u16) -> Result<Self, ParseError> {
        match code {
            104 => Ok(Self::Cancelling),
            105 => Ok(Self::Pending),
            // 103 is "running"; the others are states of instances, and as good as that.
            100..=199 => Ok(Self::Running),
            200 => Ok(Self::Success),
            400 => Ok(Self::Failure),
            401 => Ok(Self::Cancelled),
            other => Err(ParseError::Json {
                what: format!("an operation of status {other}"),
            }),
        }
    }
}

/// Text of a host, of a length for people and safe to show.
pub(crate) fn shown(text: &str, longest: usize) -> String {
    let cut: String = text.chars().take(longest).collect();
    printable(&cut)
}

#[derive(Deserialize)]
struct WireOperation {
    id: String,
    class: String,
    #[serde(default)]
    description: String,
    status_code: u16,
    #[serde(default)]
    metadata: Option<Told>,
    #[serde(default)]
    may_cancel: bool,
    #[serde(default)]
    err: String,
}

const LONGEST_NAME: usize = 200;
const LONGEST_ERROR: usize = 1_000;

#[cfg(test)]
mod tests;
