use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What an operation tells beside its state. Only what is of use is kept: the rest may be anything,
/// and as large as an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) secret: Option<String>,
    /// The value of the first name that ends in `_progress`.
    pub(crate) progress: Option<String>,
    pub(crate) fingerprint: Option<String>,
    pub(crate) size: Option<u64>,
}

impl<'de> Deserialize<'de> for Told {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Word::deserialize(deserializer)? {
            Word::Object(told) => *told,
            Word::Number(_) | Word::Text(_) | Word::Other => Self::default(),
        })
    }
}

/// A value that is of use as text, as a number, or by what is in it; and of none otherwise.
enum Word {
    Number(u64),
    Object(Box<Told>),
    Text(String),
    Other,
}

impl Word {
    fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(_) | Self::Object(_) | Self::Other => None,
        }
    }

    /// A number by the API, and a string by what is sent.
    fn number(self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(number),
            Self::Text(digits) => digits.parse().ok(),
            Self::Object(_) | Self::Other => None,
        }
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Word;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Word, E> {
                Ok(Word::Text(text.to_owned()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Word, E> {
                Ok(Word::Number(number))
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<Word, E> {
                Ok(Word::Other)
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<Word, E> {
                Ok(Word::Other)
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Word, E> {
                Ok(Word::Other)
            }

            fn visit_unit<E: Error>(self) -> Result<Word, E> {
                Ok(Word::Other)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Word, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Word::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Word, A::Error> {
                let mut told = Told::default();
                while let Some(name) = pairs.next_key::<String>()? {
                    match name.as_str() {
                        "secret" => told.secret = pairs.next_value::<Word>()?.text(),
                        "fingerprint" => told.fingerprint = pairs.next_value::<Word>()?.text(),
                        "size" => told.size = pairs.next_value::<Word>()?.number(),
                        name if name.ends_with("_progress") && told.progress.is_none() => {
                            told.progress = pairs.next_value::<Word>()?.text();
                        }
                        _ => drop(pairs.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(Word::Object(Box::new(told)))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_is_of_use_and_reads_over_the_rest() {
        let told: Told = serde_json::from_str(
            r#"{"x":[1,{"y":null}],"size":"7","download_progress":"rootfs: 45%","fingerprint":"f"}"#,
        )
        .expect("an object");
        let wanted = Told {
            progress: Some("rootfs: 45%".to_owned()),
            fingerprint: Some("f".to_owned()),
            size: Some(7),
            secret: None,
        };
        assert_eq!(told, wanted);
        for (value, size) in [
            ("8", Some(8)),
            ("-1", None),
            ("1.5", None),
            ("true", None),
            ("null", None),
            ("[1]", None),
            (r#"{"a":1}"#, None),
            (r#""x""#, None),
        ] {
            let told: Told = serde_json::from_str(&format!(r#"{{"size":{value}}}"#)).expect(value);
            assert_eq!(told.size, size, "{value}");
        }
        for other in ["[1]", "7", "true", "null", r#""x""#] {
            let told: Told = serde_json::from_str(other).expect(other);
            assert_eq!(told, Told::default(), "{other}");
        }
    }
}
