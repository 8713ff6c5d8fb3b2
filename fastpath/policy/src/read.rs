//! From a [tree](crate::tree) to a document, collecting every error on the way.
//!
//! The deserializer knows the fields of each struct, so it reports unknown keys itself and reads
//! on. Any other error ends a pass; the value it is about is pruned and the next pass starts,
//! until one gets through.

use std::cell::RefCell;
use std::fmt;

use serde::de::value::{StrDeserializer, StringDeserializer};
use serde::de::{
    self, DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};

use crate::diagnostic::nearest;
use crate::document::Document;
use crate::tree::{Key, Node, Span, Step, Value, path_text};

/// An error about one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) fix: Option<String>,
    pub(crate) path: Vec<Step>,
    pub(crate) span: Span,
}

/// What reading a tree gave.
#[derive(Debug)]
pub(crate) struct Reading {
    /// The document, without what is at fault; none if that is too much.
    pub(crate) document: Option<Document>,
    pub(crate) faults: Vec<Fault>,
    /// Whether definitions are missing from the document, so that names may seem unknown.
    pub(crate) names_lost: bool,
}

/// After so many errors the rest waits for the next attempt.
const MAX_PASSES: usize = 100;

/// Reads a document. The tree keeps marks of what was pruned.
pub(crate) fn read(tree: &mut Node) -> Reading {
    let faults = RefCell::new(Vec::new());
    let mut pruned = Vec::<Vec<Step>>::new();
    for _ in 0..MAX_PASSES {
        let reader = Reader {
            node: tree,
            path: Vec::new(),
            faults: &faults,
        };
        let stop = match de::Deserialize::deserialize(reader) {
            Ok(document) => {
                let faults = faults.into_inner();
                let names_lost = pruned.iter().any(|path| defines_names(path));
                return Reading {
                    document: Some(document),
                    faults,
                    names_lost,
                };
            }
            Err(stop) => stop,
        };
        let path = stop
            .place
            .as_ref()
            .map_or(Vec::new(), |(path, _)| path.clone());
        if !stop.follows_from(&pruned, &path) {
            note(&faults, stop.into_fault());
        }
        if path.is_empty() {
            break;
        }
        match tree.at_mut(&path) {
            Some(node) => node.value = Value::Pruned,
            None => break,
        }
        pruned.push(path);
    }
    Reading {
        document: None,
        faults: faults.into_inner(),
        names_lost: true,
    }
}

/// Whether other parts of a document refer to what stands at this path.
fn defines_names(path: &[Step]) -> bool {
    let names = ["name", "ward", "controller", "mud", "url"];
    let last = path.last();
    path.len() <= 2 || last.is_some_and(|s| names.iter().any(|n| *s == Step::Key((*n).to_owned())))
}

fn note(faults: &RefCell<Vec<Fault>>, fault: Fault) {
    let mut faults = faults.borrow_mut();
    if !faults.contains(&fault) {
        faults.push(fault);
    }
}

/// What ends a pass.
#[derive(Debug)]
struct Stop {
    message: String,
    fix: Option<String>,
    missing: Option<&'static str>,
    place: Option<(Vec<Step>, Span)>,
}

impl Stop {
    fn new(message: String, fix: Option<String>) -> Self {
        Self {
            message,
            fix,
            missing: None,
            place: None,
        }
    }

    fn at(mut self, path: &[Step], span: &Span) -> Self {
        self.place
            .get_or_insert_with(|| (path.to_vec(), span.clone()));
        self
    }

    /// Whether it only complains that something pruned is missing.
    fn follows_from(&self, pruned: &[Vec<Step>], path: &[Step]) -> bool {
        let mut children = pruned
            .iter()
            .filter_map(|p| p.split_last())
            .filter(|p| p.1 == path);
        match self.missing {
            Some(key) => children.any(|(child, _)| *child == Step::Key(key.to_owned())),
            None => children.next().is_some(),
        }
    }

