use bytes::Bytes;
use hyper::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, IF_RANGE,
    RANGE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::http::HeaderValue;
use hyper::{Method, Request, Response, StatusCode};
use imagestore_verify::Sha256;
use serde::Serialize;
use url::form_urlencoded;

use super::body::{Piece, Sent};
use super::image::ServedImage;
use super::shelf::Shelf;
use super::wire::{Alias, Failure, Host, Image, Sync};

/// What a shelf says to a request.
pub(super) fn answer<B>(shelf: &Shelf, request: &Request<B>) -> Response<Sent> {
    match *request.method() {
        Method::GET => {}
        // As hosts do.
        Method::HEAD => return failure(StatusCode::NOT_IMPLEMENTED, "not implemented"),
        _ => return failure(StatusCode::FORBIDDEN, "not authorized"),
    }
    let query = Query::of(request.uri().query().unwrap_or_default());
    if query.other_project {
        return failure(StatusCode::NOT_FOUND, "Project not found");
    }
    let path = request.uri().path();
    let Some(rest) = path.strip_prefix("/1.0") else {
        return match path {
            "/" => value(["/1.0"]),
            _ => failure(StatusCode::NOT_FOUND, "not found"),
        };
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.is_empty() {
        return value(host());
    }
    let Some(rest) = rest.strip_prefix("/images") else {
        return failure(StatusCode::NOT_FOUND, "not found");
    };
    match rest.strip_prefix('/') {
        None if rest.is_empty() => images(shelf, &query),
        None => failure(StatusCode::NOT_FOUND, "not found"),
        Some("aliases") => aliases(shelf, &query),
        Some(rest) => match (rest.strip_prefix("aliases/"), rest.strip_suffix("/export")) {
            (Some(name), _) => alias(shelf, name),
            (None, Some(digits)) => match shelf.by_digits(digits) {
                Some(image) => export(&image, request.headers()),
                None => failure(StatusCode::NOT_FOUND, "Image not found"),
            },
            (None, None) => match shelf.by_digits(rest) {
                Some(image) => value(Image::of(&image)),
                None => failure(StatusCode::NOT_FOUND, "Image not found"),
            },
        },
    }
}

fn host() -> Host {
    Host {
        api_extensions: ["image_types"],
        api_status: "stable",
        api_version: "1.0",
        auth: "untrusted",
        auth_methods: ["tls"],
        public: true,
    }
}

fn images(shelf: &Shelf, query: &Query) -> Response<Sent> {
    let all = shelf.all();
    if query.recursion {
        return value(all.iter().map(|image| Image::of(image)).collect::<Vec<_>>());
    }
    let url = |fingerprint: Sha256| format!("/1.0/images/{fingerprint}");
    value(
        all.iter()
            .map(|image| url(image.fingerprint))
            .collect::<Vec<_>>(),
    )
}

fn aliases(shelf: &Shelf, query: &Query) -> Response<Sent> {
    let all = shelf.all();
    let pairs = all
        .iter()
        .flat_map(|image| image.aliases.iter().map(move |name| named(image, name)));
    if query.recursion {
        return value(pairs.collect::<Vec<_>>());
    }
    value(
        pairs
            .map(|alias| format!("/1.0/images/aliases/{}", alias.name))
            .collect::<Vec<_>>(),
    )
}

fn alias(shelf: &Shelf, encoded: &str) -> Response<Sent> {
    let name = decode(encoded);
    let found = name
        .as_deref()
        .and_then(|name| Some((shelf.by_alias(name)?, name)));
    match found {
        Some((image, name)) => value(named(&image, name)),
        None => failure(StatusCode::NOT_FOUND, "Image alias not found"),
    }
}

fn named<'a>(image: &ServedImage, name: &'a str) -> Alias<'a> {
    Alias {
        name,
        description: "",
        target: image.fingerprint.to_string(),
        kind: image.kind.name(),
    }
}

