use std::fmt;

use imagestore_core::{BaseUrl, ImagePath};

use crate::error::ParseError;

/// An index: which builds there are, and where.
///
/// It keeps the text of its lines once and where the columns end, so that an index of a million
/// lines takes little more memory than its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    text: String,
    rows: Vec<Row>,
    usable: usize,
    lines: usize,
    first_skipped: Option<usize>,
}

/// One line of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line<'a> {
    /// Its number in the file, from 1.
    pub number: usize,
    /// The distribution.
    pub distribution: &'a str,
    /// The release.
    pub release: &'a str,
    /// The architecture, as the remote calls it.
    pub architecture: &'a str,
    /// The variant.
    pub variant: &'a str,
    /// The build id.
    pub build: &'a str,
    /// Where the files are, below the base of the remote or of a mirror.
    pub path: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    number: usize,
    start: usize,
    ends: [u16; 6],
    fault: Option<Fault>,
}

/// What is wrong with a line that does name an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The build is no plain name.
    Build,
    /// The path is missing.
    NoPath,
    /// The path leads elsewhere.
    Path,
}

impl Index {
    /// The index in these bytes, which must have been checked; at most this many lines.
    ///
    /// # Errors
    /// [`ParseError::Empty`] and [`ParseError::NotAnIndex`] if there is no line that names an
    /// image, [`ParseError::TooManyLines`] and [`ParseError::LineTooLong`] if it is beyond all
    /// measure.
    pub fn parse(bytes: &[u8], most: usize) -> Result<Self, ParseError> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let ground = ground();
        let mut index = Self {
            text: String::new(),
            rows: Vec::new(),
            usable: 0,
            lines: 0,
            first_skipped: None,
        };
        for (n, raw) in bytes.split(|byte| *byte == b'\n').enumerate() {
            if n > most || n == most && !raw.is_empty() {
                return Err(ParseError::TooManyLines { limit: most });
            }
            let line = raw.trim_ascii_end();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            index.lines += 1;
            let number = n + 1;
            if line.len() > MAX_LINE {
                // A long line that has the columns is an attack; one that has not is no index at
                // all.
                let columns = line
                    .iter()
                    .take(MAX_LINE)
                    .filter(|byte| **byte == b';')
                    .count();
                if columns >= COLUMNS - 1 {
                    let found = line.len();
                    return Err(ParseError::LineTooLong {
                        line: number,
                        found,
                        limit: MAX_LINE,
                    });
                }
                index.first_skipped.get_or_insert(number);
                continue;
            }
            match std::str::from_utf8(line)
                .ok()
                .and_then(|line| columns(line, &ground))
            {
                Some((ends, fault)) => {
                    let start = index.text.len();
                    // Bounded by `MAX_LINE`, so the ends fit.
                    index.text.push_str(&String::from_utf8_lossy(line));
                    index.rows.push(Row {
                        number,
                        start,
                        ends,
                        fault,
                    });
                    match fault {
                        None => index.usable += 1,
                        Some(_) => {
                            index.first_skipped.get_or_insert(number);
                        }
                    }
                }
                None => {
                    index.first_skipped.get_or_insert(number);
                }
            }
        }
        match (index.lines, index.rows.len()) {
            (0, _) => Err(ParseError::Empty),
            (lines, 0) => Err(ParseError::NotAnIndex { lines }),
            _ => Ok(index),
        }
    }

    /// The lines that can be used, in the order of the file.
    pub fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.rows()
            .filter(|(_, fault)| fault.is_none())
            .map(|(line, _)| line)
    }

    /// How many lines cannot be used.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.lines - self.usable
    }

    /// How many lines there are, blank ones and comments left out.
    #[must_use]
    pub fn line_count(&self) -> usize {
        self.lines
    }

    /// The number of the first line that cannot be used.
    #[must_use]
    pub fn first_skipped(&self) -> Option<usize> {
        self.first_skipped
    }

    /// Whether any line can be used.
    pub(crate) fn check_usable(&self) -> Result<(), ParseError> {
        if self.usable == 0 {
            return Err(ParseError::NotAnIndex { lines: self.lines });
        }
        Ok(())
    }

    /// All lines that name an image, and what is wrong with each.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (Line<'_>, Option<Fault>)> {
        self.rows.iter().map(|row| {
            let column = |n: usize| {
                let from = match n {
                    0 => row.start,
                    n => row.start + usize::from(row.ends[n - 1]) + 1,
                };
                self.text
                    .get(from..row.start + usize::from(row.ends[n]))
                    .unwrap_or_default()
            };
            let line = Line {
                number: row.number,
                distribution: column(0),
                release: column(1),
                architecture: column(2),
                variant: column(3),
                build: column(4),
                path: column(5),
            };
            (line, row.fault)
        })
    }
}

