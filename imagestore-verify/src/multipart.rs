use std::{fs::File, io, mem, vec};

use bytes::{Bytes, BytesMut};

use crate::{
    error::VerifyError, spool::Spool, streaming::StreamingCheck, unverified::Unverified,
    verified::Verified,
};

/// A [`Spool`] for a `multipart/form-data` body: each part goes into a file of its own, and one
/// check is over the contents of all of them, one after the other.
///
/// This is how LXD and Incus send a split image. The frame has to be read before the check can be
/// done, so it is read here, where nothing of it gets out: the name of a part is compared with the one
/// that is expected, file names and types are skipped, and the files are opened by
/// [`finish`](Self::finish) as those of a spool are.
#[derive(Debug)]
pub struct MultipartSpool {
    spool: Spool,
    further: vec::IntoIter<FormPart>,
    // What the part that is read has to be called.
    name: Option<String>,
    // CR LF, two hyphens, the boundary: what ends a part.
    delimiter: Vec<u8>,
    state: State,
    // What may be the beginning of something that goes on in the next chunk.
    carry: Bytes,
    parts: usize,
    content: u64,
    epilogue: usize,
}

/// A part that is expected, and the empty file for its content, open for reading and writing.
#[derive(Debug)]
pub struct FormPart {
    file: File,
    name: Option<String>,
}

impl FormPart {
    /// A part of any name.
    #[must_use]
    pub fn new(file: File) -> Self {
        Self { file, name: None }
    }

    /// What the part has to be called; without a name anything is taken.
    #[must_use]
    pub fn with_name(mut self, name: Option<String>) -> Self {
        self.name = name;
        self
    }
}

/// Why a multipart body cannot be taken apart, or its files cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MultipartError {
    /// The files are here and do not verify.
    #[error("the parts do not verify")]
    Check(#[from] VerifyError),
    /// The body ends before its end line.
    #[error("the multipart body ends before its end line")]
    Incomplete,
    /// A file cannot be written.
    #[error("cannot write the part")]
    Io(#[from] io::Error),
    /// It has another form than was announced.
    #[error("the multipart body is malformed: {what}")]
    Malformed {
        /// The rule.
        what: &'static str,
    },
    /// A part has another name, or none.
    #[error("the multipart body has a part `{found}` where `{expected}` is expected")]
    OtherPart {
        /// What it has to be called.
        expected: String,
        /// What it is called, or the beginning of that.
        found: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first boundary.
    Start,
    /// Behind a boundary: a further part, or the end.
    Boundary,
    /// In the header of a part.
    Header,
    /// In the content of a part.
    Content,
    /// Behind the end line.
    End,
}

impl MultipartSpool {
    /// Begins with the parts that are expected, in order, and the boundary that the media type of
    /// the answer names.
    ///
    /// # Errors
    ///
    /// [`MultipartError::Malformed`] if it is not `multipart/form-data` or names no boundary, or
    /// if no part is expected.
    pub fn new(
        parts: Vec<FormPart>,
        content_type: &str,
        check: StreamingCheck,
    ) -> Result<Self, MultipartError> {
        let boundary = boundary(content_type)?;
        let mut further = parts.into_iter();
        let first = further
            .next()
            .ok_or_else(|| malformed("no part is expected"))?;
        Ok(Self {
            spool: Spool::new(first.file, check),
            further,
            name: first.name,
            delimiter: [b"\r\n--", boundary.as_bytes()].concat(),
            state: State::Start,
            carry: Bytes::new(),
            parts: 0,
            content: 0,
            epilogue: 0,
        })
    }

    /// Takes in the next bytes of the body.
    ///
    /// # Errors
    ///
    /// [`MultipartError::Malformed`] or [`MultipartError::OtherPart`] if they do not go on as such a
    /// body does, and [`MultipartError::Io`] when a file cannot be written. The spool is of no use after that.
    pub fn write(&mut self, bytes: &Unverified<Bytes>) -> Result<(), MultipartError> {
        let mut rest = mem::take(&mut self.carry);
        if rest.is_empty() {
            rest = bytes.peek().clone();
        } else {
            let mut joined = BytesMut::from(rest);
            joined.extend_from_slice(bytes.peek());
            rest = joined.freeze();
        }
        while self.step(&mut rest)? {}
        self.carry = rest;
        Ok(())
    }

    /// The number of bytes in all files.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.content
    }

    /// Whether no file has a byte yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.content == 0
    }

    /// Whether the end line has come, after all parts that are expected.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.state == State::End
    }

    /// Completes the check and opens the files, each rewound to its first byte.
    ///
    /// # Errors
    ///
    /// [`MultipartError::Incomplete`] without an end line, [`MultipartError::Check`] with what does
    /// not hold. The files are closed then; the caller deletes them.
    pub fn finish(self) -> Result<Verified<Vec<File>>, MultipartError> {
        if !self.is_complete() {
            return Err(MultipartError::Incomplete);
        }
        Ok(self.spool.finish()?)
    }

    /// Goes one state on. Gives `false` if that needs more bytes.
    fn step(&mut self, rest: &mut Bytes) -> Result<bool, MultipartError> {
        match self.state {
            State::Start => self.skip_opening(rest),
            State::Boundary => self.open_part(rest),
            State::Header => self.read_header(rest),
            State::Content => self.take_content(rest),
            State::End => {
                // LXD and Incus write the end line twice.
                self.epilogue = self.epilogue.saturating_add(rest.len());
                if self.epilogue > MAX_EPILOGUE {
                    return Err(malformed("too much comes after the end line"));
                }
                *rest = Bytes::new();
                Ok(false)
            }
        }
    }

    fn skip_opening(&mut self, rest: &mut Bytes) -> Result<bool, MultipartError> {
        let opening = &self.delimiter[CRLF.len()..];
        let compared = rest.len().min(opening.len());
        if rest[..compared] != opening[..compared] {
            return Err(malformed("it does not begin with its boundary"));
        }
        if compared < opening.len() {
            return Ok(false);
        }
        let _ = rest.split_to(compared);
        self.state = State::Boundary;
        Ok(true)
    }

    fn open_part(&mut self, rest: &mut Bytes) -> Result<bool, MultipartError> {
        if rest.len() < CRLF.len() {
            return Ok(false);
        }
        let mark = rest.split_to(CRLF.len());
        match &mark[..] {
            CRLF => {
                // The first file is in the spool from the start.
                if self.parts > 0 {
                    let part = self.further.next();
                    let part = part.ok_or_else(|| malformed("it has more parts than files"))?;
                    self.spool.next_file(part.file);
                    self.name = part.name;
                }
                self.parts += 1;
                self.state = State::Header;
                Ok(true)
            }
            b"--" if self.parts > 0 && self.further.len() == 0 => {
                self.state = State::End;
                Ok(true)
            }
            b"--" => Err(malformed("it has fewer parts than files")),
            _ => Err(malformed(
                "a boundary is followed by neither a part nor the end",
            )),
        }
    }

    fn read_header(&mut self, rest: &mut Bytes) -> Result<bool, MultipartError> {
        // A part without any header has only the empty line.
        let end = if rest.starts_with(CRLF) {
            Some(0)
        } else {
            let lines = rest.windows(BLANK_LINE.len()).take(MAX_HEADER);
            lines
                .into_iter()
                .position(|window| window == BLANK_LINE)
                .map(|at| at + CRLF.len())
        };
        match end {
            Some(end) => {
                let header = rest.split_to(end + CRLF.len());
                if let Some(expected) = &self.name {
                    check_name(&header, expected)?;
                }
                self.state = State::Content;
                Ok(true)
            }
            None if rest.len() > MAX_HEADER => Err(malformed("the header of a part is too long")),
            None => Ok(false),
        }
    }

    fn take_content(&mut self, rest: &mut Bytes) -> Result<bool, MultipartError> {
        let (end, complete) = find(rest, &self.delimiter);
        let content = rest.split_to(end);
        self.content += content.len() as u64;
        self.spool.write(&Unverified::new(content))?;
        if complete {
            let _ = rest.split_to(self.delimiter.len());
            self.state = State::Boundary;
        }
        Ok(complete)
    }
}

