//! Fressian as konserve writes it: one value, without footer, with Clojure's types.
//!
//! [`encode`] writes byte for byte what konserve 0.9 writes for the same value; [`decode`] reads
//! that and whatever else its reader takes, and is an error for everything it is not sure of. It
//! knows nothing of blobs and files. `reader.rs` has the journey of a value, `writer.rs` the way
//! back; the codes are below.

mod cesu8;
mod reader;
mod writer;

use std::borrow::Cow;

use thiserror::Error;

pub use reader::decode;
pub use writer::encode;

/// Why a value cannot be stored: konserve could not write it either, or not read it back.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Unwritable(Cow<'static, str>);

/// How long the bytes of a big number may be: about 20000 digits, see `number.rs`.
const MAX_BIG_BYTES: usize = 8192;

/// The first byte of every object; ranges are given by their first code.
mod code {
    pub(super) const INT_1: u8 = 0x00;
    pub(super) const INT_2: u8 = 0x40;
    pub(super) const CACHED: u8 = 0x80;
    pub(super) const CACHED_STRUCT: u8 = 0xa0;
    pub(super) const LONGS: u8 = 0xb0;
    pub(super) const DOUBLES: u8 = 0xb1;
    pub(super) const BOOLEANS: u8 = 0xb2;
    pub(super) const INTS: u8 = 0xb3;
    pub(super) const FLOATS: u8 = 0xb4;
    pub(super) const OBJECTS: u8 = 0xb5;
    pub(super) const MAP: u8 = 0xc0;
    pub(super) const SET: u8 = 0xc1;
    pub(super) const UUID: u8 = 0xc3;
    pub(super) const REGEX: u8 = 0xc4;
    pub(super) const URI: u8 = 0xc5;
    pub(super) const BIG_INT: u8 = 0xc6;
    pub(super) const DECIMAL: u8 = 0xc7;
    pub(super) const INST: u8 = 0xc8;
    pub(super) const SYMBOL: u8 = 0xc9;
    pub(super) const KEYWORD: u8 = 0xca;
    pub(super) const CACHED_AT: u8 = 0xcc;
    pub(super) const PUT_CACHE: u8 = 0xcd;
    pub(super) const SHORT_BYTES: u8 = 0xd0;
    pub(super) const BYTES_CHUNK: u8 = 0xd8;
    pub(super) const BYTES: u8 = 0xd9;
    pub(super) const SHORT_STRING: u8 = 0xda;
    pub(super) const STRING_CHUNK: u8 = 0xe2;
    pub(super) const STRING: u8 = 0xe3;
    pub(super) const SHORT_LIST: u8 = 0xe4;
    pub(super) const LIST: u8 = 0xec;
    pub(super) const CLOSED_LIST: u8 = 0xed;
    pub(super) const OPEN_LIST: u8 = 0xee;
    pub(super) const STRUCT: u8 = 0xef;
    pub(super) const STRUCT_AT: u8 = 0xf0;
    pub(super) const TRUE: u8 = 0xf5;
    pub(super) const FALSE: u8 = 0xf6;
    pub(super) const NIL: u8 = 0xf7;
    pub(super) const INT_8: u8 = 0xf8;
    pub(super) const FLOAT: u8 = 0xf9;
    pub(super) const DOUBLE: u8 = 0xfa;
    pub(super) const ZERO: u8 = 0xfb;
    pub(super) const ONE: u8 = 0xfc;
    pub(super) const END: u8 = 0xfd;
    pub(super) const MINUS_ONE: u8 = 0xff;

    /// Ints of 3 to 7 bytes: the code whose upper bits are zero, and how many codes lie below it.
    pub(super) const LONGER_INTS: [(u8, u8); 5] =
        [(0x68, 8), (0x72, 2), (0x76, 2), (0x7a, 2), (0x7e, 2)];
}

/// Struct tags that have a body of their own, whatever count they declare.
mod tag {
    pub(super) const VECTOR: &str = "pvec";
    pub(super) const LIST: &str = "plist";
    pub(super) const RECORD: &str = "irecord";
    pub(super) const CHAR: &str = "char";
    pub(super) const RATIO: &str = "ratio";
    pub(super) const OWN: [&str; 5] = [VECTOR, LIST, RECORD, CHAR, RATIO];
}

#[cfg(test)]
mod tests;