impl<'a> Line<'a> {
    /// The four columns that name the image.
    pub(crate) fn columns(&self) -> [&'a str; 4] {
        [
            self.distribution,
            self.release,
            self.architecture,
            self.variant,
        ]
    }

    /// Where this file of the build lies below the base.
    ///
    /// A slash at the beginning of the column is left for the base to judge: two would name a host.
    pub(crate) fn file(&self, name: &str) -> String {
        format!(
            "{}/{name}",
            self.path.strip_suffix('/').unwrap_or(self.path)
        )
    }

    /// The path without the slashes that do not count.
    pub(crate) fn plain_path(&self) -> &'a str {
        let path = self.path.strip_prefix('/').unwrap_or(self.path);
        path.strip_suffix('/').unwrap_or(path)
    }
}

impl fmt::Display for Line<'_> {
    /// The line as it stands in an index, without its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for column in self.columns() {
            write!(f, "{column};")?;
        }
        write!(f, "{};{}", self.build, self.path)
    }
}

/// Where the first six columns end and what is wrong with them, if the first four name an image.
fn columns(line: &str, ground: &BaseUrl) -> Option<([u16; 6], Option<Fault>)> {
    let mut ends = [0u16; COLUMNS];
    let mut fields = [""; COLUMNS];
    let mut from = 0;
    // What follows a sixth semicolon is ignored.
    let mut found = line.split(';');
    for (end, field) in ends.iter_mut().zip(&mut fields) {
        *field = found.next()?;
        *end = u16::try_from(from + field.len()).ok()?;
        from += field.len() + 1;
    }
    let [distribution, release, architecture, variant, build, path] = fields;
    if ![distribution, release, architecture, variant]
        .into_iter()
        .all(is_plain)
    {
        return None;
    }
    let fault = if !is_plain(build) {
        Some(Fault::Build)
    } else if path.is_empty() {
        Some(Fault::NoPath)
    } else if !stays(path, ground) {
        Some(Fault::Path)
    } else {
        None
    };
    Some((ends, fault))
}

/// Whether a column can be one segment of a path.
fn is_plain(field: &str) -> bool {
    let usual = |byte: u8| byte.is_ascii_alphanumeric() || b"-_+:~".contains(&byte);
    let short = (1..100).contains(&field.len());
    // Nearly all are; the rest is judged where all paths are.
    short && field.bytes().all(usual) || ImagePath::from_segments([field]).is_ok()
}

/// Whether a path stays below the base it is appended to.
fn stays(path: &str, ground: &BaseUrl) -> bool {
    let usual = |byte: u8| byte.is_ascii_alphanumeric() || b"-_:".contains(&byte);
    let inner = path.strip_prefix('/').unwrap_or(path);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    let plain = inner
        .split('/')
        .all(|segment| !segment.is_empty() && segment.bytes().all(usual));
    let file = || format!("{}/x", path.strip_suffix('/').unwrap_or(path));
    plain && path.len() < 1000 || ground.document(&file()).is_ok()
}

/// A base to try paths on before the remote and its mirrors are asked for theirs.
fn ground() -> BaseUrl {
    "https://index.invalid"
        .parse()
        .expect("a constant that parses, held by every test of the index")
}

const COLUMNS: usize = 6;
const MAX_LINE: usize = 8 << 10;

#[cfg(test)]
mod tests;
