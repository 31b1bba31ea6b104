//! One recorded answer, as `curl` wrote it down.

use std::fs;
use std::path::PathBuf;

use imagestore_testkit::Answer;

/// An answer of a real host.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    /// The request it answered, if that was written down too: `GET /1.0`.
    pub(super) request: Option<String>,
    pub(super) status: u16,
    pub(super) fields: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Reply {
    /// Reads a recording, by what [`files`] takes.
    pub(super) fn read(recording: &str) -> Self {
        let mut head = None;
        let mut body = None;
        for name in files(recording) {
            match name.ends_with(HEAD) {
                true => head = Some(String::from_utf8(read(&name)).expect("text")),
                false => body = Some(read(&name)),
            }
        }
        let body = body.unwrap_or_default();
        let reply = match head {
            Some(head) => Self::parse(&head, body),
            // Of one answer it was not kept.
            None => Self {
                request: None,
                status: 200,
                fields: Vec::new(),
                body,
            },
        };
        let announced = reply.field("Content-Length");
        let sent = reply.body.len().to_string();
        // No answer to HEAD has a body, and of one answer the length is known to be wrong.
        assert!(
            announced.is_none_or(|it| it == sent) || reply.body.is_empty() || reply.status == 416,
            "{recording}: {sent} bytes, of {announced:?}"
        );
        reply
    }

    /// The value of a field.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        let found = fields.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The same with another value in a field.
    pub(super) fn with_field(mut self, name: &str, value: &str) -> Self {
        let fields = self.fields.iter_mut();
        for (known, old) in fields {
            if known.eq_ignore_ascii_case(name) {
                value.clone_into(old);
            }
        }
        self
    }

    /// The same with another body.
    pub(super) fn with_body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    /// Whether its head said how long its body was.
    pub(super) fn has_length(&self) -> bool {
        self.fields.is_empty() || self.field("Content-Length").is_some()
    }

    /// What a server says that repeats it, but for the frame of the body, which it makes itself.
    pub(super) fn answer(&self) -> Answer {
        let frame = ["content-length", "transfer-encoding"];
        let mut answer = Answer::new(self.status, self.body.clone());
        for (name, value) in &self.fields {
            if !frame.contains(&name.to_ascii_lowercase().as_str()) {
                answer = answer.with_field(name, value);
            }
        }
        answer
    }

    /// Either with marks before each line, `>` for what was sent and `<` for what came, or as it
    /// came, which may be followed by the body.
    fn parse(text: &str, body: Vec<u8>) -> Self {
        let marked = |mark: &str| -> Vec<String> {
            let lines = text.lines();
            let marked = lines.filter_map(|line| line.strip_prefix(mark));
            marked.map(|line| line.trim_end().to_owned()).collect()
        };
        let (lines, body) = match (marked("< "), text.split_once("\r\n\r\n")) {
            (lines, Some((head, rest))) if lines.is_empty() => {
                let lines = head.lines().map(str::to_owned).collect();
                let rest = rest.as_bytes().to_vec();
                (lines, if rest.is_empty() { body } else { rest })
            }
            (lines, _) => (lines, body),
        };
        let (first, fields) = lines.split_first().expect("a head");
        let status = first.split(' ').nth(1).expect("a status");
        let fields = fields.iter().filter_map(|line| line.split_once(": "));
        let sent = marked("> ");
        let request = sent.first().and_then(|line| line.rsplit_once(' '));
        Self {
            request: request.map(|(request, _)| request.to_owned()),
            status: status.parse().expect("a number"),
            fields: fields
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            body,
        }
    }
}

/// The files of a recording, by their names below [`root`]. `rest/alias` stands for a head and a
/// body, as far as they were kept; `rest/secret | incus_rest/secret` for the head of the one with
/// the body of the other.
pub(super) fn files(recording: &str) -> Vec<String> {
    let (head, body) = recording
        .split_once(" | ")
        .unwrap_or((recording, recording));
    let bodies = BODIES.map(|end| format!("{body}{end}"));
    let mut files = vec![format!("{head}{HEAD}")];
    files.extend(bodies);
    files.retain(|name| root().join(name).is_file());
    assert!(!files.is_empty(), "{recording}: nothing there");
    files
}

/// The content of a file below [`root`].
pub(super) fn read(name: &str) -> Vec<u8> {
    fs::read(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Where the recordings are.
pub(super) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/lxd")
}

const HEAD: &str = ".headers";
const BODIES: [&str; 3] = [".json", ".bin", "_response.json"];
