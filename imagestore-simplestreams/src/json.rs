//! The JSON of this protocol as a tree of four levels, read in one pass without what nobody asks
//! for: arrays and objects at unknown places take no memory, a value of the wrong kind is none, and
//! a name that comes twice is refused instead of being read in two ways by two programs.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use imagestore_core::printable;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::budget::Budget;
use crate::error::ParseError;
use crate::path::beginning;

/// The texts and numbers of one object, by name. What holds in many places is there once.
pub(crate) type Fields = BTreeMap<Arc<str>, Arc<str>>;

/// For a field and a value of it, the fields that come along: `_aliases`.
pub(crate) type Aliases = BTreeMap<Arc<str>, BTreeMap<Arc<str>, Fields>>;

/// An object: the tree itself, a product, a version or an item.
#[derive(Debug, Default)]
pub(crate) struct Node {
    pub(crate) fields: Fields,
    pub(crate) aliases: Aliases,
    pub(crate) below: BTreeMap<Arc<str>, Node>,
}

impl Node {
    /// Reads a product file, within what may still be kept.
    pub(crate) fn parse(bytes: &[u8], budget: &Budget) -> Result<Self, ParseError> {
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let seed = Lenient(Level {
            names: &["products", "versions", "items"],
            budget,
        });
        let node = seed
            .deserialize(&mut deserializer)
            .and_then(|node| deserializer.end().map(|()| node));
        node.map_err(|error| {
            if budget.is_exceeded() {
                budget.too_many()
            } else {
                not_json(&error)
            }
        })
    }
}

pub(crate) fn not_json(error: &serde_json::Error) -> ParseError {
    let problem: String = error.to_string().chars().take(200).collect();
    ParseError::Json {
        problem: printable(&problem),
    }
}

/// What may stand in a place. Of another kind it is the default value, and takes nothing else along.
pub(crate) trait Part<'de>: Sized {
    type Value: Default;

    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::Value::default())
    }

    fn array<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::Value::default())
    }

    /// A text, number or truth value as text.
    fn text<E: de::Error>(self, _text: &str) -> Result<Self::Value, E> {
        Ok(Self::Value::default())
    }
}

/// A part of a document, of whatever kind it is there.
#[derive(Clone, Copy)]
pub(crate) struct Lenient<P>(pub(crate) P);

impl<'de, P: Part<'de>> DeserializeSeed<'de> for Lenient<P> {
    type Value = P::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<P::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, P: Part<'de>> Visitor<'de> for Lenient<P> {
    type Value = P::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<P::Value, A::Error> {
        self.0.object(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<P::Value, A::Error> {
        self.0.array(seq)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<P::Value, E> {
        self.0.text(text)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<P::Value, E> {
        self.0.text(&value.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<P::Value, E> {
        self.0.text(&number.to_string())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<P::Value, E> {
        self.0.text(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<P::Value, E> {
        // With a point or an exponent, so that it is not taken for a whole number.
        self.0.text(&format!("{number:?}"))
    }

    fn visit_unit<E: de::Error>(self) -> Result<P::Value, E> {
        Ok(P::Value::default())
    }
}

/// A text, number or truth value as text.
#[derive(Clone, Copy)]
pub(crate) struct Text;

impl Part<'_> for Text {
    type Value = Option<String>;

    fn text<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(text.to_owned()))
    }
}

/// An object of one level; the first of `names` is the field that holds the level below.
#[derive(Clone, Copy)]
struct Level<'a> {
    names: &'a [&'static str],
    budget: &'a Budget,
}

impl<'de> Part<'de> for Level<'_> {
    type Value = Node;

    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut node = Node::default();
        let (mut seen_below, mut seen_aliases) = (false, false);
        let budget = self.budget;
        while let Some(name) = map.next_key::<String>()? {
            match (name.as_str(), self.names) {
                (_, [below, names @ ..]) if name == *below => {
                    once(&mut seen_below, &name)?;
                    let part = Level { names, budget };
                    node.below = map.next_value_seed(Lenient(Each { part, budget }))?;
                }
                ("_aliases", [_, _, _]) => {
                    once(&mut seen_aliases, &name)?;
                    let part = Plain(budget);
                    let part = Each { part, budget };
                    node.aliases = map.next_value_seed(Lenient(Each { part, budget }))?;
                }
                ("requirements" | "lxd_requirements", [_, _]) => {
                    for (what, value) in map.next_value_seed(Lenient(Plain(budget)))? {
                        node.fields
                            .insert(format!("requirements.{what}").into(), value);
                    }
                }
                _ => field(&mut map, &mut node.fields, name, budget)?,
            }
        }
        Ok(node)
    }
}

/// An object of objects that are all read in one way.
#[derive(Clone, Copy)]
struct Each<'a, P> {
    part: P,
    budget: &'a Budget,
}

impl<'de, P: Part<'de> + Copy> Part<'de> for Each<'_, P> {
    type Value = BTreeMap<Arc<str>, P::Value>;

    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut all = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            self.budget.spend(name.len()).map_err(de::Error::custom)?;
            let value = map.next_value_seed(Lenient(self.part))?;
            put(&mut all, name.into(), value)?;
        }
        Ok(all)
    }
}

/// The texts and numbers of an object.
#[derive(Clone, Copy)]
struct Plain<'a>(&'a Budget);

impl<'de> Part<'de> for Plain<'_> {
    type Value = Fields;

    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Fields::new();
        while let Some(name) = map.next_key::<String>()? {
            field(&mut map, &mut fields, name, self.0)?;
        }
        Ok(fields)
    }
}

fn field<'de, A: MapAccess<'de>>(
    map: &mut A,
    fields: &mut Fields,
    name: String,
    budget: &Budget,
) -> Result<(), A::Error> {
    let Some(value) = map.next_value_seed(Lenient(Text))? else {
        return Ok(());
    };
    // Nothing else is long. What is cut is too long for a path and a digest still.
    let value = match name.as_str() {
        "aliases" => &value,
        _ => beginning(&value, MAX_VALUE),
    };
    let bytes = name.len() + value.len();
    budget.spend(bytes).map_err(de::Error::custom)?;
    put(fields, name.into(), value.into())
}

/// An object in which no name comes twice.
#[derive(Debug)]
pub(crate) struct Unique<T>(pub(crate) BTreeMap<String, T>);

impl<'de, T: de::Deserialize<'de>> de::Deserialize<'de> for Unique<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names<T>(PhantomData<T>);
        impl<'de, T: de::Deserialize<'de>> Visitor<'de> for Names<T> {
            type Value = Unique<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique<T>, A::Error> {
                let mut all = BTreeMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    put(&mut all, name, map.next_value()?)?;
                }
                Ok(Unique(all))
            }
        }
        deserializer.deserialize_map(Names(PhantomData))
    }
}

fn put<K, T, E>(all: &mut BTreeMap<K, T>, name: K, value: T) -> Result<(), E>
where
    K: Ord + AsRef<str>,
    E: de::Error,
{
    if all.contains_key(&name) {
        return Err(twice(name.as_ref()));
    }
    all.insert(name, value);
    Ok(())
}

pub(crate) fn once<E: de::Error>(seen: &mut bool, name: &str) -> Result<(), E> {
    if std::mem::replace(seen, true) {
        return Err(twice(name));
    }
    Ok(())
}

fn twice<E: de::Error>(name: &str) -> E {
    let shown: String = name.chars().take(80).collect();
    E::custom(format!("`{}` comes twice", printable(&shown)))
}

const MAX_VALUE: usize = 4096;
