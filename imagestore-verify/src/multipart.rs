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
/// done, so it is read here, where nothing of it gets out: names and types in the part headers are
/// skipped, and the files are opened by [`finish`](Self::finish) as those of a spool are.
#[derive(Debug)]
pub struct MultipartSpool {
    spool: Spool,
    further: vec::IntoIter<File>,
    // CR LF, two hyphens, the boundary: what ends a part.
    delimiter: Vec<u8>,
    state: State,
    // What may be the beginning of something that goes on in the next chunk.
    carry: Bytes,
    parts: usize,
    content: u64,
    epilogue: usize,
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
    /// Begins with empty files, open for reading and writing, one for each part that is expected,
    /// and the boundary that the media type of the answer names.
    ///
    /// # Errors
    ///
    /// [`MultipartError::Malformed`] if it is not `multipart/form-data` or names no boundary, or
    /// if there is no file.
    pub fn new(
        files: Vec<File>,
        content_type: &str,
        check: StreamingCheck,
    ) -> Result<Self, MultipartError> {
        let boundary = boundary(content_type)?;
        let mut further = files.into_iter();
        let first = further
            .next()
            .ok_or_else(|| malformed("no part is expected"))?;
        Ok(Self {
            spool: Spool::new(first, check),
            further,
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
    /// [`MultipartError::Malformed`] if they do not go on as such a body does, and
    /// [`MultipartError::Io`] when a file cannot be written. The spool is of no use after that.
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

    /// Completes the check and opens the files, each rewound to its first byte.
    ///
    /// # Errors
    ///
    /// [`MultipartError::Incomplete`] without an end line, [`MultipartError::Check`] with what does
    /// not hold. The files are closed then; the caller deletes them.
    pub fn finish(self) -> Result<Verified<Vec<File>>, MultipartError> {
        if self.state != State::End {
            return Err(MultipartError::Incomplete);
        }
        Ok(self.spool.finish()?)
    }

    /// Goes one state on. Gives `false` if that needs more bytes.
    fn step(&mut self, rest: &mut Bytes) -> Result<bool, MultipartError> {
        match self.state {
            State::Start => self.skip_opening(rest),
            State::Boundary => self.open_part(rest),
            State::Header => self.skip_header(rest),
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
                    let file = self.further.next();
                    let file = file.ok_or_else(|| malformed("it has more parts than files"))?;
                    self.spool.next_file(file);
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

    fn skip_header(&mut self, rest: &mut Bytes) -> Result<bool, MultipartError> {
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
                let _ = rest.split_to(end + CRLF.len());
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

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::digest::Sha256;

    const TYPE: &str = "multipart/form-data; boundary=b0";

    /// The contents of the files of a body of two parts that comes in pieces of `step` bytes.
    fn take_apart(body: &[u8], step: usize) -> Result<Vec<Vec<u8>>, MultipartError> {
        let files = vec![tempfile::tempfile()?, tempfile::tempfile()?];
        let check = StreamingCheck::new().with_digest(Sha256::of(b"meta\r\n--b\r\n--b1root"));
        let mut spool = MultipartSpool::new(files, TYPE, check)?;
        for piece in body.chunks(step) {
            spool.write(&Unverified::new(Bytes::copy_from_slice(piece)))?;
        }
        let mut contents = Vec::new();
        for mut file in spool.finish()?.into_inner() {
            let mut content = Vec::new();
            file.read_to_end(&mut content)?;
            contents.push(content);
        }
        Ok(contents)
    }

    fn body(end: &str) -> Vec<u8> {
        let header = "Content-Disposition: form-data; name=\"x\"\r\nContent-Type: a/b\r\n\r\n";
        let first = "meta\r\n--b\r\n--b1";
        format!("--b0\r\n{header}{first}\r\n--b0\r\n{header}root{end}").into_bytes()
    }

    #[test]
    fn parts_two_files_however_the_body_is_cut() {
        for end in [
            "\r\n--b0--\r\n",
            "\r\n--b0--",
            "\r\n--b0--\r\n\r\n--b0--\r\n",
        ] {
            let body = body(end);
            for step in 1..=body.len() {
                let contents = take_apart(&body, step).expect("a body of two parts");
                assert_eq!(contents, [&b"meta\r\n--b\r\n--b1"[..], b"root"], "{step}");
            }
        }
    }

    #[test]
    fn refuses_other_forms_and_says_which() {
        let swap = |from: &str, to: &str| {
            let text = String::from_utf8(body("\r\n--b0--\r\n")).expect("text");
            assert!(text.contains(from), "{from}");
            text.replacen(from, to, 1).into_bytes()
        };
        let long = format!("Content-Type: {}", "x".repeat(9000));
        let cases = [
            (
                swap("--b0\r\n", "junk\r\n--b0\r\n"),
                "it does not begin with its boundary",
            ),
            (
                swap("--b0\r\n", "--b0 \r\n"),
                "a boundary is followed by neither a part nor the end",
            ),
            (
                swap("root\r\n--b0--", "root\r\n--b0\r\n\r\n\r\n--b0--"),
                "it has more parts than files",
            ),
            (
                swap("\r\n--b0\r\n", "\r\n--b0--\r\n"),
                "it has fewer parts than files",
            ),
            (
                swap("Content-Type: a/b", &long),
                "the header of a part is too long",
            ),
            (
                [body("\r\n--b0--"), vec![b' '; 9000]].concat(),
                "too much comes after the end line",
            ),
        ];
        for (body, rule) in cases {
            for step in [1, 7, body.len()] {
                let error = take_apart(&body, step).expect_err(rule);
                assert_eq!(
                    error.to_string(),
                    format!("the multipart body is malformed: {rule}")
                );
            }
        }
        let cut = body("\r\n--b0");
        let error = take_apart(&cut, 5).expect_err("no end line");
        assert_eq!(
            error.to_string(),
            "the multipart body ends before its end line"
        );
        let changed = swap("root", "r00t");
        assert!(matches!(
            take_apart(&changed, 5),
            Err(MultipartError::Check(_))
        ));
    }

    #[test]
    fn reads_the_boundary_of_a_media_type() {
        for text in [
            TYPE,
            "Multipart/Form-Data;Boundary=\"b0\"",
            "multipart/form-data; a=b; boundary=b0",
        ] {
            assert_eq!(boundary(text).expect(text), "b0");
        }
        let long = format!("multipart/form-data; boundary={}", "x".repeat(71));
        for text in [
            "text/plain; boundary=b0",
            "multipart/form-data",
            "multipart/form-data; boundary=",
            &long,
        ] {
            assert!(boundary(text).is_err(), "{text}");
        }
    }
}
