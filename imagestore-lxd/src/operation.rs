use std::fmt;
use std::str::FromStr;

use imagestore_core::printable;
use imagestore_verify::Sha256;
use serde::Deserialize;
use serde_json::Value;

use crate::error::ParseError;
use crate::index::fingerprint;
use crate::reply;
use crate::secret::Secret;

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
        Self::of(reply::parse(bytes)?)
    }

    /// Reads the answer to a request that began one.
    ///
    /// # Errors
    /// [`ParseError`] if it has another form.
    pub fn parse_begun(bytes: &[u8]) -> Result<Self, ParseError> {
        Self::of(reply::parse_begun(bytes)?)
    }

    fn of(wire: WireOperation) -> Result<Self, ParseError> {
        let metadata = wire.metadata.unwrap_or_default();
        let text = |name: &str| metadata.get(name).and_then(Value::as_str);
        let progress = metadata.as_object().and_then(|all| {
            let mut all = all.iter();
            all.find_map(|(name, value)| value.as_str().filter(|_| name.ends_with("_progress")))
        });
        // A number by the API, and a string by what is sent.
        let size = metadata.get("size").and_then(|size| match size {
            Value::String(digits) => digits.parse().ok(),
            size => size.as_u64(),
        });
        // The parser's own error could not quote it, but says nothing of use either.
        let secret = text("secret").map(Secret::new).transpose();
        Ok(Self {
            id: wire.id.parse()?,
            class: OperationClass::parse(&wire.class)?,
            description: shown(&wire.description, LONGEST_NAME),
            status: OperationStatus::of(wire.status_code)?,
            may_cancel: wire.may_cancel,
            error: Some(shown(&wire.err, LONGEST_ERROR)).filter(|text| !text.is_empty()),
            progress: progress.map(|text| shown(text, LONGEST_NAME)),
            fingerprint: text("fingerprint").map(fingerprint).transpose()?,
            size,
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
    /// Something is done.
    Task,
    /// Nothing is done: a secret is there until the operation ends.
    Token,
    /// Somebody talks over a socket.
    Websocket,
}

impl OperationClass {
    fn parse(text: &str) -> Result<Self, ParseError> {
        match text {
            "task" => Ok(Self::Task),
            "token" => Ok(Self::Token),
            "websocket" => Ok(Self::Websocket),
            other => Err(ParseError::Json {
                what: format!("an operation of class `{}`", shown(other, 40)),
            }),
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
    metadata: Option<Value>,
    #[serde(default)]
    may_cancel: bool,
    #[serde(default)]
    err: String,
}

const LONGEST_NAME: usize = 200;
const LONGEST_ERROR: usize = 1_000;

#[cfg(test)]
mod tests;
