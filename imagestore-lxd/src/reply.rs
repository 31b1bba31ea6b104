//! The envelope of every answer: `{"type":"sync","metadata":…}`.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use imagestore_core::printable;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::error::ParseError;

/// The value in an answer.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ParseError> {
    parse_as("sync", bytes)
}

/// The operation in an answer to a request that began one. The URL of it that stands there as well
/// is not used.
pub(crate) fn parse_begun<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ParseError> {
    parse_as("async", bytes)
}

/// What a host says was wrong, in the answer to a request it did not heed.
pub(crate) fn parse_error(bytes: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Failure {
        error: String,
    }
    let failure: Failure = serde_json::from_slice(bytes).ok()?;
    Some(failure.error).filter(|text| !text.is_empty())
}

fn parse_as<T: DeserializeOwned>(wanted: &str, bytes: &[u8]) -> Result<T, ParseError> {
    let reply: Object<Reply<T>> = serde_json::from_slice(bytes).map_err(|error| {
        let what = printable(&error.to_string());
        ParseError::Json { what }
    })?;
    let reply = reply.0;
    match (reply.kind.as_str(), reply.metadata) {
        (kind, Some(value)) if kind == wanted => Ok(value),
        ("error", _) => Err(ParseError::Failed {
            code: reply.error_code,
        }),
        (kind, None) if kind == wanted => Err(ParseError::Json {
            what: "it holds no value".to_owned(),
        }),
        (kind, _) => {
            let kind: String = kind.chars().take(40).collect();
            Err(ParseError::Json {
                what: format!("its type is `{}`, not `{wanted}`", printable(&kind)),
            })
        }
    }
}

#[derive(Deserialize)]
struct Reply<T> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    error_code: u16,
    // A generic default would ask the value to have one.
    #[serde(default = "none")]
    metadata: Option<T>,
}

fn none<T>() -> Option<T> {
    None
}

/// A value that is an object, and nothing else: what is derived takes an array for one as well, its
/// items for the fields in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(fields)).map(Object)
            }
        }
        deserializer.deserialize_map(Fields(PhantomData))
    }
}

/// An array of at most `MAX` entries; `null`, which Go writes for it, is an empty one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct List<T, const MAX: usize>(pub(crate) Vec<T>);

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T, const MAX: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Items<T, MAX> {
            type Value = List<T, MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(List::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(item) = items.next_element()? {
                    if all.len() == MAX {
                        return Err(de::Error::custom(format_args!("more than {MAX} entries")));
                    }
                    all.push(item);
                }
                Ok(List(all))
            }
        }
        deserializer.deserialize_any(Items(PhantomData))
    }
}

/// An object of strings and of nothing else, no key twice; `null` is an empty one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Strings(pub(crate) BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Strings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Strings;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(Strings::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Self::Value, A::Error> {
                let mut all = BTreeMap::new();
                while let Some((key, value)) = pairs.next_entry::<String, String>()? {
                    if all.len() == MAX_PROPERTIES {
                        return Err(de::Error::custom(format_args!(
                            "more than {MAX_PROPERTIES} properties"
                        )));
                    }
                    if all.insert(key, value).is_some() {
                        return Err(de::Error::custom("a property comes twice"));
                    }
                }
                Ok(Strings(all))
            }
        }
        deserializer.deserialize_any(Pairs)
    }
}

const MAX_PROPERTIES: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(metadata: &str) -> Result<Strings, ParseError> {
        parse(format!(r#"{{"type":"sync","metadata":{metadata}}}"#).as_bytes())
    }

    #[test]
    fn takes_the_value_and_ignores_what_it_does_not_know() {
        let text = r#"{"type":"sync","status":"Success","status_code":200,"operation":"","error_code":0,
            "error":"","new":[1],"metadata":{"a":"b"}}"#;
        let value: Strings = parse(text.as_bytes()).expect("a reply");
        assert_eq!(value.0, BTreeMap::from([("a".to_owned(), "b".to_owned())]));
        assert_eq!(
            parse::<List<String, 2>>(br#"{"type":"sync","metadata":["a","b"]}"#).map(|l| l.0),
            Ok(vec!["a".to_owned(), "b".to_owned()])
        );
    }

    #[test]
    fn says_what_is_no_answer() {
        let deep = "[".repeat(1_000_000);
        for (text, message) in [
            (
                r#"{"type":"error","error_code":404,"error":"x","metadata":null}"#,
                "the answer has status 200 and says that it is an error (404)",
            ),
            (
                r#"{"type":"async","metadata":{}}"#,
                "the answer is not what a LXD host says here: its type is `async`, not `sync`",
            ),
            (
                r#"{"type":"sync","metadata":null}"#,
                "the answer is not what a LXD host says here: it holds no value",
            ),
            (
                "<html>Log in</html>",
                "the answer is not what a LXD host says here: expected value at line 1 column 1",
            ),
            (
                r#"{"type":"sync","metadata":{"a":"b","a":"c"}}"#,
                "the answer is not what a LXD host says here: a property comes twice at line 1 column 43",
            ),
        ] {
            let error = parse::<Strings>(text.as_bytes()).expect_err(text);
            assert_eq!(error.to_string(), message);
        }
        assert!(parse::<Strings>(deep.as_bytes()).is_err());
        assert!(strings(&deep).is_err());
        assert!(parse::<List<String, 1>>(br#"{"type":"sync","metadata":["a","b"]}"#).is_err());
        assert!(parse::<Strings>(b"\xef\xbb\xbf{}").is_err());
    }
}
