//! How the documents of the JetStream API are read and written: the two macros that every one of them is made with,
//! and the strict reading that the server does. What stands in them is in [`super::config`] and [`super::api`].
//!
//! Clients read leniently: what is unknown is passed over, and `null` stands for nothing. The server reads as
//! nats-server 2.15 does: a field that is unknown refuses the request, names are compared without case, of two
//! fields with one name the last counts, and a word that is none is refused with the same text.

use std::collections::BTreeMap;

use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde::ser::Serialize;
use serde_json::{Map, Value};

use super::{ApiError, Fault, Time};

/// A document or a part of one.
pub trait Document: DeserializeOwned {
    /// Brings `value` into the form that is read here, and errors with the words of the real server.
    fn normalise(_value: &mut Value) -> Result<(), String> {
        Ok(())
    }
}

/// A struct of named fields. `name?` is left out when it has nothing to say.
macro_rules! document {
    (@ $head:tt [$($done:tt)*] [$($known:tt)*] $field:ident?: $type:ty, $($rest:tt)*) => {
        $crate::jetstream::document::document!(@ $head [$($done)*
            #[serde(deserialize_with = "crate::jetstream::document::nullable",
                    skip_serializing_if = "crate::jetstream::document::is_default")]
            pub $field: $type,
        ] [$($known)* $field: $type,] $($rest)*);
    };
    (@ $head:tt [$($done:tt)*] [$($known:tt)*] $field:ident: $type:ty, $($rest:tt)*) => {
        $crate::jetstream::document::document!(@ $head [$($done)*
            #[serde(deserialize_with = "crate::jetstream::document::nullable")]
            pub $field: $type,
        ] [$($known)* $field: $type,] $($rest)*);
    };
    (@ [$(#[$meta:meta])* $name:ident] [$($fields:tt)*] [$($field:ident: $type:ty,)*]) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(default)]
        #[allow(missing_docs, reason = "each field is named as the protocol names it")]
        pub struct $name { $($fields)* }

        impl $crate::jetstream::document::Document for $name {
            fn normalise(value: &mut serde_json::Value) -> Result<(), String> {
                let Some(map) = $crate::jetstream::document::object(value, stringify!($name))? else {
                    return Ok(());
                };
                $crate::jetstream::document::fold(map, &[$(stringify!($field)),*])?;
                $(if let Some(value) = map.get_mut(stringify!($field)) {
                    <$type as $crate::jetstream::document::Document>::normalise(value)?;
                })*
                Ok(())
            }
        }
    };
    ($(#[$meta:meta])* $name:ident { $($fields:tt)* }) => {
        $crate::jetstream::document::document!(@ [$(#[$meta])* $name] [] [] $($fields)*);
    };
}

/// An enum whose values are words. `complain` makes the refusal out of the JSON that is none of them.
macro_rules! words {
    ($(#[$doc:meta])* $type:ident, $complain:path,
        { $($(#[$vdoc:meta])* $variant:ident = $word:literal $(| $alias:literal)*,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub enum $type {
            $($(#[$vdoc])* #[serde(rename = $word)] $(#[serde(alias = $alias)])* $variant,)*
        }

        impl $type {
            /// The word that stands for it.
            pub fn as_str(self) -> &'static str {
                match self { $($type::$variant => $word,)* }
            }
        }

        impl $crate::jetstream::document::Document for $type {
            fn normalise(value: &mut serde_json::Value) -> Result<(), String> {
                match value.as_str() {
                    $(Some($word $(| $alias)*) => Ok(()),)*
                    _ => Err($complain(&value.to_string())),
                }
            }
        }
    };
}

pub(crate) use {document, words};

macro_rules! plain {
    ($($type:ty),*) => { $(impl Document for $type {})* };
}

plain!(String, bool, i32, i64, u64, Time, ApiError, BTreeMap<String, u64>);

impl<T: Document> Document for Option<T> {
    fn normalise(value: &mut Value) -> Result<(), String> {
        if value.is_null() { Ok(()) } else { T::normalise(value) }
    }
}

impl<T: Document> Document for Vec<T> {
    fn normalise(value: &mut Value) -> Result<(), String> {
        value.as_array_mut().into_iter().flatten().try_for_each(T::normalise)
    }
}

impl Document for BTreeMap<String, String> {
    fn normalise(value: &mut Value) -> Result<(), String> {
        for value in value.as_object_mut().into_iter().flat_map(Map::values_mut).filter(|v| v.is_null()) {
            *value = Value::String(String::new());
        }
        Ok(())
    }
}

/// The fields of an object; `null` has none, and anything else is refused.
pub(crate) fn object<'v>(
    value: &'v mut Value,
    name: &str,
) -> Result<Option<&'v mut Map<String, Value>>, String> {
    let kind = match value {
        Value::Object(map) => return Ok(Some(map)),
        Value::Null => return Ok(None),
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
    };
    Err(format!("json: cannot unmarshal {kind} into {name}"))
}

/// Gives the fields of `map` the case of `names`; one that is none of them is refused.
pub(crate) fn fold(map: &mut Map<String, Value>, names: &[&str]) -> Result<(), String> {
    let odd: Vec<_> = map.keys().filter(|key| !names.contains(&key.as_str())).cloned().collect();
    for key in odd {
        let Some(name) = names.iter().find(|name| name.eq_ignore_ascii_case(&key)) else {
            return Err(format!("json: unknown field {key:?}"));
        };
        if let Some(value) = map.remove(&key) {
            map.insert((*name).to_owned(), value);
        }
    }
    Ok(())
}

/// `null` is the default.
pub(crate) fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    input: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(input)?.unwrap_or_default())
}

pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Reads the body of a request as the server does; an empty one is the default. Errors with [`Fault::InvalidJson`].
pub fn read<T: Document + Default>(body: &[u8]) -> Result<T, ApiError> {
    let invalid = |text: String| Fault::InvalidJson.with(text);
    if body.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    let mut value: Value = serde_json::from_slice(body).map_err(|e| invalid(words_of(&e)))?;
    if value.is_null() {
        return Ok(T::default());
    }
    T::normalise(&mut value).map_err(invalid)?;
    serde_json::from_value(value).map_err(|e| invalid(words_of(&e)))
}

/// As [`read`], where a body is optional: one that is neither an object nor a list is passed over.
pub fn read_optional<T: Document + Default>(body: &[u8]) -> Result<T, ApiError> {
    match body.trim_ascii().first() {
        Some(b'{' | b'[') => read(body),
        _ => Ok(T::default()),
    }
}

/// Whether the body of a request that takes none is empty; `{}` is.
pub fn is_empty(body: &[u8]) -> bool {
    let body = body.trim_ascii();
    body.is_empty()
        || body
            .strip_prefix(b"{")
            .and_then(|b| b.strip_suffix(b"}"))
            .is_some_and(|b| b.trim_ascii().is_empty())
}

/// Writes a document as the real server does: without spaces, and `<`, `>` and `&` escaped.
pub fn write<T: Serialize>(document: &T) -> Vec<u8> {
    // Structs of strings and numbers always serialise; an empty document would be refused by the other side.
    let plain = serde_json::to_vec(document).unwrap_or_else(|_| b"{}".to_vec());
    if !plain.iter().any(|b| matches!(b, b'<' | b'>' | b'&')) {
        return plain;
    }
    let mut out = Vec::with_capacity(plain.len() + 32);
    for byte in plain {
        // None of the three has a meaning in JSON outside of strings.
        match byte {
            b'<' => out.extend_from_slice(b"\\u003c"),
            b'>' => out.extend_from_slice(b"\\u003e"),
            b'&' => out.extend_from_slice(b"\\u0026"),
            _ => out.push(byte),
        }
    }
    out
}

/// What is wrong, without the place: the server's text has none.
pub(crate) fn words_of(error: &serde_json::Error) -> String {
    if error.is_eof() {
        return "unexpected EOF".into();
    }
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text.get(..end).unwrap_or(&text).to_owned(),
        None => text,
    }
}
