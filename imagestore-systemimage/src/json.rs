use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

/// An object of which no key comes twice. Values stay text until they are asked for, so that a
/// document costs little more than its bytes, and one broken value spoils nothing beside it.
#[derive(Debug, Default)]
pub(crate) struct Object<'a>(BTreeMap<String, &'a RawValue>);

/// An array of at most `MAX` values that stay text until they are asked for.
#[derive(Debug, Default)]
pub(crate) struct Array<'a, const MAX: usize>(pub(crate) Vec<&'a RawValue>);

/// The document in these bytes, if it nests no deeper than any honest one.
pub(crate) fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    if depth(bytes) > MAX_DEPTH {
        return Err(format!("nests deeper than {MAX_DEPTH} levels"));
    }
    serde_json::from_str(text).map_err(|error| imagestore_core::printable(&error.to_string()))
}

impl<'a> Object<'a> {
    /// The object that a value is.
    pub(crate) fn of(value: &'a RawValue) -> Result<Self, String> {
        serde_json::from_str(value.get())
            .map_err(|error| imagestore_core::printable(&error.to_string()))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(key, value)| (key.as_str(), *value))
    }

    /// A value that must be there.
    pub(crate) fn required<T: DeserializeOwned>(&self, key: &str) -> Result<T, String> {
        match self.0.get(key) {
            Some(value) => typed(key, value),
            None => Err(format!("`{key}` is missing")),
        }
    }

    /// A value that may be missing or `null`.
    pub(crate) fn optional<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, String> {
        match self.0.get(key) {
            Some(value) => typed(key, value),
            None => Ok(None),
        }
    }

    pub(crate) fn raw(&self, key: &str) -> Option<&'a RawValue> {
        self.0.get(key).copied()
    }

    /// An object that must be there.
    pub(crate) fn object(&self, key: &str) -> Result<Object<'a>, String> {
        match self.raw(key) {
            Some(value) => Object::of(value).map_err(|problem| format!("`{key}`: {problem}")),
            None => Err(format!("`{key}` is missing")),
        }
    }
}

fn typed<T: DeserializeOwned>(key: &str, value: &RawValue) -> Result<T, String> {
    serde_json::from_str(value.get()).map_err(|_| format!("`{key}` is {}", short(value.get())))
}

/// The beginning of a value, for a message.
pub(crate) fn short(text: &str) -> String {
    let mut shown: String = text.chars().take(40).collect();
    if text.chars().nth(40).is_some() {
        shown.push('…');
    }
    imagestore_core::printable(&shown)
}

fn depth(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_text, mut escaped) = (false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut keys = BTreeMap::new();
                while let Some(key) = map.next_key::<String>()? {
                    let value = map.next_value::<&RawValue>()?;
                    if keys.len() == MAX_KEYS {
                        return Err(de::Error::custom(format!("more than {MAX_KEYS} keys")));
                    }
                    let shown = short(&key);
                    if keys.insert(key, value).is_some() {
                        return Err(de::Error::custom(format!("the key `{shown}` comes twice")));
                    }
                }
                Ok(Object(keys))
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

impl<'de: 'a, 'a, const MAX: usize> Deserialize<'de> for Array<'a, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Values<const MAX: usize>;
        impl<'de, const MAX: usize> Visitor<'de> for Values<MAX> {
            type Value = Array<'de, MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = seq.next_element::<&RawValue>()? {
                    if values.len() == MAX {
                        return Err(de::Error::custom(format!("more than {MAX} entries")));
                    }
                    values.push(value);
                }
                Ok(Array(values))
            }
        }
        deserializer.deserialize_seq(Values::<MAX>)
    }
}

const MAX_DEPTH: usize = 16;
const MAX_KEYS: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_key_that_comes_twice() {
        let error = parse::<Object<'_>>(br#"{"a": 1, "a": 2}"#).expect_err("twice");
        assert!(error.starts_with("the key `a` comes twice"), "{error}");
    }

    #[test]
    fn refuses_what_nests_too_deep_before_it_is_parsed() {
        let bytes = vec![b'['; 1_000_000];
        let error = parse::<Array<'_, 1>>(&bytes).expect_err("deep");
        assert_eq!(error, "nests deeper than 16 levels");
        let brackets = br#"{"a": "[[[[[[[[[[[[[[[[[[[[[[[[\"[["}"#;
        parse::<Object<'_>>(brackets).expect("brackets in text do not nest");
    }

    #[test]
    fn refuses_what_is_no_text() {
        for bytes in [
            &b"\xef\xbb\xbf{}"[..],
            b"{\0\"\0",
            b"\"\\ud800\"",
            b"{\"\xff\": 1}",
            b"",
            b" \n",
            b"<!DOCTYPE html>",
        ] {
            assert!(parse::<Object<'_>>(bytes).is_err(), "{bytes:?}");
        }
    }
}
