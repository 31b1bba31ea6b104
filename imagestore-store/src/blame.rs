use std::error::Error as StdError;
use std::fmt;

use imagestore_core::{Error, ErrorKind};

/// One error for all locations of a file: what happened at each is in its causes, one after the
/// other.
pub(crate) fn blame(name: &str, mut failures: Vec<Error>) -> Error {
    if failures.len() == 1
        && let Some(error) = failures.pop()
    {
        return error.with_file(name);
    }
    let kinds: Vec<_> = failures.iter().map(Error::kind).collect();
    // The gravest counts: that one location lied must not hide behind another that was down.
    let kind = GRAVITY
        .into_iter()
        .find(|kind| kinds.contains(kind))
        .unwrap_or(ErrorKind::Network);
    let mut cause: Option<Blamed> = None;
    for failure in failures.iter().rev() {
        for line in lines(failure).into_iter().rev() {
            cause = Some(Blamed {
                line,
                next: cause.map(Box::new),
            });
        }
    }
    let message = format!(
        "none of {} locations has a good copy of `{name}`",
        failures.len()
    );
    let error = Error::new(kind, message).with_file(name);
    match cause {
        Some(cause) => error.with_source(cause),
        None => error,
    }
}

/// Whether another location may do better.
pub(crate) fn is_elsewhere(error: &Error) -> bool {
    GRAVITY.contains(&error.kind())
}

/// A line of the causes of an error.
#[derive(Debug)]
struct Blamed {
    line: String,
    next: Option<Box<Blamed>>,
}

impl fmt::Display for Blamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

impl StdError for Blamed {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.next.as_deref().map(|next| next as _)
    }
}

fn lines(error: &Error) -> Vec<String> {
    let mut lines = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        lines.push(error.to_string());
        cause = error.source();
    }
    lines
}

const GRAVITY: [ErrorKind; 6] = [
    ErrorKind::Untrusted,
    ErrorKind::TooLarge,
    ErrorKind::Malformed,
    ErrorKind::Network,
    ErrorKind::Refused,
    ErrorKind::NotFound,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_every_location_in_its_causes() {
        let cause = Error::new(ErrorKind::Network, "connection refused");
        let down = Error::new(ErrorKind::Network, "is down")
            .with_subject("https://a/x")
            .with_source(cause);
        let lying = Error::new(ErrorKind::Untrusted, "does not verify").with_subject("https://b/x");
        let error = blame("x", vec![down, lying]);
        assert_eq!(error.kind(), ErrorKind::Untrusted);
        assert_eq!(
            lines(&error),
            [
                "none of 2 locations has a good copy of `x`",
                "is down: https://a/x",
                "connection refused",
                "does not verify: https://b/x"
            ]
        );
    }

    #[test]
    fn a_single_location_speaks_for_itself() {
        let error = blame("x", vec![Error::new(ErrorKind::NotFound, "is not there")]);
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::NotFound, "is not there")
        );
    }
}
