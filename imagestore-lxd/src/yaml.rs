//! YAML, as much of it as files about images and clients hold: no anchors, no tags, no key twice.

use imagestore_core::printable;
use saphyr_parser::{Event, Parser, ScalarStyle};

use crate::error::ParseError;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
    Null,
    Text(String),
}

impl Node {
    /// The value of a document of at most `limit` bytes.
    pub(crate) fn parse(bytes: &[u8], limit: usize) -> Result<Self, ParseError> {
        if bytes.len() > limit {
            return Err(ParseError::TooLong {
                found: bytes.len(),
                limit,
            });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| wrong("not UTF-8"))?;
        let mut reader = Reader {
            parser: Parser::new_from_str(text),
            nodes: 0,
            line: 1,
        };
        reader.document()
    }

    /// The value of a key of a map.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(pairs) = self else { return None };
        let found = pairs.iter().find(|(name, _)| name == key);
        found
            .map(|(_, value)| value)
            .filter(|value| **value != Self::Null)
    }

    /// The pairs of a map; none where there is no value.
    pub(crate) fn pairs(&self, what: &str) -> Result<&[(String, Self)], ParseError> {
        match self {
            Self::Map(pairs) => Ok(pairs),
            Self::Null => Ok(&[]),
            _ => Err(wrong(&format!("`{what}` is no map"))),
        }
    }

    /// The text of a scalar.
    pub(crate) fn text(&self, what: &str) -> Result<&str, ParseError> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Null => Ok(""),
            _ => Err(wrong(&format!("`{what}` is no text"))),
        }
    }

    /// The number a scalar is.
    pub(crate) fn number(&self, what: &str) -> Result<u64, ParseError> {
        let text = self.text(what)?;
        let plain = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| plain).ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            wrong(&format!(
                "`{what}` is `{}`, not a number from 0 on",
                printable(&shown)
            ))
        })
    }

    /// Whether a scalar is true.
    pub(crate) fn truth(&self, what: &str) -> Result<bool, ParseError> {
        match self.text(what)? {
            "true" | "True" | "TRUE" | "yes" | "on" => Ok(true),
            "" | "false" | "False" | "FALSE" | "no" | "off" => Ok(false),
            other => {
                let shown: String = other.chars().take(40).collect();
                Err(wrong(&format!(
                    "`{what}` is `{}`, not true or false",
                    printable(&shown)
                )))
            }
        }
    }
}

pub(crate) fn wrong(what: &str) -> ParseError {
    ParseError::Document {
        what: what.to_owned(),
    }
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    nodes: usize,
    line: usize,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<Node, ParseError> {
        let mut value = Node::Null;
        let mut documents = 0;
        loop {
            match self.event()? {
                Event::StreamStart | Event::DocumentEnd | Event::Nothing => {}
                Event::DocumentStart(_) => {
                    documents += 1;
                    if documents > 1 {
                        return Err(self.wrong("a second document"));
                    }
                }
                Event::StreamEnd => return Ok(value),
                event => value = self.value(event, 0)?,
            }
        }
    }

    fn value(&mut self, event: Event<'a>, depth: usize) -> Result<Node, ParseError> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err(self.wrong("too many values"));
        }
        if depth > DEEPEST {
            return Err(self.wrong("too many levels"));
        }
        match event {
            Event::Alias(_) => Err(self.wrong("an alias of another value, which is not read")),
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => Err(self.wrong("a tag, which is not read")),
            Event::Scalar(text, style, _, None) => Ok(match (style, &*text) {
                (ScalarStyle::Plain, "" | "~" | "null" | "Null" | "NULL") => Node::Null,
                _ => Node::Text(text.into_owned()),
            }),
            Event::SequenceStart(_, None) => {
                let mut items = Vec::new();
                loop {
                    match self.event()? {
                        Event::SequenceEnd => return Ok(Node::List(items)),
                        event => items.push(self.value(event, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(_, None) => {
                let mut pairs = Vec::new();
                let mut names = std::collections::HashSet::new();
                loop {
                    let key = match self.event()? {
                        Event::MappingEnd => return Ok(Node::Map(pairs)),
                        event => self.value(event, depth + 1)?,
                    };
                    let Node::Text(key) = key else {
                        return Err(self.wrong("a key that is no text"));
                    };
                    if key == "<<" {
                        return Err(self.wrong("a merge of another map, which is not read"));
                    }
                    if !names.insert(key.clone()) {
                        let shown: String = key.chars().take(80).collect();
                        return Err(self.wrong(&format!("the key `{}` twice", printable(&shown))));
                    }
                    let event = self.event()?;
                    pairs.push((key, self.value(event, depth + 1)?));
                }
            }
            _ => Err(self.wrong("something that is no value")),
        }
    }

    fn event(&mut self) -> Result<Event<'a>, ParseError> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                self.line = span.start.line();
                Ok(event)
            }
            Some(Err(error)) => Err(wrong(&format!(
                "not YAML: {}",
                printable(&error.to_string())
            ))),
            None => Err(self.wrong("no end")),
        }
    }

    fn wrong(&self, what: &str) -> ParseError {
        wrong(&format!("line {} has {what}", self.line))
    }
}

const DEEPEST: usize = 16;
const MOST_NODES: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Node, ParseError> {
        Node::parse(text.as_bytes(), 1 << 20)
    }

    #[test]
    fn reads_what_go_writes() {
        let node = parse("a: b\nc:\n- 1\n- \"2\"\nd: {}\ne: null\nf: \"null\"\ng: |\n  x\n  y\n")
            .expect("yaml");
        let text = |text: &str| Node::Text(text.to_owned());
        assert_eq!(node.get("a"), Some(&text("b")));
        assert_eq!(node.get("c"), Some(&Node::List(vec![text("1"), text("2")])));
        assert_eq!(node.get("d"), Some(&Node::Map(Vec::new())));
        assert_eq!(node.get("e"), None);
        assert_eq!(node.get("f"), Some(&text("null")));
        assert_eq!(node.get("g"), Some(&text("x\ny\n")));
        assert_eq!(parse("").expect("nothing"), Node::Null);
    }

    #[test]
    fn refuses_what_grows_or_misleads() {
        let mut laughs = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for n in 1..30 {
            laughs += &format!("a{n}: &a{n} [*a{0},*a{0},*a{0},*a{0},*a{0}]\n", n - 1);
        }
        let deep = "[".repeat(100);
        let deeper = "[".repeat(1_000_000);
        let wide = "a: [".to_owned() + &"1,".repeat(200_000) + "1]";
        for (text, part) in [
            (laughs.as_str(), "line 2 has an alias of another value"),
            ("a: 1\nb: 2\na: 3\n", "line 3 has the key `a` twice"),
            ("base: {a: 1}\nb:\n  <<: {c: 1}\n", "line 3 has a merge"),
            ("a: !!python/object:os.system x\n", "line 1 has a tag"),
            ("a: 1\n---\nb: 2\n", "has a second document"),
            ("? [a]\n: b\n", "has a key that is no text"),
            ("a: b: c\n", "not YAML: "),
            (&deep, "line 1 has too many levels"),
            (&deeper, "not YAML: recursion limit exceeded"),
            (&wide, "line 1 has too many values"),
        ] {
            let error = parse(text).expect_err(part).to_string();
            assert!(error.contains(part), "{part}: {error}");
        }
        assert_eq!(Node::parse(b"\xff", 10), Err(wrong("not UTF-8")));
        assert_eq!(
            Node::parse(b"0123456789a", 10)
                .expect_err("eleven")
                .to_string(),
            "has 11 bytes, at most 10 are read"
        );
    }
}
