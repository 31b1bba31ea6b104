use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use imagestore::core::{Event, Hop, ImageId, ListedEntries, Progress};
use imagestore::store::{ProofRecord, StoredImage};
use imagestore::verify::Proof;
use imagestore::{Error, ImageStore, UnpackedImage};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

/// Tells the user, or a program that reads JSON, what happens.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    json: bool,
    quiet: bool,
    bars: MultiProgress,
    files: Mutex<HashMap<String, ProgressBar>>,
}

impl Report {
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        let inner = Inner {
            json,
            quiet,
            bars: MultiProgress::new(),
            files: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// A line for people, above the progress bars.
    pub(crate) fn say(&self, line: impl AsRef<str>) {
        if !self.inner.json && !self.inner.quiet {
            self.inner.bars.suspend(|| out(line.as_ref()));
        }
    }

    /// The remotes that were asked and who signed what they said, and what was found.
    pub(crate) fn found(&self, hops: &[Hop], id: &ImageId) {
        for hop in hops {
            self.say(format!("{}", hop.remote.url()));
            self.say_proofs(&hop.proofs);
            self.json(|| with_event("hop", hop_value(hop)));
        }
        self.say(format!("{} build {}", id.path(), id.build()));
    }

    pub(crate) fn remotes(&self, images: &ImageStore) {
        let default = images.config().default_remote();
        for (name, settings) in images.config().remotes() {
            let mark = if Some(name) == default {
                " (default)"
            } else {
                ""
            };
            self.result(format!("{name}{mark}  {}", settings.url));
            self.json(|| {
                json!({"event": "entry", "name": name.as_str(), "kind": "remote",
                "description": null, "properties": {"url": settings.url}})
            });
        }
        let count = images.config().remotes().len();
        self.json(|| json!({"event": "done", "entries": count, "hops": []}));
    }

    pub(crate) fn listed(&self, listed: &ListedEntries) {
        for entry in listed.entries.iter() {
            let mut line = format!(
                "{:<8} {}",
                entry.kind.name(),
                imagestore::core::printable(&entry.name)
            );
            if let Some(description) = &entry.description {
                line.push_str("  ");
                line.push_str(&imagestore::core::printable(description));
            }
            self.result(line);
            self.json(|| {
                json!({"event": "entry", "name": entry.name, "kind": entry.kind.name(),
                "description": entry.description, "properties": entry.properties})
            });
        }
        let hops: Vec<_> = listed.hops.iter().map(hop_value).collect();
        self.json(|| {
            json!({"event": "done", "entries": listed.entries.len(), "hops": hops,
            "stale_seconds": listed.stale.map(|age| age.as_secs())})
        });
    }

    /// `stale` is the age of what the remote said, if it could not be asked anew.
    pub(crate) fn done(
        &self,
        image: &StoredImage,
        hops: &[Hop],
        stale: Option<Duration>,
        unpacked: Option<&UnpackedImage>,
    ) {
        let mut files = Vec::new();
        for artifact in image.artifacts() {
            self.say(format!(
                "{}  {} bytes",
                artifact.file().name,
                artifact.size()
            ));
            self.say_proofs(artifact.proofs());
            files.push(
                json!({"name": artifact.file().name, "size": artifact.size(),
                "sha256": artifact.sha256().to_string(), "proofs": proof_values(artifact.proofs()),
                "proofs_when_fetched": record_values(artifact.fetch_proofs())}),
            );
        }
        if let Some(unpacked) = unpacked {
            self.say(format!(
                "unpacked into {}: {unpacked}",
                unpacked.target.display()
            ));
        }
        self.json(|| {
            json!({
                "event": "done",
                "image": {
                    "remote": image.id().remote(), "path": image.id().path(), "build": image.id().build(),
                    "properties": image.properties(),
                    "index_proofs": record_values(image.index_proofs()),
                },
                "files": files,
                "hops": hops.iter().map(hop_value).collect::<Vec<_>>(),
                "stale_seconds": stale.map(|age| age.as_secs()),
                "output": unpacked.map(unpacked_value),
            })
        });
    }

    /// The last word when something went wrong: one line, and one for each cause.
    pub(crate) fn failed(&self, error: &Error) {
        self.clear();
        let causes = causes(error);
        self.json(|| {
            json!({"event": "error", "kind": error.kind().name(),
            "message": error.to_string(), "causes": causes})
        });
        let mut stderr = std::io::stderr().lock();
        // Nobody is left to tell when standard error is closed.
        let _ = writeln!(stderr, "error: {error}");
        for cause in &causes {
            let _ = writeln!(stderr, "caused by: {cause}");
        }
    }

    /// The lines of an error that is no failure of the program.
    pub(crate) fn explain(&self, error: &Error) {
        self.clear();
        self.say(format!("  error: {error}"));
        for cause in causes(error) {
            self.say(format!("  caused by: {cause}"));
        }
    }

    /// Why something is believed, each reason once.
    fn say_proofs(&self, proofs: &[Proof]) {
        let mut lines: Vec<String> = Vec::new();
        for proof in proofs {
            let mut said = vec![format!("    {proof}")];
            if let Proof::Signature(signature) = proof {
                let warnings = signature.warnings().iter();
                said.extend(warnings.map(|warning| format!("      warning: {warning}")));
            }
            said.retain(|line| !lines.contains(line));
            lines.extend(said);
        }
        for line in lines {
            self.say(line);
        }
    }

    fn clear(&self) {
        for (_, bar) in self
            .inner
            .files
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain()
        {
            bar.finish_and_clear();
        }
    }

    /// What was asked for, which quiet does not silence.
    fn result(&self, line: String) {
        if !self.inner.json {
            out(&line);
        }
    }

    fn json(&self, value: impl FnOnce() -> Value) {
        if self.inner.json {
            out(&value().to_string());
        }
    }

    fn bar(&self, file: &str, act: impl FnOnce(&ProgressBar)) {
        if self.inner.json || self.inner.quiet {
            return;
        }
        let mut files = self
            .inner
            .files
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        act(files.entry(file.to_owned()).or_insert_with(|| {
            let style = ProgressStyle::with_template(
                "{msg:>14} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}",
            )
            .unwrap_or_else(|_| ProgressStyle::default_bar());
            self.inner.bars.add(
                ProgressBar::new(0)
                    .with_style(style)
                    .with_message(file.to_owned()),
            )
        }));
    }
}

impl Progress for Report {
    fn on(&self, event: Event<'_>) {
        match event {
            Event::Asked { url } => self.json(|| json!({"event": "asked", "url": url.as_str()})),
            Event::DownloadStarted { file, size, offset } => {
                self.bar(file, |bar| {
                    bar.set_length(size.unwrap_or_default());
                    bar.set_position(offset);
                });
                self.json(
                    || json!({"event": "download", "file": file, "size": size, "offset": offset}),
                );
            }
            Event::Downloaded { file, bytes } => self.bar(file, |bar| {
                bar.set_length(bar.length().unwrap_or_default().max(bytes));
                bar.set_position(bytes);
            }),
            Event::Reused { file } => {
                self.say(format!("{file}  is here already and still holds"));
                self.json(|| json!({"event": "reused", "file": file}));
            }
            Event::Verified { what, proofs } => {
                self.bar(what, ProgressBar::finish_and_clear);
                self.json(
                    || json!({"event": "verified", "what": what, "proofs": proof_values(proofs)}),
                );
            }
            Event::Warning { text } => {
                if !self.inner.json {
                    self.inner
                        .bars
                        .suspend(|| eprintln!("warning: {}", imagestore::core::printable(text)));
                }
                self.json(|| json!({"event": "warning", "text": text}));
            }
            _ => {}
        }
    }
}

fn causes(error: &Error) -> Vec<String> {
    let mut causes = Vec::new();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    causes
}

fn with_event(event: &str, mut value: Value) -> Value {
    value["event"] = event.into();
    value
}

fn hop_value(hop: &Hop) -> Value {
    json!({"remote": hop.remote.name().as_str(), "url": hop.remote.url().to_string(),
        "path": hop.path.to_string(), "proofs": proof_values(&hop.proofs)})
}

fn proof_values(proofs: &[Proof]) -> Vec<Value> {
    proofs.iter().map(proof_value).collect()
}

fn proof_value(proof: &Proof) -> Value {
    let text = proof.to_string();
    match proof {
        Proof::Signature(signature) => json!({
            "kind": "signature", "text": text, "signer": signature.signer().to_string(),
            "signed_by": signature.signed_by().to_string(), "hash": signature.hash(),
            "signed_at": signature.signed_at().duration_since(std::time::UNIX_EPOCH).map_or(0, |it| it.as_secs()),
            "warnings": signature.warnings().iter().map(ToString::to_string).collect::<Vec<_>>(),
        }),
        Proof::Digest(digest) => {
            json!({"kind": "digest", "text": text, "sha256": digest.to_string()})
        }
        Proof::Channel(channel) => json!({"kind": "channel", "text": text, "what": channel.what()}),
        _ => json!({"kind": "other", "text": text}),
    }
}

fn record_values(records: &[ProofRecord]) -> Vec<Value> {
    let record =
        |record: &ProofRecord| json!({"text": record.to_string(), "warnings": record.warnings()});
    records.iter().map(record).collect()
}

fn unpacked_value(unpacked: &UnpackedImage) -> Value {
    json!({"target": path(&unpacked.target), "parts": unpacked.parts.iter().map(|part| json!({
        "directory": part.name, "files": part.counts.files, "directories": part.counts.directories,
        "symlinks": part.counts.symlinks, "hard_links": part.counts.hard_links,
        "devices_skipped": part.counts.devices_skipped, "bytes": part.counts.bytes,
    })).collect::<Vec<_>>()})
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A reader that went away, such as `head`, is no reason to complain.
fn out(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
