use std::error::Error as StdError;
use std::fmt;

use bytes::Bytes;
use imagestore_verify::{Channel, Unverified, VerifyError};

/// The result of everything that can end in an [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, with what, and why.
///
/// The [kind](Error::kind) is for programs, `Display` is one line for people, and
/// [`source`](StdError::source) is the cause. `Display` never repeats the cause.
#[derive(Debug)]
pub struct Error {
    inner: Box<Inner>,
}

impl Error {
    /// An error of this kind with a message in lower case, without a final period.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                message: message.into(),
                subject: None,
                file: None,
                remedy: None,
                answer: None,
                source: None,
            }),
        }
    }

    /// The thing the error is about: a URL, a path, a name.
    #[must_use]
    pub fn with_subject(mut self, subject: impl fmt::Display) -> Self {
        self.inner.subject = Some(printable(&subject.to_string()));
        self
    }

    /// The image file the error is about, for programs that can do without it. It is not shown.
    #[must_use]
    pub fn with_file(mut self, name: impl Into<String>) -> Self {
        self.inner.file = Some(name.into());
        self
    }

    /// What the person in front of it can do.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.inner.remedy = Some(remedy.into());
        self
    }

    /// What the remote said beside its status. It is not shown: it is for whoever knows the protocol.
    #[must_use]
    pub fn with_answer(mut self, answer: Answer) -> Self {
        self.inner.answer = Some(answer);
        self
    }

    /// The cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// The same error under another kind, for callers who know more about the place it came from.
    #[must_use]
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.inner.kind = kind;
        self
    }

    /// A signature, key or digest that does not hold for `subject`.
    #[must_use]
    pub fn untrusted(subject: impl fmt::Display, cause: VerifyError) -> Self {
        let kind = match cause {
            VerifyError::Io(_) => ErrorKind::Storage,
            _ => ErrorKind::Untrusted,
        };
        Self::new(kind, "does not verify")
            .with_subject(subject)
            .with_source(cause)
    }

    /// What a program should act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// The thing the error is about, if it was named.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.inner.subject.as_deref()
    }

    /// The [name](crate::ImageFile::name) of the image file the error is about, if it is about one.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        self.inner.file.as_deref()
    }

    /// What the remote said beside its status, if it was kept.
    #[must_use]
    pub fn answer(&self) -> Option<&Answer> {
        self.inner.answer.as_ref()
    }

    /// What the person in front of it can do, if there is exactly one thing.
    #[must_use]
    pub fn remedy(&self) -> Option<&str> {
        self.inner.remedy.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)?;
        if let Some(subject) = &self.inner.subject {
            write!(f, ": {subject}")?;
        }
        if let Some(remedy) = &self.inner.remedy {
            write!(f, "; {remedy}")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source.as_deref().map(|source| source as _)
    }
}

/// The body of an answer that is no success, as it was sent.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The bytes.
    pub bytes: Unverified<Bytes>,
    /// What authenticated the channel they came by, if anything did.
    pub channel: Option<Channel>,
}

/// What a program can do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller gave up; what arrived is kept.
    Canceled,
    /// A signed document says that it must not be used any more, or is older than allowed.
    Expired,
    /// A reference, a remote or an option is wrong; mend the configuration.
    InvalidConfig,
    /// Referrals go in a circle, or there are too many of them.
    Loop,
    /// An index or an image does not have the form its protocol prescribes.
    Malformed,
    /// The remote could not be reached or did not answer properly; trying again may help.
    Network,
    /// There is no such remote, image, build or document.
    NotFound,
    /// The remote knows what is meant and does not let this caller have it. The same request gets
    /// the same answer: it takes another client certificate, another secret, or somebody who allows
    /// it.
    Refused,
    /// A signed document is older than one that was seen before.
    RolledBack,
    /// The local disk: full, read-only, without permission, busy.
    Storage,
    /// Something is larger than its limit.
    TooLarge,
    /// An index or an image reaches for something it must not reach.
    Unsafe,
    /// The protocol, the format or the image needs something that is not built in.
    Unsupported,
    /// A signature, a key, a digest or a certificate does not hold.
    Untrusted,
}

impl ErrorKind {
    /// The name in lower case with hyphens, the same in every version.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Canceled => "canceled",
            Self::Expired => "expired",
            Self::InvalidConfig => "invalid-config",
            Self::Loop => "loop",
            Self::Malformed => "malformed",
            Self::Network => "network",
            Self::NotFound => "not-found",
            Self::Refused => "refused",
            Self::RolledBack => "rolled-back",
            Self::Storage => "storage",
            Self::TooLarge => "too-large",
            Self::Unsafe => "unsafe",
            Self::Unsupported => "unsupported",
            Self::Untrusted => "untrusted",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text with control and direction-changing characters escaped and cut after 1,000
/// characters: safe to show on a terminal, whoever wrote it.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut out = String::new();
    for (at, c) in text.chars().enumerate() {
        if at == LONGEST {
            out.push('…');
            break;
        }
        if is_deceptive(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Whether a character can change what a person sees around it.
pub(crate) fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

// The message of a parser may quote a value that fills the document.
const LONGEST: usize = 1_000;

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    subject: Option<String>,
    file: Option<String>,
    remedy: Option<String>,
    answer: Option<Answer>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_message_subject_and_remedy_but_not_the_cause() {
        let cause = Error::new(ErrorKind::Network, "connection refused");
        let error = Error::new(ErrorKind::NotFound, "no such image")
            .with_subject("ubuntu/\u{1b}[31mtrusty")
            .with_remedy("list the remote")
            .with_source(cause);
        assert_eq!(
            error.to_string(),
            "no such image: ubuntu/\\u{1b}[31mtrusty; list the remote"
        );
        assert_eq!(
            error.source().expect("a cause").to_string(),
            "connection refused"
        );
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn shows_a_thousand_characters_at_most() {
        let all = "é".repeat(1_000);
        assert_eq!(printable(&all), all);
        assert_eq!(printable(&format!("{all}more")), format!("{all}…"));
    }
}
