//! Replies, in the envelope that all of them have.

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, X_CONTENT_TYPE_OPTIONS};
use hyper::http::HeaderValue;
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::body::Sent;
use super::wire::{Failure, Sync};

pub(super) fn value<T: Serialize>(metadata: T) -> Response<Sent> {
    json(StatusCode::OK, &Sync::new(metadata))
}

pub(super) fn failure(status: StatusCode, error: &'static str) -> Response<Sent> {
    json(status, &Failure::new(status.as_u16(), error))
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

pub(super) fn put(response: &mut Response<Sent>, name: HeaderName, text: &str) {
    // All of them are made of digits and fixed text.
    if let Ok(text) = HeaderValue::from_str(text) {
        response.headers_mut().insert(name, text);
    }
}
