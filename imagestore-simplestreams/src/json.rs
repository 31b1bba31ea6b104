//! The JSON of this protocol as a tree of four levels, read in one pass without what nobody asks
//! for: arrays and objects at unknown places take no memory, and a name that comes twice is refused
//! instead of being read in two ways by two programs.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use imagestore_core::printable;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::error::ParseError;

/// The texts and numbers of one object, by name.
pub(crate) type Fields = BTreeMap<String, String>;

/// For a field and a value of it, the fields that come along: `_aliases`.
pub(crate) type Aliases = BTreeMap<String, BTreeMap<String, Fields>>;

/// An object: the tree itself, a product, a version or an item.
#[derive(Debug, Default)]
pub(crate) struct Node {
    pub(crate) fields: Fields,
    pub(crate) aliases: Aliases,
    pub(crate) below: BTreeMap<String, Node>,
}

impl Node {
    /// Reads a product file of at most `limit` objects and fields.
    pub(crate) fn parse(bytes: &[u8], limit: usize) -> Result<Self, ParseError> {
        let budget = Budget {
            left: Cell::new(limit),
        };
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let seed = Level {
            names: &["products", "versions", "items"],
            budget: &budget,
        };
        let node = seed
            .deserialize(&mut deserializer)
            .and_then(|node| deserializer.end().map(|()| node));
        node.map_err(|error| match budget.left.get() {
            0 => ParseError::TooMany { limit },
            _ => not_json(&error),
        })
    }
}

pub(crate) fn not_json(error: &serde_json::Error) -> ParseError {
    let problem: String = error.to_string().chars().take(200).collect();
    ParseError::Json {
        problem: printable(&problem),
    }
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

/// How many objects and fields may still come.
struct Budget {
    left: Cell<usize>,
}

impl Budget {
    fn spend<E: de::Error>(&self) -> Result<(), E> {
        match self.left.get().checked_sub(1) {
            Some(left) if left > 0 => {
                self.left.set(left);
                Ok(())
            }
            _ => {
                self.left.set(0);
                Err(E::custom("too many objects and fields"))
            }
        }
    }
}

/// An object of one level; the first of `names` is the field that holds the level below.
#[derive(Clone, Copy)]
struct Level<'a> {
    names: &'a [&'static str],
    budget: &'a Budget,
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        self.budget.spend()?;
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut node = Node::default();
        let (mut seen_below, mut seen_aliases) = (false, false);
        let budget = self.budget;
        while let Some(name) = map.next_key::<String>()? {
            match (name.as_str(), self.names) {
                (_, [below, names @ ..]) if name == *below => {
                    once(&mut seen_below, &name)?;
                    node.below = map.next_value_seed(Each(Level { names, budget }))?;
                }
                ("_aliases", [_, _, _]) => {
                    once(&mut seen_aliases, &name)?;
                    node.aliases = map.next_value_seed(Each(Each(Plain(budget))))?;
                }
                ("requirements" | "lxd_requirements", [_, _]) => {
                    for (what, value) in map.next_value_seed(Lenient(budget))? {
                        node.fields.insert(format!("requirements.{what}"), value);
                    }
                }
                _ => {
                    if let Some(value) = map.next_value_seed(Scalar)? {
                        budget.spend()?;
                        put(&mut node.fields, name, value)?;
                    }
                }
            }
        }
        Ok(node)
    }
}

/// An object of objects that are all read in one way.
struct Each<S>(S);

impl<'de, S: DeserializeSeed<'de> + Copy> DeserializeSeed<'de> for Each<S> {
    type Value = BTreeMap<String, S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<S: Copy> Copy for Each<S> {}

impl<S: Copy> Clone for Each<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<'de, S: DeserializeSeed<'de> + Copy> Visitor<'de> for Each<S> {
    type Value = BTreeMap<String, S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of objects")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut all = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            put(&mut all, name, map.next_value_seed(self.0)?)?;
        }
        Ok(all)
    }
}

/// The texts and numbers of an object.
#[derive(Clone, Copy)]
struct Plain<'a>(&'a Budget);

impl<'de> DeserializeSeed<'de> for Plain<'_> {
    type Value = Fields;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Fields, D::Error> {
        self.0.spend()?;
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Plain<'_> {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Fields::new();
        while let Some(name) = map.next_key::<String>()? {
            if let Some(value) = map.next_value_seed(Scalar)? {
                self.0.spend()?;
                put(&mut fields, name, value)?;
            }
        }
        Ok(fields)
    }
}

/// The texts and numbers of an object, none if it is something else.
struct Lenient<'a>(&'a Budget);

impl<'de> DeserializeSeed<'de> for Lenient<'_> {
    type Value = Fields;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Fields, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Lenient<'_> {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Fields, A::Error> {
        Plain(self.0).visit_map(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Fields, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Fields::new())
    }

    fn visit_unit<E: de::Error>(self) -> Result<Fields, E> {
        Ok(Fields::new())
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<Fields, E> {
        Ok(Fields::new())
    }
}

/// A text, number or truth value as text; nothing for everything else.
struct Scalar;

impl<'de> DeserializeSeed<'de> for Scalar {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scalar {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(text.to_owned()))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Some(value.to_string()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(number.to_string()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(number.to_string()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
        // With a point or an exponent, so that it is not taken for a whole number.
        Ok(Some(format!("{number:?}")))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

fn put<T, E: de::Error>(all: &mut BTreeMap<String, T>, name: String, value: T) -> Result<(), E> {
    if all.contains_key(&name) {
        return Err(twice(&name));
    }
    all.insert(name, value);
    Ok(())
}

fn once<E: de::Error>(seen: &mut bool, name: &str) -> Result<(), E> {
    if std::mem::replace(seen, true) {
        return Err(twice(name));
    }
    Ok(())
}

fn twice<E: de::Error>(name: &str) -> E {
    let shown: String = name.chars().take(80).collect();
    E::custom(format!("`{}` comes twice", printable(&shown)))
}
