use std::time::SystemTime;

use futures_util::stream;
use imagestore_core::{Body, ErrorKind, Result, Resume};
use imagestore_verify::Channel;
use reqwest::StatusCode;
use reqwest::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, RETRY_AFTER, TRANSFER_ENCODING,
};
use tokio::time::Instant;

use crate::errors::Way;
use crate::options::HttpOptions;
use crate::pace::{Arriving, Pace};
use crate::ranges::{Place, place_of_none, place_of_part, text, validators};
use crate::retry::{Again, Failure, retry_after};

/// An answer that does not redirect.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) response: reqwest::Response,
    pub(crate) way: Way,
    pub(crate) channel: Option<Channel>,
    pub(crate) deadline: Option<Instant>,
}

/// What was asked for beside the URL.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) resume: Option<&'a Resume>,
    pub(crate) if_changed: bool,
    /// What was wrong with the part that was sent before, if one was.
    pub(crate) wrong_part: Option<&'a str>,
}

/// What comes of an answer.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// This body.
    Body(Box<Body>),
    /// A part that does not fit: the whole must be asked for. The reason.
    WrongPart(String),
}

impl Answer {
    pub(crate) async fn outcome(
        self,
        asked: Asked<'_>,
        options: &HttpOptions,
    ) -> Result<Outcome, Failure> {
        let headers = self.response.headers();
        if let Some(fault) = fault_of_head(headers, options) {
            return Err(self.way.error(ErrorKind::Network, fault).into());
        }
        match (self.response.status().as_u16(), asked.resume) {
            (200, _) => {
                let length = self.announced();
                Ok(Outcome::Body(Box::new(self.arriving(0, length, options))))
            }
            (206, Some(resume)) => Ok(match place_of_part(headers, resume) {
                Place::At { offset, length } => {
                    Outcome::Body(Box::new(self.arriving(offset, Some(length), options)))
                }
                Place::End => Outcome::WrongPart("sent nothing".to_owned()),
                Place::Wrong(reason) => Outcome::WrongPart(reason),
            }),
            (206, None) => {
                let message = match asked.wrong_part {
                    Some(before) => format!("{before}, and a part again when asked for the whole"),
                    None => "sent a part although the whole was asked for".to_owned(),
                };
                Err(self.way.error(ErrorKind::Network, message).into())
            }
            (416, Some(resume)) => Ok(match place_of_none(headers, resume) {
                Place::End => Outcome::Body(Box::new(self.empty().with_offset(resume.offset))),
                Place::Wrong(reason) => Outcome::WrongPart(reason),
                Place::At { .. } => Outcome::WrongPart("sent no part".to_owned()),
            }),
            (304, _) if asked.if_changed => {
                Ok(Outcome::Body(Box::new(self.empty().with_not_modified())))
            }
            // What a server says about a document is read within the time of a document.
            _ if self.deadline.is_some() => Err(self.failure_with_answer(options).await),
            _ => Err(self.failure()),
        }
    }

    /// What comes of an answer to a request that changes something.
    pub(crate) async fn of_change(self, options: &HttpOptions) -> Result<Body> {
        let headers = self.response.headers();
        if let Some(fault) = fault_of_head(headers, options) {
            return Err(self.way.error(ErrorKind::Network, fault));
        }
        let length = self.announced();
        if matches!(self.response.status().as_u16(), 200 | 202) {
            return Ok(self.arriving(0, length, options));
        }
        Err(self.failure_with_answer(options).await.error)
    }

    /// The failure, with what the server says about it, as far as that is short.
    async fn failure_with_answer(self, options: &HttpOptions) -> Failure {
        let Failure { error, again } = self.failure();
        let length = self.announced();
        let body = self.arriving(0, length, options);
        let channel = body.channel().cloned();
        let error = match body.collect(LONGEST_SAID).await {
            Ok(bytes) => error.with_answer(imagestore_core::Answer { bytes, channel }),
            Err(_) => error,
        };
        Failure { error, again }
    }

    fn arriving(self, offset: u64, length: Option<u64>, options: &HttpOptions) -> Body {
        let headers = self.response.headers();
        let validators = validators(headers);
        let content_type = text(headers, CONTENT_TYPE).map(str::to_owned);
        let url = self.way.url().clone();
        let arriving = Arriving {
            response: self.response,
            way: self.way,
            at: offset,
            end: length.map(|length| offset.saturating_add(length)),
            deadline: self.deadline,
            pace: Pace::new(options),
        };
        Body::new(url, arriving.pieces())
            .with_offset(offset)
            .with_length(length)
            .with_validators(validators)
            .with_content_type(content_type)
            .with_channel(self.channel)
    }

    fn empty(self) -> Body {
        Body::new(self.way.url().clone(), stream::empty())
            .with_length(Some(0))
            .with_validators(validators(self.response.headers()))
            .with_channel(self.channel)
    }

    fn announced(&self) -> Option<u64> {
        text(self.response.headers(), CONTENT_LENGTH)?.parse().ok()
    }

    fn failure(&self) -> Failure {
        let status = self.response.status();
        let (kind, what) = match status.as_u16() {
            404 | 410 => (ErrorKind::NotFound, "not there"),
            401 | 403 => (ErrorKind::Refused, "does not allow it"),
            407 => (ErrorKind::Network, "the proxy does not allow it"),
            429 => (ErrorKind::Network, "has been asked too often"),
            500..=599 => (ErrorKind::Network, "is out of order"),
            _ => (ErrorKind::Network, "gives an answer that was not asked for"),
        };
        let again = match status.as_u16() {
            429 | 503 => retry_after(
                text(self.response.headers(), RETRY_AFTER),
                SystemTime::now(),
            ),
            500 | 502 | 504 => Again::Soon,
            _ => Again::No,
        };
        Failure {
            error: self.way.error(kind, format!("{what} ({})", named(status))),
            again,
        }
    }
}

/// What makes the head of an answer unacceptable, whatever its status.
fn fault_of_head(headers: &HeaderMap, options: &HttpOptions) -> Option<String> {
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    if bytes > options.head_bytes {
        return Some(format!(
            "sent a head of {bytes} bytes, at most {} are read",
            options.head_bytes
        ));
    }
    // Signed bytes must come as they were signed.
    for value in headers.get_all(CONTENT_ENCODING) {
        let coded = |coding: &str| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity");
        let value = String::from_utf8_lossy(value.as_bytes());
        if let Some(coding) = value.split(',').map(str::trim).find(|coding| coded(coding)) {
            let coding = imagestore_core::printable(coding);
            return Some(format!(
                "sent a body encoded with `{coding}`, although none was asked for"
            ));
        }
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter().peekable();
    // Two parties that believe different ones of them see different bodies (RFC 9112, 6.1).
    if codings.peek().is_some() && headers.contains_key(CONTENT_LENGTH) {
        return Some("sent a body with both a length and a transfer encoding".to_owned());
    }
    codings
        .find(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
        .map(|coding| {
            let coding = imagestore_core::printable(&String::from_utf8_lossy(coding.as_bytes()));
            format!("sent a body in the transfer encoding `{coding}`, which was not asked for")
        })
}

// Room for what a person reads.
const LONGEST_SAID: u64 = 4 << 10;

fn named(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("status {} {reason}", status.as_u16()),
        None => format!("status {}", status.as_u16()),
    }
}
