use hyper::{Method, Request, Response, StatusCode};
use imagestore_verify::Sha256;
use url::form_urlencoded;

use super::body::Sent;
use super::export::export;
use super::image::ServedImage;
use super::response::{failure, value};
use super::shelf::Shelf;
use super::wire::{Alias, Host, Image};

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
        // Names of private images are among them, so hosts keep the list from strangers.
        Some("aliases") => failure(StatusCode::FORBIDDEN, "not authorized"),
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
                ("recursion", depth) => query.recursion = depth.parse().is_ok_and(|n: u64| n > 0),
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

#[cfg(test)]
mod tests {
    use super::*;

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
