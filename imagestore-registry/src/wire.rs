//! The form of `index.json`, with every size bounded and no key accepted twice.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use imagestore_core::printable;
use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

#[derive(Deserialize)]
pub(crate) struct WireIndex {
    pub(crate) version: u64,
    #[serde(default, deserialize_with = "number")]
    pub(crate) generated_at: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    pub(crate) serial: Option<u64>,
    #[serde(default, deserialize_with = "number")]
    pub(crate) expires_at: Option<u64>,
    pub(crate) servers: List<WireServer, MAX_SERVERS>,
    #[serde(default)]
    pub(crate) aliases: Unique<WireAlias, MAX_ALIASES>,
}

pub(crate) struct WireServer {
    pub(crate) name: Text,
    pub(crate) url: Option<Text>,
    pub(crate) descriptions: BTreeMap<String, String>,
    pub(crate) arguments: BTreeMap<String, String>,
    pub(crate) mirrors: Vec<String>,
    pub(crate) trusted_keys: Vec<String>,
    pub(crate) trusted_certs: Vec<String>,
    pub(crate) revoked_keys: Vec<String>,
    pub(crate) min_client_ver: u64,
    pub(crate) max_client_ver: u64,
}

#[derive(Deserialize)]
pub(crate) struct WireAlias {
    #[serde(default)]
    pub(crate) server: Option<Text>,
    #[serde(default)]
    pub(crate) remote: Option<Text>,
    #[serde(default)]
    pub(crate) arguments: Arguments,
}

/// A string of at most [`MAX_TEXT`] bytes.
pub(crate) struct Text(pub(crate) String);

/// An array of at most `MAX` entries; `null` is an empty one.
pub(crate) struct List<T, const MAX: usize>(pub(crate) Vec<T>);

/// An object of at most `MAX` keys, none of them twice; `null` is an empty one.
pub(crate) struct Unique<T, const MAX: usize>(pub(crate) BTreeMap<String, T>);

/// An object of strings, `null`, or an array of such objects, which one known program reads.
#[derive(Default)]
pub(crate) struct Arguments(pub(crate) BTreeMap<String, String>);

/// A whole number that is not negative; not `null`, which would be a way to take a time or serial
/// away unseen.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    u64::deserialize(deserializer).map(Some)
}

impl<'de> Deserialize<'de> for WireServer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ServerVisitor)
    }
}

struct ServerVisitor;

impl<'de> Visitor<'de> for ServerVisitor {
    type Value = WireServer;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a server")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WireServer, A::Error> {
        let (mut name, mut url, mut arguments) = (None, None, None);
        let (mut mirrors, mut trusted_keys, mut trusted_certs) = (None, None, None);
        let (mut revoked_keys, mut min, mut max) = (None, None, None);
        let mut descriptions = BTreeMap::new();
        while let Some(Text(key)) = map.next_key()? {
            match key.as_str() {
                "name" => once(&mut name, "name", &mut map)?,
                "url" => once(&mut url, "url", &mut map)?,
                "arguments" => once::<Arguments, _>(&mut arguments, "arguments", &mut map)?,
                "mirrors" => once(&mut mirrors, "mirrors", &mut map)?,
                "trusted_keys" => once(&mut trusted_keys, "trusted_keys", &mut map)?,
                "trusted_certs" => once(&mut trusted_certs, "trusted_certs", &mut map)?,
                "revoked_keys" => once(&mut revoked_keys, "revoked_keys", &mut map)?,
                "min_client_ver" => once(&mut min, "min_client_ver", &mut map)?,
                "max_client_ver" => once(&mut max, "max_client_ver", &mut map)?,
                _ if key == "description" || key.starts_with("description.") => {
                    let text: Option<Text> = map.next_value()?;
                    let text = text.map(|Text(text)| text).unwrap_or_default();
                    insert(&mut descriptions, key, text, MAX_LIST)?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(WireServer {
            name: name.ok_or_else(|| de::Error::missing_field("name"))?,
            url,
            descriptions,
            arguments: arguments.unwrap_or_default().0,
            mirrors: texts(mirrors),
            trusted_keys: texts(trusted_keys),
            trusted_certs: texts(trusted_certs),
            revoked_keys: texts(revoked_keys),
            min_client_ver: min.unwrap_or(0),
            max_client_ver: max.unwrap_or(0),
        })
    }
}

fn once<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    slot: &mut Option<T>,
    field: &'static str,
    map: &mut A,
) -> Result<(), A::Error> {
    if slot.is_some() {
        return Err(de::Error::duplicate_field(field));
    }
    *slot = Some(map.next_value()?);
    Ok(())
}

fn insert<T, E: de::Error>(
    map: &mut BTreeMap<String, T>,
    key: String,
    value: T,
    most: usize,
) -> Result<(), E> {
    if map.len() >= most {
        return Err(E::custom(format_args!(
            "more than {most} keys in one object"
        )));
    }
    let shown = short(&key);
    match map.insert(key, value) {
        Some(_) => Err(E::custom(format_args!(
            "the key `{shown}` twice in one object"
        ))),
        None => Ok(()),
    }
}

fn texts(list: Option<List<Text, MAX_LIST>>) -> Vec<String> {
    list.map(|List(texts)| texts.into_iter().map(|Text(text)| text).collect())
        .unwrap_or_default()
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.len() > MAX_TEXT {
            return Err(de::Error::custom(format_args!(
                "a text of {} bytes, at most {MAX_TEXT} are allowed",
                text.len()
            )));
        }
        Ok(Self(text))
    }
}

impl<T, const MAX: usize> Default for Unique<T, MAX> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for ListVisitor<T, MAX> {
    type Value = List<T, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(List(Vec::new()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = seq.next_element()? {
            if entries.len() >= MAX {
                return Err(de::Error::custom(format_args!(
                    "more than {MAX} entries in one array"
                )));
            }
            entries.push(entry);
        }
        Ok(List(entries))
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Unique<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor(PhantomData))
    }
}

struct UniqueVisitor<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for UniqueVisitor<T, MAX> {
    type Value = Unique<T, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Unique::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some((Text(key), value)) = map.next_entry()? {
            insert(&mut entries, key, value, MAX)?;
        }
        Ok(Unique(entries))
    }
}

impl<'de> Deserialize<'de> for Arguments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ArgumentsVisitor)
    }
}

struct ArgumentsVisitor;

impl<'de> Visitor<'de> for ArgumentsVisitor {
    type Value = Arguments;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings, or an array of them")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Arguments, E> {
        Ok(Arguments::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Arguments, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some((Text(key), Text(value))) = map.next_entry()? {
            insert(&mut entries, key, value, MAX_LIST)?;
        }
        Ok(Arguments(entries))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Arguments, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some(Unique(some)) = seq.next_element::<Unique<Text, MAX_LIST>>()? {
            for (key, Text(value)) in some {
                insert(&mut entries, key, value, MAX_LIST)?;
            }
        }
        Ok(Arguments(entries))
    }
}

/// The beginning of a text from an index, safe to show.
pub(crate) fn short(text: &str) -> String {
    printable(&text.chars().take(80).collect::<String>())
}

const MAX_SERVERS: usize = 10_000;
const MAX_ALIASES: usize = 100_000;
const MAX_LIST: usize = 64;
const MAX_TEXT: usize = 64 << 10;
