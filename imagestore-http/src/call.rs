use bytes::Bytes;
use imagestore_core::{Action, Caches, Change, Get, Resume};
use reqwest::Method;
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, PRAGMA,
    USER_AGENT,
};

use crate::client;
use crate::ranges::{ask_for_change, ask_for_rest};

/// One request as it is sent, whoever it is sent to.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    pub(crate) fn get(request: &Get<'_>, resume: Option<&Resume>) -> Self {
        let mut headers = headers();
        if request.caches == Caches::Bypass {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
        }
        if let Some(resume) = resume {
            ask_for_rest(&mut headers, resume);
        } else if let Some(known) = request.known {
            ask_for_change(&mut headers, known);
        }
        Self {
            method: Method::GET,
            headers,
            body: Bytes::new(),
        }
    }

    pub(crate) fn change(request: Change<'_>) -> Self {
        let mut headers = headers();
        let (method, body) = match request.action {
            Action::Post { json } => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                (Method::POST, Bytes::copy_from_slice(json))
            }
            Action::Delete => (Method::DELETE, Bytes::new()),
        };
        Self {
            method,
            headers,
            body,
        }
    }
}

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static(client::USER_AGENT));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers
}
