use imagestore_core::{Resume, Validators};
use reqwest::header::{
    CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, RANGE,
};

/// Where the answer to a request for the rest of a file begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// At this offset, as asked, with this many bytes.
    At { offset: u64, length: u64 },
    /// Nowhere: everything is here already.
    End,
    /// Somewhere else; the reason.
    Wrong(String),
}

/// Asks for what follows the part that is here, if the file is still the same.
pub(crate) fn ask_for_rest(headers: &mut HeaderMap, resume: &Resume) {
    insert(headers, RANGE, &format!("bytes={}-", resume.offset));
    // A weak tag holds for equal meaning, not for equal bytes, and servers refuse it here (RFC 9110, 13.1.5).
    // Without any validator the range is asked for all the same: the whole is checked in the end.
    let strong = resume
        .validators
        .etag
        .as_deref()
        .filter(|etag| is_strong(etag));
    if let Some(validator) = strong.or(resume.validators.last_modified.as_deref()) {
        insert(headers, IF_RANGE, validator);
    }
}

/// Asks whether what is here is still what the remote has.
pub(crate) fn ask_for_change(headers: &mut HeaderMap, known: &Validators) {
    if let Some(etag) = &known.etag {
        insert(headers, IF_NONE_MATCH, etag);
    }
    if let Some(last_modified) = &known.last_modified {
        insert(headers, IF_MODIFIED_SINCE, last_modified);
    }
}

/// What an answer with status 206 brings.
pub(crate) fn place_of_part(headers: &HeaderMap, resume: &Resume) -> Place {
    if text(headers, CONTENT_TYPE).is_some_and(|kind| kind.starts_with("multipart/")) {
        return Place::Wrong("sent several parts".to_owned());
    }
    let Some(range) = text(headers, CONTENT_RANGE) else {
        return Place::Wrong("sent a part without saying which".to_owned());
    };
    let wrong = |what: &str| {
        let asked = resume.offset;
        let told: String = range.chars().take(LONGEST_SHOWN).collect();
        Place::Wrong(format!("sent `{told}` {what} `bytes={asked}-`"))
    };
    let Some((first, last, whole)) = parse_range(range) else {
        return wrong("in answer to");
    };
    if first != resume.offset || last.checked_add(1) != Some(whole) {
        return wrong("instead of");
    }
    let length = whole - first;
    if text(headers, CONTENT_LENGTH).is_some_and(|sent| sent.parse() != Ok(length)) {
        return wrong("with another length, in answer to");
    }
    // Servers that do not know If-Range send a part of whatever they have now.
    let now = validators(headers);
    let differs = match (&resume.validators.etag, &now.etag) {
        (Some(old), Some(new)) => old != new,
        _ => matches!(
            (&resume.validators.last_modified, &now.last_modified), (Some(old), Some(new)) if old != new
        ),
    };
    if differs {
        return Place::Wrong("sent a part of another version of the file".to_owned());
    }
    Place::At {
        offset: first,
        length,
    }
}

/// What an answer with status 416 says.
pub(crate) fn place_of_none(headers: &HeaderMap, resume: &Resume) -> Place {
    let whole = text(headers, CONTENT_RANGE)
        .and_then(|range| range.strip_prefix("bytes */"))
        .and_then(|whole| whole.parse::<u64>().ok());
    match whole {
        Some(whole) if whole == resume.offset => Place::End,
        Some(whole) => Place::Wrong(format!("has {whole} bytes, and {} are here", resume.offset)),
        None => Place::Wrong("has fewer bytes than are here".to_owned()),
    }
}

/// By what the remote tells versions apart.
pub(crate) fn validators(headers: &HeaderMap) -> Validators {
    let field = |name| {
        text(headers, name)
            .filter(|text| text.len() <= LONGEST_VALIDATOR)
            .map(str::to_owned)
    };
    Validators {
        etag: field(ETAG),
        last_modified: field(LAST_MODIFIED),
    }
}

/// A header field, if it is there and text.
pub(crate) fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn parse_range(range: &str) -> Option<(u64, u64, u64)> {
    let (part, whole) = range.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = part.split_once('-')?;
    let number = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| text.parse::<u64>().ok())
            .flatten()
    };
    let (first, last, whole) = (number(first)?, number(last)?, number(whole)?);
    (first <= last && last < whole).then_some((first, last, whole))
}