/// Where the delimiter is and `true`, or from where on it may begin and `false`.
fn find(bytes: &[u8], delimiter: &[u8]) -> (usize, bool) {
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|byte| *byte == delimiter[0]) {
        at += found;
        let compared = (bytes.len() - at).min(delimiter.len());
        if bytes[at..at + compared] == delimiter[..compared] {
            return (at, compared == delimiter.len());
        }
        at += 1;
    }
    (bytes.len(), false)
}

/// Whether the header of a part gives it this name.
fn check_name(header: &[u8], expected: &str) -> Result<(), MultipartError> {
    let header = String::from_utf8_lossy(header);
    let mut dispositions = header.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-disposition")
            .then_some(value)
    });
    let (Some(disposition), None) = (dispositions.next(), dispositions.next()) else {
        return Err(malformed("a part has no disposition, or several"));
    };
    // The name comes first, before a file name that may hold anything.
    let mut parameters = disposition.split(';').skip(1);
    let name = parameters
        .next()
        .and_then(|parameter| parameter.trim().strip_prefix("name="))
        .unwrap_or_default();
    let bare = name
        .strip_prefix('"')
        .and_then(|name| name.strip_suffix('"'))
        .unwrap_or(name);
    if bare == expected {
        return Ok(());
    }
    Err(MultipartError::OtherPart {
        expected: expected.to_owned(),
        found: bare.escape_debug().take(SHOWN).collect(),
    })
}

/// The boundary a media type names.
fn boundary(content_type: &str) -> Result<&str, MultipartError> {
    let mut parts = content_type.split(';').map(str::trim);
    if !parts
        .next()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("multipart/form-data"))
    {
        return Err(malformed("its media type is not multipart/form-data"));
    }
    let mut values = parts.filter_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("boundary")
            .then_some(value.trim())
    });
    let value = values
        .next()
        .ok_or_else(|| malformed("its media type names no boundary"))?;
    let bare = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'))
        .unwrap_or(value);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    if values.next().is_some()
        || !(1..=MAX_BOUNDARY).contains(&bare.len())
        || !bare.bytes().all(plain)
    {
        return Err(malformed("its media type names a bad boundary"));
    }
    Ok(bare)
}

fn malformed(what: &'static str) -> MultipartError {
    MultipartError::Malformed { what }
}

const BLANK_LINE: &[u8] = b"\r\n\r\n";
const CRLF: &[u8] = b"\r\n";
// RFC 2046, 5.1.1.
const MAX_BOUNDARY: usize = 70;
const MAX_EPILOGUE: usize = 8 * 1024;
const MAX_HEADER: usize = 8 * 1024;
// Characters of a name that nobody expected.
const SHOWN: usize = 80;

#[cfg(test)]
mod tests;
