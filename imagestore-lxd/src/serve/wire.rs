use std::collections::BTreeMap;

use serde::Serialize;

use super::image::ServedImage;
use crate::time;

/// The answer to a request that could be answered.
#[derive(Serialize)]
pub(super) struct Sync<T> {
    #[serde(rename = "type")]
    kind: &'static str,
    status: &'static str,
    status_code: u16,
    operation: &'static str,
    error_code: u16,
    error: &'static str,
    metadata: T,
}

impl<T> Sync<T> {
    pub(super) fn new(metadata: T) -> Self {
        Self {
            kind: "sync",
            status: "Success",
            status_code: 200,
            operation: "",
            error_code: 0,
            error: "",
            metadata,
        }
    }
}

/// The answer to one that could not. It says as much as the other, as hosts do.
#[derive(Serialize)]
pub(super) struct Failure {
    #[serde(rename = "type")]
    kind: &'static str,
    status: &'static str,
    status_code: u16,
    operation: &'static str,
    error_code: u16,
    error: &'static str,
    metadata: Option<()>,
}

impl Failure {
    pub(super) fn new(error_code: u16, error: &'static str) -> Self {
        Self {
            kind: "error",
            status: "",
            status_code: 0,
            operation: "",
            error_code,
            error,
            metadata: None,
        }
    }
}

#[derive(Serialize)]
pub(super) struct Host {
    pub(super) api_extensions: [&'static str; 1],
    pub(super) api_status: &'static str,
    pub(super) api_version: &'static str,
    pub(super) auth: &'static str,
    pub(super) auth_methods: [&'static str; 1],
    pub(super) public: bool,
}

#[derive(Serialize)]
pub(super) struct Alias<'a> {
    pub(super) name: &'a str,
    pub(super) description: &'a str,
    pub(super) target: String,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
}

#[derive(Serialize)]
pub(super) struct Image<'a> {
    aliases: Vec<Name<'a>>,
    architecture: &'a str,
    auto_update: bool,
    cached: bool,
    created_at: String,
    expires_at: String,
    filename: String,
    fingerprint: String,
    last_used_at: String,
    profiles: [&'static str; 0],
    properties: &'a BTreeMap<String, String>,
    public: bool,
    size: u64,
    #[serde(rename = "type")]
    kind: &'static str,
    uploaded_at: String,
}

#[derive(Serialize)]
struct Name<'a> {
    name: &'a str,
    description: &'static str,
}

impl<'a> Image<'a> {
    pub(super) fn of(image: &'a ServedImage) -> Self {
        let name = |name: &'a String| Name {
            name,
            description: "",
        };
        let ending = image.files.last().map_or("", |file| file.ending);
        Self {
            aliases: image.aliases.iter().map(name).collect(),
            architecture: &image.architecture,
            auto_update: false,
            cached: false,
            created_at: time::format(image.created_at),
            expires_at: time::format(image.expires_at),
            filename: format!("{}{ending}", image.fingerprint),
            fingerprint: image.fingerprint.to_string(),
            last_used_at: time::format(None),
            profiles: [],
            properties: &image.properties,
            public: true,
            size: image.size,
            kind: image.kind.name(),
            uploaded_at: time::format(image.created_at),
        }
    }
}