    fn into_fault(self) -> Fault {
        let (path, span) = self.place.unwrap_or_default();
        Fault {
            message: self.message,
            fix: self.fix,
            path,
            span,
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Stop {}

impl de::Error for Stop {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string(), None)
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(format!("expected {expected}, found {found}"), None)
    }

    fn missing_field(field: &'static str) -> Self {
        Self {
            missing: Some(field),
            ..Self::new(format!("the key `{field}` is missing"), None)
        }
    }

    fn unknown_variant(found: &str, expected: &'static [&'static str]) -> Self {
        let message = format!("`{found}` is none of {}", expected.join(", "));
        Self::new(message, did_you_mean(found, expected))
    }

    fn unknown_field(found: &str, expected: &'static [&'static str]) -> Self {
        let (message, fix) = unknown_key(found, expected);
        Self::new(message, fix)
    }
}

/// Keys of later versions of the language. They are refused by name, so that nobody believes
/// that they hold.
const RESERVED: [&str; 5] = ["application", "announced", "context", "requires", "helper"];

fn unknown_key(found: &str, expected: &[&str]) -> (String, Option<String>) {
    if RESERVED.contains(&found) {
        let message = format!("`{found}` is not supported by this version");
        return (
            message,
            Some("take it out; it would not be enforced".to_owned()),
        );
    }
    let fix = did_you_mean(found, expected)
        .unwrap_or_else(|| format!("the keys here are {}", expected.join(", ")));
    (format!("unknown key `{found}`"), Some(fix))
}

fn did_you_mean(found: &str, expected: &[&str]) -> Option<String> {
    nearest(found, expected.iter().copied()).map(|near| format!("did you mean `{near}`?"))
}

/// Deserializer of one node.
struct Reader<'n> {
    node: &'n Node,
    path: Vec<Step>,
    faults: &'n RefCell<Vec<Fault>>,
}

impl<'n> Reader<'n> {
    fn child(&self, step: Step, node: &'n Node) -> Self {
        let mut path = self.path.clone();
        path.push(step);
        Self {
            node,
            path,
            faults: self.faults,
        }
    }

    /// Reads a child; an error that names no place is about the child as a whole.
    fn read<'de, T: DeserializeSeed<'de>>(
        &self,
        step: Step,
        node: &'n Node,
        seed: T,
    ) -> Result<T::Value, Stop> {
        let child = self.child(step, node);
        let path = child.path.clone();
        seed.deserialize(child).map_err(|e| e.at(&path, &node.span))
    }

    fn expected(&self, what: &str) -> Stop {
        let message = format!("expected {what}, found {}", self.node.value.kind());
        Stop::new(message, None).at(&self.path, &self.node.span)
    }

    fn sequence<'de, V: Visitor<'de>>(
        self,
        items: &'n [Node],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        let (path, span) = (self.path.clone(), &self.node.span);
        visitor
            .visit_seq(Items {
                reader: self,
                items,
                next: 0,
            })
            .map_err(|e| e.at(&path, span))
    }

    fn entries<'de, V: Visitor<'de>>(
        self,
        entries: &'n [(Key, Node)],
        fields: Option<&'static [&'static str]>,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        let (path, span) = (self.path.clone(), &self.node.span);
        let entries = Entries {
            reader: self,
            entries,
            next: 0,
            fields,
        };
        visitor.visit_map(entries).map_err(|e| e.at(&path, span))
    }
}

