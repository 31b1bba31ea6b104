//! A host on loopback, and who asks it.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use imagestore_core::freshness::InMemory;
use imagestore_core::{
    Context, Error, Event, Image, ImageSource, Limits, Listing, Lookup, Progress, RemoteConfig,
    TlsTrust, Trust,
};
use imagestore_http::{HttpOptions, HttpTransport};
use imagestore_lxd::Lxd;
use imagestore_store::{Store, StoredImage};
use imagestore_testkit::{Answer, Request, Server, Site};
use imagestore_verify::{Sha256, Verified};

/// One image of a host.
#[derive(Clone)]
pub(crate) struct Shown {
    pub(crate) files: Vec<Vec<u8>>,
    pub(crate) aliases: Vec<String>,
    /// What stands in the place of the fields of the image, by name.
    pub(crate) fields: BTreeMap<&'static str, String>,
    /// What is sent as the export, with its media type.
    pub(crate) export: Option<(String, Vec<u8>)>,
}

impl Shown {
    pub(crate) fn new<const N: usize>(alias: &str, files: [&[u8]; N]) -> Self {
        Self {
            files: files.iter().map(|file| file.to_vec()).collect(),
            aliases: vec![alias.to_owned()],
            fields: BTreeMap::new(),
            export: None,
        }
    }

    pub(crate) fn with(mut self, field: &'static str, value: &str) -> Self {
        self.fields.insert(field, value.to_owned());
        self
    }

    pub(crate) fn fingerprint(&self) -> String {
        Sha256::of(&self.files.concat()).to_string()
    }

