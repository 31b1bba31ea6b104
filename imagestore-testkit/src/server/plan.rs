use std::io::{self, Read};
use std::time::Duration;

use bytes::Bytes;

use super::answer::{Answer, Content};
use super::fault::{Fault, Framing, WrongRange};
use super::gzip::gzip;
use super::request::Request;

/// How an answer goes out, faults included.
pub(super) struct Plan {
    pub(super) interim: usize,
    pub(super) status: u16,
    pub(super) fields: Vec<(String, String)>,
    pub(super) framing: Framing,
    /// What `Content-Length` says, under [`Framing::Length`].
    pub(super) announced: u64,
    pub(super) body: Box<dyn Read>,
    /// How many bytes of the body go out.
    pub(super) limit: u64,
    pub(super) pace: Option<Pace>,
    pub(super) end: End,
}

/// Small pieces with pauses.
pub(super) struct Pace {
    pub(super) bytes: usize,
    pub(super) every: Duration,
}

/// What happens to the connection after the body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Close,
    Keep,
    Stall,
}

impl Plan {
    /// The answer as it should be.
    fn honest(answer: Answer) -> io::Result<Self> {
        Ok(Self {
            interim: 0,
            status: answer.status,
            framing: Framing::Length,
            announced: answer.length,
            body: answer.content.open(answer.offset)?,
            limit: answer.length,
            fields: answer.fields,
            pace: None,
            end: End::Keep,
        })
    }

    /// The answer with a fault, or nothing if the connection is to be closed instead.
    pub(super) fn new(
        request: &Request,
        answer: Answer,
        fault: Option<Fault>,
    ) -> io::Result<Option<Self>> {
        let Some(fault) = fault else {
            return Self::honest(answer).map(Some);
        };
        let replaced = |answer: Answer| Self::honest(answer).map(Some);
        match &fault {
            Fault::Close => return Ok(None),
            Fault::Html => {
                return replaced(Answer::ok(PORTAL).with_field("Content-Type", "text/html"));
            }
            Fault::Redirect { status, location } => return replaced(redirect(*status, location)),
            Fault::RedirectChain(length) => {
                let step = request
                    .target
                    .split_once('?')
                    .and_then(|(_, step)| step.parse().ok());
                let next = step.unwrap_or(0) + 1;
                if next <= *length {
                    let path = request.target.split('?').next().unwrap_or_default();
                    return replaced(redirect(302, &format!("{path}?{next}")));
                }
            }
            Fault::RedirectLoop => return replaced(redirect(302, &request.target)),
            Fault::RefuseRange if request.field("range").is_some() => {
                return replaced(Answer::new(416, ""));
            }
            Fault::Status { status, fields } => {
                let mut answer = Answer::new(*status, format!("status {status}\n"));
                answer.fields.clone_from(fields);
                return replaced(answer);
            }
            _ => {}
        }
        let offset = answer.offset;
        let mut plan = Self::honest(bend(request, answer, &fault)?)?;
        plan.spoil(fault, offset);
        Ok(Some(plan))
    }

    fn spoil(&mut self, fault: Fault, offset: u64) {
        match fault {
            Fault::CutBody { after, framing } => {
                self.framing = framing;
                self.limit = after.min(self.limit);
                self.end = End::Close;
            }
            Fault::DoubleLength(second) => self.add("Content-Length", second),
            Fault::Endless(byte) => {
                self.framing = Framing::Chunked;
                self.body = Box::new(io::repeat(byte));
                self.limit = u64::MAX;
                self.end = End::Close;
            }
            Fault::FlipByte(at) => {
                let body = std::mem::replace(&mut self.body, Box::new(io::empty()));
                self.body = Box::new(Flip {
                    body,
                    place: offset,
                    at,
                });
            }
            Fault::Interim(count) => self.interim = count,
            Fault::LengthAndChunked => {
                self.add("Content-Length", self.announced);
                self.framing = Framing::Chunked;
            }
            Fault::LongField(bytes) => self.add("X-Long", "x".repeat(bytes)),
            Fault::ManyFields(count) => (0..count).for_each(|n| self.add(&format!("X-{n}"), n)),
            Fault::NulBody => self.body = Box::new(io::repeat(0)),
            Fault::Stall { after } => {
                self.limit = after.min(self.limit);
                self.end = End::Stall;
            }
            Fault::Trickle { bytes, every } => self.pace = Some(Pace { bytes, every }),
            _ => {}
        }
    }

    fn add(&mut self, name: &str, value: impl ToString) {
        self.fields.push((name.to_owned(), value.to_string()));
    }
}

/// Faults that change what is answered, not how it is sent.
fn bend(request: &Request, mut answer: Answer, fault: &Fault) -> io::Result<Answer> {
    match fault {
        Fault::Gzip => {
            let mut whole = Vec::new();
            answer
                .content
                .open(answer.offset)?
                .take(answer.length)
                .read_to_end(&mut whole)?;
            let body = Bytes::from(gzip(&whole));
            answer.length = body.len() as u64;
            answer.offset = 0;
            answer.content = Content::Memory(body);
            answer = answer.with_field("Content-Encoding", "gzip");
        }
        Fault::IgnoreRange if answer.status == 206 => answer = whole(answer)?,
        Fault::WrongRange(wrong) if answer.status == 206 => {
            let end = answer.offset + answer.length;
            let total = answer.content.read()?.len() as u64;
            answer.fields.retain(|(name, _)| name != "Content-Range");
            let field =
                |begin: u64, total: u64| format!("bytes {begin}-{}/{total}", end.max(1) - 1);
            match wrong {
                WrongRange::Begin(late) => {
                    let begin = (answer.offset + late).min(end);
                    answer.length = end - begin;
                    answer.offset = begin;
                    answer = answer.with_field("Content-Range", field(begin, total));
                }
                WrongRange::NoField => {}
                WrongRange::Total(total) => {
                    let begin = answer.offset;
                    answer = answer.with_field("Content-Range", field(begin, *total));
                }
                WrongRange::WholeBody => {
                    let begin = answer.offset;
                    answer = whole(answer)?.with_field("Content-Range", field(begin, total));
                    answer.status = 206;
                }
            }
        }
        Fault::WrongRange(_) if request.field("range").is_none() => {}
        _ => {}
    }
    Ok(answer)
}

fn whole(mut answer: Answer) -> io::Result<Answer> {
    answer.length = answer.content.read()?.len() as u64;
    answer.offset = 0;
    answer.status = 200;
    answer.fields.retain(|(name, _)| name != "Content-Range");
    Ok(answer)
}

fn redirect(status: u16, location: &str) -> Answer {
    Answer::new(status, "elsewhere\n").with_field("Location", location)
}

/// Changes the byte at one place of a file.
struct Flip {
    body: Box<dyn Read>,
    place: u64,
    at: u64,
}

impl Read for Flip {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.body.read(into)?;
        let hit = self
            .at
            .checked_sub(self.place)
            .and_then(|hit| usize::try_from(hit).ok());
        if let Some(byte) = hit.and_then(|hit| into[..count].get_mut(hit)) {
            *byte ^= 0xff;
        }
        self.place += count as u64;
        Ok(count)
    }
}

const PORTAL: &str = "<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body>Log in to go on.</body></html>\n";