impl<'de> de::Deserializer<'de> for Reader<'_> {
    type Error = Stop;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        let (path, span) = (self.path.clone(), self.node.span.clone());
        let result = match &self.node.value {
            Value::Null | Value::Pruned => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Integer(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::String(value) => visitor.visit_str(value),
            Value::Array(items) => self.sequence(items, visitor),
            Value::Table(entries) => self.entries(entries, None, visitor),
        };
        result.map_err(|e: Stop| e.at(&path, &span))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.node.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        match &self.node.value {
            Value::Table(entries) => self.entries(entries, Some(fields), visitor),
            _ => Err(self.expected("a table")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match &self.node.value {
            Value::Table(entries) => self.entries(entries, None, visitor),
            _ => Err(self.expected("a table")),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match &self.node.value {
            Value::Array(items) => self.sequence(items, visitor),
            _ => Err(self.expected("a list")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match &self.node.value {
            Value::String(_) => self.deserialize_any(visitor),
            _ => Err(self.expected("a text")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match &self.node.value {
            Value::Bool(_) => self.deserialize_any(visitor),
            _ => Err(self.expected("true or false")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        let (path, span) = (self.path.clone(), self.node.span.clone());
        match &self.node.value {
            Value::String(word) => {
                let word: StrDeserializer<'_, Stop> = word.as_str().into_deserializer();
                visitor.visit_enum(word).map_err(|e| e.at(&path, &span))
            }
            Value::Table(entries) => match entries.as_slice() {
                [(key, node)] => {
                    let inner = self.child(Step::Key(key.text.clone()), node);
                    let variant = OneKey { key, reader: inner };
                    visitor.visit_enum(variant).map_err(|e| e.at(&path, &span))
                }
                _ => Err(self.expected("a table with exactly one key")),
            },
            _ => Err(self.expected(&format!("one of {}", variants.join(", ")))),
        }
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct
        tuple tuple_struct identifier ignored_any
    }
}

struct Items<'n> {
    reader: Reader<'n>,
    items: &'n [Node],
    next: usize,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Stop;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Stop> {
        while let Some(node) = self.items.get(self.next) {
            let step = Step::Index(self.next);
            self.next += 1;
            if !matches!(node.value, Value::Pruned) {
                return self.reader.read(step, node, seed).map(Some);
            }
        }
        Ok(None)
    }
}

struct Entries<'n> {
    reader: Reader<'n>,
    entries: &'n [(Key, Node)],
    next: usize,
    fields: Option<&'static [&'static str]>,
}

impl Entries<'_> {
    /// Whether the next entry is to be read; complains about an unknown key.
    fn is_wanted(&self, key: &Key, node: &Node) -> bool {
        if matches!(node.value, Value::Pruned) {
            return false;
        }
        let Some(fields) = self.fields else {
            return true;
        };
        if fields.contains(&key.text.as_str()) {
            return true;
        }
        let (message, fix) = unknown_key(&key.text, fields);
        let mut path = self.reader.path.clone();
        path.push(Step::Key(key.text.clone()));
        note(
            self.reader.faults,
            Fault {
                message,
                fix,
                path,
                span: key.span.clone(),
            },
        );
        false
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Stop> {
        while let Some((key, node)) = self.entries.get(self.next) {
            if self.is_wanted(key, node) {
                let word: StrDeserializer<'_, Stop> = key.text.as_str().into_deserializer();
                let mut path = self.reader.path.clone();
                path.push(Step::Key(key.text.clone()));
                return seed
                    .deserialize(word)
                    .map(Some)
                    .map_err(|e| e.at(&path, &key.span));
            }
            self.next += 1;
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Stop> {
        let Some((key, node)) = self.entries.get(self.next) else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        self.next += 1;
        self.reader.read(Step::Key(key.text.clone()), node, seed)
    }
}

struct OneKey<'n> {
    key: &'n Key,
    reader: Reader<'n>,
}

impl<'de, 'n> EnumAccess<'de> for OneKey<'n> {
    type Error = Stop;
    type Variant = Reader<'n>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Reader<'n>), Stop> {
        let name: StringDeserializer<Stop> = self.key.text.clone().into_deserializer();
        let variant = seed
            .deserialize(name)
            .map_err(|e| e.at(&self.reader.path, &self.key.span))?;
        Ok((variant, self.reader))
    }
}

impl<'de> VariantAccess<'de> for Reader<'_> {
    type Error = Stop;

    fn unit_variant(self) -> Result<(), Stop> {
        let name = path_text(self.path.last().map_or(&[], std::slice::from_ref));
        let fix = format!("write \"{name}\" alone");
        let stop = Stop::new(format!("`{name}` takes no value"), Some(fix));
        Err(stop.at(&self.path, &self.node.span))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Stop> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Stop> {
        de::Deserializer::deserialize_any(self, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        de::Deserializer::deserialize_struct(self, "", fields, visitor)
    }
}
