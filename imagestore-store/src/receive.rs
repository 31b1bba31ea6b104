use std::fs::File;

use imagestore_core::{
    Body, Download, Error, ErrorKind, Event, Framing, Get, Result, Resume, Validators,
};
use imagestore_verify::{FormPart, MultipartError, Spool, StreamingCheck, Verified};
use url::Url;

use crate::blocking::blocking;
use crate::job::{Job, name_of};
use crate::partial::{Partial, may_resume};
use crate::sink::{Sink, multipart};
use crate::space::check_space;
use crate::staging::{Staging, part_name};
use crate::writer::Writer;

/// Brings the bytes of one download from one location and checks them.
#[derive(Debug)]
pub(crate) struct Receiver<'a> {
    pub(crate) job: &'a Job,
    pub(crate) staging: &'a Staging,
    pub(crate) index: usize,
    pub(crate) location: usize,
    pub(crate) check: StreamingCheck,
}

/// What is here of the body.
#[derive(Debug)]
struct Held {
    sink: Sink,
    validators: Validators,
}

/// How far one request has led.
enum Reached {
    /// All of the body is here.
    End(Held),
    /// It broke off, and can be gone on with.
    Break(Error, Held),
}

impl Receiver<'_> {
    /// All files of the answer, checked. A body that breaks off is asked for from there on, a few
    /// times; a part that joins to something that does not pass is thrown away, once, and the whole
    /// is asked for.
    pub(crate) async fn receive(&self) -> Result<Verified<Vec<File>>> {
        let mut held = self.kept_part().await?;
        let mut joined = held.is_some();
        let mut breaks = 0;
        loop {
            let whole = match held.take() {
                Some(part) if self.is_whole(&part) => part,
                part => match self.ask(part).await? {
                    Reached::End(whole) => whole,
                    Reached::Break(error, part) => {
                        breaks += 1;
                        if breaks > HIGHEST_BREAKS {
                            return Err(error);
                        }
                        let text = format!("{error}; asking for the rest");
                        self.job.context.tell(Event::Warning { text: &text });
                        held = self.may_resume(&part.validators).then_some(part);
                        joined |= held.is_some();
                        continue;
                    }
                },
            };
            match self.finish(whole.sink) {
                Ok(files) => return Ok(files),
                Err(error) => {
                    self.drop_part()?;
                    if !joined || error.kind() != ErrorKind::Untrusted {
                        return Err(error);
                    }
                    // The part may have been of another issue of the file, or spoiled on the disk.
                    joined = false;
                    let text = format!("{error}; asking for the whole");
                    self.job.context.tell(Event::Warning { text: &text });
                }
            }
        }
    }

    async fn ask(&self, held: Option<Held>) -> Result<Reached> {
        let (mut body, held) = self.answer(held).await?;
        let offset = held.sink.len();
        let name = name_of(self.download());
        let size = self.download().size.or_else(|| announced(&body));
        if let Some(size) = size {
            check_space(&self.staging.dir, size.saturating_sub(offset), name)?;
        }
        self.job.context.tell(Event::DownloadStarted {
            file: name,
            size,
            offset,
        });
        let validators = held.validators;
        let writer = Writer::start(held.sink, self.staging.dir.clone());
        let mut here = offset;
        let end = loop {
            match body.chunk().await {
                Ok(Some(chunk)) => {
                    here += chunk.len() as u64;
                    if here > self.highest() {
                        writer.finish().await?;
                        self.drop_part()?;
                        return Err(self.too_large("more bytes"));
                    }
                    if !writer.write(chunk).await {
                        break Ok(());
                    }
                    // The frame of a form is no part of its files.
                    let bytes = size.map_or(here, |size| here.min(size));
                    self.job
                        .context
                        .tell(Event::Downloaded { file: name, bytes });
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        let held = Held {
            sink: writer.finish().await?,
            validators,
        };
        match end {
            Err(error) if error.kind() == ErrorKind::Network => Ok(Reached::Break(error, held)),
            Err(error) => Err(error),
            Ok(()) if self.is_short(here) => Ok(Reached::Break(self.short(here), held)),
            // A form without its end line was cut as well, however well its transfer ended.
            Ok(()) if !held.sink.is_complete() => {
                let cut = multipart(MultipartError::Incomplete, &self.staging.parts);
                Ok(Reached::Break(self.about(cut), held))
            }
            Ok(()) => Ok(Reached::End(held)),
        }
    }

    /// The answer to go on with, and the sink at the place where it begins.
    async fn answer(&self, held: Option<Held>) -> Result<(Body, Held)> {
        if let Some(held) = held {
            let offset = held.sink.len();
            let resume = Resume {
                offset,
                validators: held.validators.clone(),
            };
            match self.get(Some(&resume)).await {
                Ok(body) if body.offset() == offset && self.joins(&body, &held) => {
                    return Ok((body, held));
                }
                Ok(body) if body.offset() == 0 => return self.begin(body),
                // The rest of something else: what is here must not be joined with it.
                Ok(_) => {}
                // Some do not answer such a request at all. What is here stays until the whole
                // begins to arrive.
                Err(error) if error.kind() == ErrorKind::Network => {}
                Err(error) => return Err(error),
            }
        }
        let body = self.get(None).await?;
        if body.offset() != 0 {
            let message = format!(
                "asked from the beginning, answered from byte {}",
                body.offset()
            );
            return Err(Error::new(ErrorKind::Network, message).with_subject(self.url()));
        }
        self.begin(body)
    }

    async fn get(&self, resume: Option<&Resume>) -> Result<Body> {
        let request = Get::file(&self.job.remote, self.url()).with_resume(resume);
        let transport = self.job.context.transport();
        match &self.download().admission {
            Some(admission) => admission.get(&**transport, request).await,
            None => transport.get(request).await,
        }
    }

    /// Whether an answer is the rest of the part that is here, as far as that can be told before it
    /// is checked.
    fn joins(&self, body: &Body, held: &Held) -> bool {
        let same_tag = match (&body.validators().etag, &held.validators.etag) {
            (Some(found), Some(seen)) => found == seen,
            _ => true,
        };
        same_tag && self.check_announced(body).is_ok()
    }

    /// An empty sink in the place of what is here, for an answer that begins at the first byte.
    fn begin(&self, body: Body) -> Result<(Body, Held)> {
        self.check_announced(&body)?;
        self.drop_part()?;
        let (parts, download) = (&self.staging.parts, self.download());
        let validators = body.validators().clone();
        let mut files = Vec::new();
        for number in 0..download.files.len() {
            files.push(parts.create_file(&part_name(self.index, number))?);
        }
        let check = self.check.clone();
        let sink = match (download.framing, files.pop()) {
            (Framing::Plain, Some(file)) => Sink::plain(Spool::new(file, check)),
            (_, last) => {
                files.extend(last);
                let parts_of_form = files
                    .into_iter()
                    .zip(&download.files)
                    .map(|(file, wanted)| FormPart::new(file).with_name(wanted.part_name.clone()));
                Sink::parts(parts_of_form.collect(), body.content_type(), check, parts)
                    .map_err(|error| self.about(error))?
            }
        };
        if self.may_resume(&validators) {
            Partial::new(download, self.url(), &validators).write(parts, self.index)?;
        }
        Ok((body, Held { sink, validators }))
    }

    /// Completes the check of all that is here.
    fn finish(&self, sink: Sink) -> Result<Verified<Vec<File>>> {
        let here = sink.len();
        let files = sink
            .finish(&self.staging.parts)
            .map_err(|error| self.about(error))?;
        match self.download().size {
            Some(size) if size != here => {
                let message = format!("has {here} bytes, the index says {size}");
                Err(Error::new(ErrorKind::Untrusted, message).with_subject(self.url()))
            }
            _ => Ok(files),
        }
    }

    /// What an earlier fetch has left of this file from this location, hashed again.
    async fn kept_part(&self) -> Result<Option<Held>> {
        let (parts, download) = (&self.staging.parts, self.download());
        let partial = Partial::read(parts, self.index, download)
            .filter(|partial| partial.is_from(self.url()) && self.is_plain());
        let Some(partial) = partial else {
            self.drop_part()?;
            return Ok(None);
        };
        let file = match parts.open_file_to_write(&part_name(self.index, 0)) {
            Ok(Some(file)) => file,
            // Whatever lies in its place, it is not what was put there.
            Ok(None) | Err(_) => {
                self.drop_part()?;
                return Ok(None);
            }
        };
        let length = file.metadata().map_or(u64::MAX, |metadata| metadata.len());
        if length == 0 || length > self.highest() {
            self.drop_part()?;
            return Ok(None);
        }
        let (check, lock, place) = (
            self.check.clone(),
            self.staging.dir.clone(),
            parts.path().to_owned(),
        );
        let sink = blocking(move || {
            let spool = Spool::resume(file, check);
            drop(lock);
            spool.map_err(|cause| crate::error::storage("read", place.display(), cause))
        })
        .await?;
        Ok(Some(Held {
            sink: Sink::plain(sink),
            validators: partial.validators(),
        }))
    }

    fn drop_part(&self) -> Result<()> {
        Partial::remove(&self.staging.parts, self.index)?;
        for number in 0..self.download().files.len() {
            self.staging
                .parts
                .remove_file(&part_name(self.index, number))?;
        }
        Ok(())
    }

    fn check_announced(&self, body: &Body) -> Result<()> {
        let Some(announced) = announced(body) else {
            return Ok(());
        };
        if announced > self.highest() {
            return Err(self.too_large(&format!("{announced} bytes")));
        }
        match self.download().size {
            Some(size) if size != announced && self.is_plain() => {
                let message = format!("has {announced} bytes, the index says {size}");
                Err(Error::new(ErrorKind::Untrusted, message).with_subject(self.url()))
            }
            _ => Ok(()),
        }
    }

    fn too_large(&self, found: &str) -> Error {
        let message = match self.download().size {
            Some(size) if self.is_plain() => format!("has {found}, the index says {size}"),
            _ => format!("has {found}, at most {} bytes are allowed", self.highest()),
        };
        Error::new(ErrorKind::TooLarge, message).with_subject(self.url())
    }

    fn short(&self, here: u64) -> Error {
        let size = self.download().size.unwrap_or_default();
        Error::new(
            ErrorKind::Network,
            format!("ended after {here} of {size} bytes"),
        )
        .with_subject(self.url())
    }

    fn is_short(&self, here: u64) -> bool {
        self.is_plain() && self.download().size.is_some_and(|size| here < size)
    }

    fn is_whole(&self, part: &Held) -> bool {
        self.is_plain() && self.download().size == Some(part.sink.len())
    }

    fn may_resume(&self, validators: &Validators) -> bool {
        self.is_plain() && may_resume(self.download(), validators)
    }

    /// How many bytes the body may have at most.
    fn highest(&self) -> u64 {
        let download = self.download();
        let bounds = [
            download.size,
            download.size_limit,
            Some(self.job.context.limits().file_bytes),
        ];
        let highest = bounds.into_iter().flatten().min().unwrap_or_default();
        if self.is_plain() {
            highest
        } else {
            highest.saturating_add(FRAME)
        }
    }

    /// The error, with the location it is about.
    fn about(&self, error: Error) -> Error {
        if error.subject().is_some() {
            error
        } else {
            error.with_subject(self.url())
        }
    }

    fn is_plain(&self) -> bool {
        self.download().framing == Framing::Plain
    }

    fn download(&self) -> &Download {
        &self.job.image.downloads[self.index]
    }

    fn url(&self) -> &Url {
        &self.download().locations[self.location]
    }
}

/// The size of the whole, as an answer announces it.
fn announced(body: &Body) -> Option<u64> {
    body.length()
        .map(|length| body.offset().saturating_add(length))
}

const HIGHEST_BREAKS: usize = 3;
// What the frame of a multipart body adds to its files: more than the splitter takes.
const FRAME: u64 = 64 << 10;
