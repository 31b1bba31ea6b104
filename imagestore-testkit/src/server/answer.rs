use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::PathBuf;

use bytes::Bytes;

use super::request::Request;

/// What a site says to a request.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(super) status: u16,
    pub(super) fields: Vec<(String, String)>,
    pub(super) content: Content,
    pub(super) offset: u64,
    pub(super) length: u64,
}

impl Answer {
    /// Status 200 with this body.
    #[must_use]
    pub fn ok(body: impl Into<Bytes>) -> Self {
        Self::new(200, body)
    }

    /// A status with a body.
    #[must_use]
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let length = body.len() as u64;
        Self {
            status,
            fields: Vec::new(),
            content: Content::Memory(body),
            offset: 0,
            length,
        }
    }

    /// Status 404.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(404, "not found\n").with_field("Content-Type", "text/plain")
    }

    /// One more field.
    #[must_use]
    pub fn with_field(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// The answer to a request for this file: whole, a range of it, or that it has not changed.
    pub(super) fn file(request: &Request, file: Resource) -> Self {
        let whole = Self {
            status: 200,
            fields: vec![
                ("ETag".to_owned(), file.etag.clone()),
                ("Last-Modified".to_owned(), file.last_modified.clone()),
                ("Accept-Ranges".to_owned(), "bytes".to_owned()),
            ],
            length: file.length,
            content: file.content.clone(),
            offset: 0,
        };
        let unchanged = match (
            request.field("if-none-match"),
            request.field("if-modified-since"),
        ) {
            (Some(tags), _) => tags
                .split(',')
                .any(|tag| tag.trim() == file.etag || tag.trim() == "*"),
            (None, since) => since == Some(&file.last_modified),
        };
        if unchanged {
            return Self {
                status: 304,
                content: Content::Memory(Bytes::new()),
                length: 0,
                ..whole
            };
        }
        let same = request
            .field("if-range")
            .is_none_or(|mark| mark == file.etag || mark == file.last_modified);
        let Some(range) = request.field("range").filter(|_| same) else {
            return whole;
        };
        match parse_range(range, file.length) {
            Range::Whole => whole,
            Range::Part { begin, end } => {
                let field = format!("bytes {begin}-{}/{}", end - 1, file.length);
                Self {
                    status: 206,
                    offset: begin,
                    length: end - begin,
                    ..whole
                }
                .with_field("Content-Range", field)
            }
            Range::Unsatisfiable => {
                Self::new(416, "").with_field("Content-Range", format!("bytes */{}", file.length))
            }
        }
    }
}

/// A file a site holds.
#[derive(Clone, Debug)]
pub(super) struct Resource {
    pub(super) content: Content,
    pub(super) length: u64,
    pub(super) etag: String,
    pub(super) last_modified: String,
}

/// Where the bytes of a body are.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Disk(PathBuf),
    Memory(Bytes),
}

impl Content {
    /// The bytes from `offset` on.
    pub(super) fn open(&self, offset: u64) -> io::Result<Box<dyn Read>> {
        match self {
            Self::Disk(path) => {
                let mut file = File::open(path)?;
                file.seek(SeekFrom::Start(offset))?;
                Ok(Box::new(file))
            }
            Self::Memory(bytes) => {
                let mut cursor = Cursor::new(bytes.clone());
                cursor.set_position(offset);
                Ok(Box::new(cursor))
            }
        }
    }

    /// All of it.
    pub(super) fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open(0)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

enum Range {
    Part { begin: u64, end: u64 },
    Unsatisfiable,
    Whole,
}

/// One range of bytes; what is not one is as if it were not there (RFC 9110, 14.2).
fn parse_range(field: &str, length: u64) -> Range {
    let Some((first, last)) = field
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
    else {
        return Range::Whole;
    };
    let (begin, end) = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(begin), Ok(last)) if begin <= last => (begin, last.saturating_add(1).min(length)),
        (Ok(begin), Err(_)) if last.is_empty() => (begin, length),
        (Err(_), Ok(suffix)) if first.is_empty() => (length.saturating_sub(suffix), length),
        _ => return Range::Whole,
    };
    if begin < end {
        Range::Part { begin, end }
    } else {
        Range::Unsatisfiable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_ranges() {
        let part = |field: &str| match parse_range(field, 10) {
            Range::Part { begin, end } => format!("{begin}..{end}"),
            Range::Unsatisfiable => "416".to_owned(),
            Range::Whole => "200".to_owned(),
        };
        for (field, wanted) in [
            ("bytes=0-", "0..10"),
            ("bytes=4-", "4..10"),
            ("bytes=4-5", "4..6"),
            ("bytes=4-99", "4..10"),
            ("bytes=-3", "7..10"),
            ("bytes=10-", "416"),
            ("bytes=5-4", "200"),
            ("bytes=0-1,4-5", "200"),
            ("lines=1-", "200"),
        ] {
            assert_eq!(part(field), wanted, "{field}");
        }
    }
}
