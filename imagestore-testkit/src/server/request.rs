use std::io::{self, BufRead, Read};

use imagestore_verify::Sha256;

/// One request as it came, and what became of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// `GET`, `HEAD`, …
    pub method: String,
    /// The target as it stood in the request line: path and query.
    pub target: String,
    /// The path alone: percent-decoded, with one slash where several stood, and below the prefix of the site.
    pub path: String,
    /// The fields, names in lower case, in order.
    pub fields: Vec<(String, String)>,
    /// What was sent with it.
    pub body: Vec<u8>,
    /// The SHA-256 of the certificate the other side showed, if it showed one.
    pub certificate: Option<Sha256>,
    /// The status it was answered with; 0 if it was not answered.
    pub status: u16,
    /// The bytes of the body that were sent, chunk headers not counted.
    pub sent: u64,
    /// Which connection it came by, counted from 0: equal numbers mean that one was kept.
    pub connection: u64,
}

impl Request {
    /// The value of the first field of this name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self
            .fields
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Whether the other side can reuse the connection.
    pub(super) fn keeps_alive(&self) -> bool {
        !self
            .field("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// The next request on a connection, or nothing at its end.
    pub(super) fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut head = from.take(MAX_HEAD_BYTES);
        let mut line = String::new();
        if head.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_ascii_whitespace();
        let (Some(method), Some(target), Some("HTTP/1.1" | "HTTP/1.0")) =
            (words.next(), words.next(), words.next())
        else {
            return Err(malformed("not a request line"));
        };
        let mut request = Self {
            method: method.to_owned(),
            target: target.to_owned(),
            path: plain_path(target),
            fields: Vec::new(),
            body: Vec::new(),
            certificate: None,
            status: 0,
            sent: 0,
            connection: 0,
        };
        loop {
            let mut line = String::new();
            if head.read_line(&mut line)? == 0 {
                return Err(malformed("the head of a request does not end"));
            }
            let line = line.trim_end_matches(['\r', '\n']);
            if line.is_empty() {
                break;
            }
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| malformed("not a field"))?;
            request
                .fields
                .push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let length = request
            .field("content-length")
            .and_then(|value| value.parse().ok());
        let length = length.unwrap_or(0).min(MAX_BODY_BYTES);
        from.take(length).read_to_end(&mut request.body)?;
        Ok(Some(request))
    }
}

/// The path of a request target, as servers of files read it.
pub(super) fn plain_path(target: &str) -> String {
    let path = target.split(['?', '#']).next().unwrap_or(target);
    let mut bytes = Vec::with_capacity(path.len() + 1);
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        let decoded = match (first, tail) {
            (b'%', [high, low, after @ ..]) => hex(*high).zip(hex(*low)).map(|digits| {
                rest = after;
                digits.0 << 4 | digits.1
            }),
            _ => None,
        };
        let byte = decoded.unwrap_or(*first);
        if !(byte == b'/' && bytes.last() == Some(&b'/')) {
            bytes.push(byte);
        }
    }
    if bytes.first() != Some(&b'/') {
        bytes.insert(0, b'/');
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

const MAX_HEAD_BYTES: u64 = 64 << 10;
const MAX_BODY_BYTES: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_paths_as_servers_of_files_do() {
        for (target, path) in [
            ("/a/b", "/a/b"),
            ("//a///b/", "/a/b/"),
            ("/20150427_03%3A49/x?y=z", "/20150427_03:49/x"),
            ("/100%", "/100%"),
            ("*", "/*"),
        ] {
            assert_eq!(plain_path(target), path);
        }
    }

    #[test]
    fn reads_one_request_after_the_other() {
        let mut wire: &[u8] =
            b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length:  2 \r\n\r\n{}HEAD /b HTTP/1.1\r\n\r\n";
        let first = Request::read(&mut wire).expect("valid").expect("a request");
        assert_eq!(
            (first.method.as_str(), first.field("content-length")),
            ("POST", Some("2"))
        );
        assert_eq!(first.body, b"{}");
        let second = Request::read(&mut wire).expect("valid").expect("a request");
        assert_eq!(
            (second.method.as_str(), second.path.as_str()),
            ("HEAD", "/b")
        );
        assert!(Request::read(&mut wire).expect("the end").is_none());
    }
}
