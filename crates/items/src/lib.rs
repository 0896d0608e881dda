//! Items of DynamoDB tables, as values and as text. Pure: no I/O, no clock, no server.
//!
//! An [`Item`] is attributes by their names, an [`Attribute`] one of DynamoDB's ten types. [`json`] writes an item as
//! JSON that a person edits, and reads it back with every type as it was; [`atom`] reads and writes what the Clojure
//! library faraday-atom keeps in items. [`size()`] says how much of the limit of an item it takes.
#![deny(clippy::disallowed_methods)]

pub mod atom;
pub mod json;
mod number;
mod size;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

pub use number::{BadNumber, check as check_number};
pub use size::{MAX_ITEM_BYTES, size};

/// How deep values may lie in values: DynamoDB's limit.
///
/// Source: Amazon DynamoDB Developer Guide, "Quotas", nested attribute depth.
pub const MAX_DEPTH: usize = 32;

/// The value of an attribute.
///
/// Source: Amazon DynamoDB API Reference, `AttributeValue`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Attribute {
    /// Text (`S`).
    Text(String),
    /// A number (`N`), in the digits in which it was told: at most 38 of them count.
    Number(String),
    /// Bytes (`B`).
    Bytes(Bytes),
    /// `BOOL`.
    Bool(bool),
    /// `NULL`.
    Null,
    /// `L`.
    List(Vec<Self>),
    /// `M`.
    Map(Item),
    /// `SS`; never empty.
    Texts(BTreeSet<String>),
    /// `NS`; never empty.
    Numbers(BTreeSet<String>),
    /// `BS`; never empty.
    BytesSet(BTreeSet<Bytes>),
}

impl Attribute {
    /// How many values lie in each other here, this one counted.
    pub fn depth(&self) -> usize {
        let inside = match self {
            Self::List(values) => values.iter().map(Self::depth).max(),
            Self::Map(map) => map.values().map(Self::depth).max(),
            Self::Texts(_) | Self::Numbers(_) | Self::BytesSet(_) => Some(1),
            _ => None,
        };
        1 + inside.unwrap_or(0)
    }
}

/// An item, or a map in one: attributes by their names.
pub type Item = BTreeMap<String, Attribute>;

/// The examples of the README are compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