    pub(crate) fn json(&self) -> String {
        let names: Vec<_> = self
            .aliases
            .iter()
            .map(|name| format!(r#"{{"name":"{name}"}}"#))
            .collect();
        let mut fields = BTreeMap::from([
            ("fingerprint", format!("\"{}\"", self.fingerprint())),
            ("size", self.files.concat().len().to_string()),
            ("architecture", "\"x86_64\"".to_owned()),
            ("type", "\"container\"".to_owned()),
            ("public", "true".to_owned()),
            ("aliases", format!("[{}]", names.join(","))),
            (
                "properties",
                r#"{"os":"debian","description":"a box"}"#.to_owned(),
            ),
        ]);
        fields.extend(self.fields.clone());
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        format!("{{{}}}", fields.join(","))
    }

    fn body(&self) -> (String, Vec<u8>) {
        match (&self.export, self.files.as_slice()) {
            (Some(export), _) => export.clone(),
            (None, [file]) => ("application/octet-stream".to_owned(), file.clone()),
            (None, files) => {
                let names = ["metadata", "rootfs", "third"];
                let parts = names
                    .iter()
                    .zip(files)
                    .map(|(name, file)| (*name, file.as_slice()));
                multipart(&parts.collect::<Vec<_>>(), "\r\n--b0--\r\n\r\n--b0--\r\n")
            }
        }
    }
}

/// A multipart body, with what it ends in.
pub(crate) fn multipart(parts: &[(&str, &[u8])], end: &str) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (number, (name, file)) in parts.iter().enumerate() {
        let before = if number == 0 { "" } else { "\r\n" };
        body.extend_from_slice(
            format!(
                "{before}--b0\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"../../{name}\"\r\n\
                 Content-Type: application/octet-stream\r\n\r\n"
            )
            .as_bytes(),
        );
        body.extend_from_slice(file);
    }
    body.extend_from_slice(end.as_bytes());
    ("multipart/form-data; boundary=b0".to_owned(), body)
}

/// What a host answers that shows these images.
pub(crate) fn site(images: Vec<Shown>) -> Site {
    Site::answering(move |request| answer(request, &images))
}

pub(crate) fn answer(request: &Request, images: &[Shown]) -> Answer {
    if request.method != "GET" {
        return error(501);
    }
    let Some(rest) = request.path.strip_prefix("/1.0/images") else {
        return match request.path.as_str() {
            "/1.0" => sync(r#"{"auth":"untrusted","api_extensions":["etag"]}"#),
            _ => error(404),
        };
    };
    if rest.is_empty() {
        let all: Vec<_> = images.iter().map(Shown::json).collect();
        return sync(&format!("[{}]", all.join(",")));
    }
    if let Some(name) = rest.strip_prefix("/aliases/") {
        let found = images
            .iter()
            .find(|image| image.aliases.iter().any(|alias| alias == name));
        return found.map_or_else(
            || error(404),
            |image| {
                let target = format!("\"{}\"", image.fingerprint());
                let target = image.fields.get("target").unwrap_or(&target);
                sync(&format!(r#"{{"name":"{name}","target":{target}}}"#))
            },
        );
    }
    let rest = rest.trim_start_matches('/');
    let (digits, export) = match rest.strip_suffix("/export") {
        Some(digits) => (digits, true),
        None => (rest, false),
    };
    match images
        .iter()
        .find(|image| image.fingerprint().starts_with(digits))
    {
        Some(image) if export => {
            let (kind, body) = image.body();
            Answer::ok(body).with_field("Content-Type", kind)
        }
        Some(image) => sync(&image.json()),
        None => error(404),
    }
}

pub(crate) fn sync(metadata: &str) -> Answer {
    let text = format!(
        r#"{{"type":"sync","status":"Success","status_code":200,"operation":"","error_code":0,"error":"","metadata":{metadata}}}"#
    );
    Answer::ok(text).with_field("Content-Type", "application/json")
}

pub(crate) fn error(code: u16) -> Answer {
    let text = format!(r#"{{"type":"error","error_code":{code},"error":"x","metadata":null}}"#);
    Answer::new(code, text).with_field("Content-Type", "application/json")
}

/// Somebody who asks, and what they were told.
pub(crate) struct Asker {
    pub(crate) context: Context,
    pub(crate) told: Arc<Told>,
    pub(crate) store: Store,
    directory: tempfile::TempDir,
}

impl Asker {
    pub(crate) fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    pub(crate) fn with_limits(limits: Limits) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(&directory.path().join("store")).expect("a store");
        let told = Arc::new(Told::default());
        let mut options = HttpOptions::default();
        options.back_off = std::time::Duration::from_millis(1);
        let context = Context::new(Arc::new(HttpTransport::new(options)))
            .with_limits(limits)
            .with_memory(Arc::new(InMemory::default()))
            .with_progress(told.clone());
        Self {
            context,
            told,
            store,
            directory,
        }
    }

    /// Where the store is.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn source(&self, remote: RemoteConfig) -> Lxd {
        Lxd::new(remote, self.context.clone()).expect("a remote that is in order")
    }

    pub(crate) async fn fetch(&self, source: &Lxd, path: &str) -> Result<StoredImage, Error> {
        let image = lookup(source, path).await?;
        self.store
            .fetch(&self.context, source.remote(), &image)
            .await
    }

    /// Whether nothing of any image is kept.
    pub(crate) fn keeps_nothing(&self) -> bool {
        self.store.list().expect("a list").is_empty()
    }
}

/// The remote that is this server, pinned if it has a certificate.
pub(crate) fn remote(server: &Server) -> RemoteConfig {
    let remote = RemoteConfig::new(
        "host".parse().expect("a name"),
        server.remote_url("lxd"),
        Trust::Channel,
    );
    match server.certificate() {
        Some(certificate) => remote.with_tls(TlsTrust::Pin(vec![certificate.sha256()])),
        None => remote,
    }
}

pub(crate) async fn lookup(source: &Lxd, path: &str) -> Result<Verified<Image>, Error> {
    let answer = source.lookup(&path.parse().expect(path)).await?;
    Ok(answer.map(|answer| match answer {
        Lookup::Image(image) => *image,
        Lookup::Referral(referral) => panic!("{path} leads elsewhere: {referral:?}"),
    }))
}

pub(crate) async fn names(source: &Lxd, prefix: &str) -> Result<Vec<String>, Error> {
    match source
        .list(&prefix.parse().expect(prefix))
        .await?
        .into_inner()
    {
        Listing::Entries { entries, .. } => {
            Ok(entries.into_iter().map(|entry| entry.name).collect())
        }
        Listing::Referral(referral) => panic!("{prefix} leads elsewhere: {referral:?}"),
    }
}

/// The error and all its causes, one a line.
pub(crate) fn chain(error: &Error) -> String {
    let mut lines = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        lines.push(cause.to_string());
        next = cause.source();
    }
    lines.join("\n")
}

/// Keeps what is told, and does something when a number of bytes is here.
#[derive(Default)]
pub(crate) struct Told {
    warnings: Mutex<Vec<String>>,
    working: Mutex<Vec<String>>,
    begun: Mutex<Vec<u64>>,
    everything: Mutex<Vec<String>>,
    trigger: Mutex<Option<Trigger>>,
}

struct Trigger {
    bytes: u64,
    act: Box<dyn FnOnce() + Send>,
}

impl Told {
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.warnings.lock().expect("not poisoned").clone()
    }

    /// What hosts said they were doing.
    pub(crate) fn working(&self) -> Vec<String> {
        self.working.lock().expect("not poisoned").clone()
    }

    /// From which byte on each download was asked for.
    pub(crate) fn begun(&self) -> Vec<u64> {
        self.begun.lock().expect("not poisoned").clone()
    }

    /// All events, as they are shown to programmers.
    pub(crate) fn everything(&self) -> Vec<String> {
        self.everything.lock().expect("not poisoned").clone()
    }

    pub(crate) fn once(&self, bytes: u64, act: impl FnOnce() + Send + 'static) {
        let act = Box::new(act);
        *self.trigger.lock().expect("not poisoned") = Some(Trigger { bytes, act });
    }
}

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Told").finish_non_exhaustive()
    }
}

impl Progress for Told {
    fn on(&self, event: Event<'_>) {
        let shown = format!("{event:?}");
        self.everything.lock().expect("not poisoned").push(shown);
        match event {
            Event::Working { what, progress } => self
                .working
                .lock()
                .expect("not poisoned")
                .push(format!("{what}: {progress}")),
            Event::Warning { text } => self
                .warnings
                .lock()
                .expect("not poisoned")
                .push(text.to_owned()),
            Event::DownloadStarted { offset, .. } => {
                self.begun.lock().expect("not poisoned").push(offset);
            }
            Event::Downloaded { bytes, .. } => {
                let mut trigger = self.trigger.lock().expect("not poisoned");
                if trigger
                    .as_ref()
                    .is_some_and(|trigger| trigger.bytes <= bytes)
                    && let Some(trigger) = trigger.take()
                {
                    (trigger.act)();
                }
            }
            _ => {}
        }
    }
}
