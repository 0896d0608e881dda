//! The konserve format: object names, blobs, and values as EDN text.
//!
//! Pure codecs between the bytes that the Clojure library konserve stores and text that people
//! edit; nothing here does I/O, reads a clock, draws a random number or knows of requests and
//! files. Start with [`Value`], then [`edn`] (text), [`hasch`] (names of objects) and [`blob`]
//! (what an object holds).
#![deny(clippy::disallowed_methods)]

pub mod aes;
pub mod blob;
pub mod cbor;
pub mod compress;
mod cursor;
pub mod edn;
pub mod file;
pub mod fressian;
pub mod hasch;
pub mod log;
pub mod metadata;
pub mod name;
mod number;
pub mod object;
mod same;
mod value;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

pub use cursor::Corrupt;
pub use value::{Array, Decimal, Name, Ratio, Struct, Tagged, Value};

/// How deeply values may be nested, in every codec: what a thread's stack surely holds.
pub const MAX_DEPTH: usize = 256;

/// How much deeper than its value the text of a leaf may be nested: tag, vector, string.
const LEAF_DEPTH: usize = 3;
/// How much deeper than a struct its parts are, in EDN text: tag, vector, vector.
const STRUCT_DEPTH: usize = 3;

/// The examples of the README are compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