/// The bytes: one file, of which a part may be asked for, or two in a multipart body.
fn export(image: &ServedImage, headers: &HeaderMap) -> Response<Sent> {
    let fingerprint = image.fingerprint.to_string();
    if let [file] = image.files.as_slice() {
        let tag = format!("\"{fingerprint}\"");
        let same = headers
            .get(IF_RANGE)
            .is_none_or(|mark| mark.as_bytes() == tag.as_bytes());
        let begin = match headers
            .get(RANGE)
            .filter(|_| same)
            .map(|range| begin(range, file.length))
        {
            None | Some(Begin::Whole) => None,
            Some(Begin::At(offset)) => Some(offset),
            Some(Begin::Beyond) => {
                let mut response = failure(StatusCode::RANGE_NOT_SATISFIABLE, "no such range");
                put(
                    &mut response,
                    CONTENT_RANGE,
                    &format!("bytes */{}", file.length),
                );
                return response;
            }
        };
        let offset = begin.unwrap_or(0);
        let mut response = Response::new(Sent::new([Piece::File {
            file: file.file.clone(),
            offset,
            length: file.length - offset,
        }]));
        if begin.is_some() {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let last = file.length - 1;
            put(
                &mut response,
                CONTENT_RANGE,
                &format!("bytes {offset}-{last}/{}", file.length),
            );
        }
        put(&mut response, CONTENT_TYPE, "application/octet-stream");
        put(&mut response, ACCEPT_RANGES, "bytes");
        put(&mut response, ETAG, &tag);
        let name = format!("inline;filename={fingerprint}{}", file.ending);
        put(&mut response, CONTENT_DISPOSITION, &name);
        return response;
    }
    // No file holds its own digest.
    let boundary = &fingerprint[..60];
    let mut pieces = Vec::new();
    let names = [("metadata", "meta-"), (image.kind.part(), "")];
    for (number, (file, (part, prefix))) in image.files.iter().zip(names).enumerate() {
        let before = if number == 0 { "" } else { "\r\n" };
        let ending = file.ending;
        let head = format!(
            "{before}--{boundary}\r\nContent-Disposition: form-data; name=\"{part}\"; \
             filename=\"{prefix}{fingerprint}{ending}\"\r\nContent-Type: application/octet-stream\r\n\r\n"
        );
        pieces.push(Piece::Bytes(head.into()));
        pieces.push(Piece::File {
            file: file.file.clone(),
            offset: 0,
            length: file.length,
        });
    }
    pieces.push(Piece::Bytes(format!("\r\n--{boundary}--\r\n").into()));
    let mut response = Response::new(Sent::new(pieces));
    put(
        &mut response,
        CONTENT_TYPE,
        &format!("multipart/form-data; boundary={boundary}"),
    );
    response
}

enum Begin {
    At(u64),
    Beyond,
    Whole,
}

/// Where a range begins; only those to the end are given, all others are as if not asked for.
fn begin(range: &HeaderValue, length: u64) -> Begin {
    let offset = range
        .to_str()
        .ok()
        .and_then(|text| text.strip_prefix("bytes="))
        .and_then(|text| text.strip_suffix('-'))
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|digits| digits.parse().ok());
    match offset {
        Some(offset) if offset < length => Begin::At(offset),
        Some(_) => Begin::Beyond,
        None => Begin::Whole,
    }
}

/// What a query asks for; all else in it is ignored.
struct Query {
    recursion: bool,
    other_project: bool,
}

impl Query {
    fn of(text: &str) -> Self {
        let mut query = Self {
            recursion: false,
            other_project: false,
        };
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            match (&*name, &*value) {
                ("recursion", "1") => query.recursion = true,
                ("project", "" | "default") => {}
                ("project", _) => query.other_project = true,
                _ => {}
            }
        }
        query
    }
}

/// A path segment without its percent signs, if it is UTF-8 then.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        bytes.push(u8::try_from(high << 4 | low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

fn value<T: Serialize>(metadata: T) -> Response<Sent> {
    json(StatusCode::OK, &Sync::new(metadata))
}

fn failure(status: StatusCode, error: &'static str) -> Response<Sent> {
    json(
        status,
        &Failure {
            kind: "error",
            error_code: status.as_u16(),
            error,
            metadata: None,
        },
    )
}

fn json<T: Serialize>(status: StatusCode, value: &T) -> Response<Sent> {
    // Maps with keys of text and plain values always become JSON.
    let text = serde_json::to_vec(value).unwrap_or_default();
    let mut response = Response::new(Sent::text(Bytes::from(text)));
    *response.status_mut() = status;
    put(&mut response, CONTENT_TYPE, "application/json");
    put(&mut response, X_CONTENT_TYPE_OPTIONS, "nosniff");
    response
}

fn put(response: &mut Response<Sent>, name: hyper::header::HeaderName, text: &str) {
    // All of them are made of digits and fixed text.
    if let Ok(text) = HeaderValue::from_str(text) {
        response.headers_mut().insert(name, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_ranges_to_the_end_only() {
        let begin = |text: &'static str| match begin(&HeaderValue::from_static(text), 10) {
            Begin::At(offset) => offset.to_string(),
            Begin::Beyond => "beyond".to_owned(),
            Begin::Whole => "whole".to_owned(),
        };
        for (text, wanted) in [
            ("bytes=0-", "0"),
            ("bytes=9-", "9"),
            ("bytes=10-", "beyond"),
            ("bytes=1-2", "whole"),
            ("bytes=-2", "whole"),
            ("bytes=+1-", "whole"),
            ("lines=1-", "whole"),
        ] {
            assert_eq!(begin(text), wanted, "{text}");
        }
    }

    #[test]
    fn decodes_names() {
        for (text, wanted) in [
            ("a%2Fb", Some("a/b")),
            ("a/b", Some("a/b")),
            ("%C3%A4", Some("ä")),
            ("%ff", None),
            ("%2", None),
            ("%zz", None),
        ] {
            assert_eq!(decode(text).as_deref(), wanted, "{text}");
        }
    }
}