fn is_strong(etag: &str) -> bool {
    etag.len() >= 2 && etag.starts_with('"') && etag.ends_with('"')
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // What is kept on disk may be damaged; a field that cannot be sent is left out.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

const LONGEST_SHOWN: usize = 80;
const LONGEST_VALIDATOR: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn resume(etag: Option<&str>, last_modified: Option<&str>) -> Resume {
        let own = |text: Option<&str>| text.map(str::to_owned);
        let validators = Validators {
            etag: own(etag),
            last_modified: own(last_modified),
        };
        Resume {
            offset: 500,
            validators,
        }
    }

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        fields.iter().map(pair).collect()
    }

    #[test]
    fn makes_ranges_depend_on_strong_validators_only() {
        let cases = [
            (Some("\"a\""), Some("yesterday"), Some("\"a\"")),
            (Some("W/\"a\""), Some("yesterday"), Some("yesterday")),
            (Some("W/\"a\""), None, None),
            (None, None, None),
            (Some("\"a\r\n\""), None, None),
        ];
        for (etag, last_modified, wanted) in cases {
            let mut sent = HeaderMap::new();
            ask_for_rest(&mut sent, &resume(etag, last_modified));
            assert_eq!(text(&sent, RANGE), Some("bytes=500-"));
            assert_eq!(text(&sent, IF_RANGE), wanted);
        }
    }

    #[test]
    fn takes_the_asked_part_and_no_other() {
        let at = Place::At {
            offset: 500,
            length: 500,
        };
        let resume = resume(Some("\"a\""), Some("yesterday"));
        for fields in [
            &[("content-range", "bytes 500-999/1000")][..],
            &[
                ("content-range", "bytes 500-999/1000"),
                ("content-length", "500"),
                ("etag", "\"a\""),
            ],
        ] {
            assert_eq!(place_of_part(&headers(fields), &resume), at, "{fields:?}");
        }
        let cases: &[(&[(&'static str, &'static str)], &str)] = &[
            (&[], "sent a part without saying which"),
            (
                &[("content-range", "bytes 0-999/1000")],
                "sent `bytes 0-999/1000` instead of `bytes=500-`",
            ),
            (
                &[("content-range", "bytes 500-899/1000")],
                "sent `bytes 500-899/1000` instead of `bytes=500-`",
            ),
            (
                &[("content-range", "bytes 500-999/*")],
                "sent `bytes 500-999/*` in answer to `bytes=500-`",
            ),
            (
                &[("content-range", "bytes */1000")],
                "sent `bytes */1000` in answer to `bytes=500-`",
            ),
            (
                &[("content-range", "bytes 500-+99/1000")],
                "sent `bytes 500-+99/1000` in answer to `bytes=500-`",
            ),
            (
                &[
                    ("content-range", "bytes 500-999/1000"),
                    ("content-length", "499"),
                ],
                "sent `bytes 500-999/1000` with another length, in answer to `bytes=500-`",
            ),
            (
                &[
                    ("content-range", "bytes 500-999/1000"),
                    ("content-type", "multipart/byteranges; x"),
                ],
                "sent several parts",
            ),
            (
                &[("content-range", "bytes 500-999/1000"), ("etag", "\"b\"")],
                "sent a part of another version of the file",
            ),
            (
                &[
                    ("content-range", "bytes 500-999/1000"),
                    ("last-modified", "today"),
                ],
                "sent a part of another version of the file",
            ),
        ];
        for (fields, reason) in cases {
            let place = place_of_part(&headers(fields), &resume);
            assert_eq!(place, Place::Wrong((*reason).to_owned()), "{fields:?}");
        }
    }

    #[test]
    fn knows_when_everything_is_here() {
        let resume = resume(None, None);
        let whole = |range| place_of_none(&headers(&[("content-range", range)]), &resume);
        assert_eq!(whole("bytes */500"), Place::End);
        assert_eq!(
            whole("bytes */400"),
            Place::Wrong("has 400 bytes, and 500 are here".to_owned())
        );
        let unknown = Place::Wrong("has fewer bytes than are here".to_owned());
        assert_eq!(place_of_none(&HeaderMap::new(), &resume), unknown);
    }
}
