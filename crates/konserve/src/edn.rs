//! EDN text: one value as people read and edit it.
//!
//! [`read()`] takes exactly one form, as Clojure's reader does, and says where it failed; [`print()`]
//! is stable and readable, and `read(print(v))` is `v` for every value. It knows of text only;
//! what Clojure has no text for is written under `#etagfs/..` tags, see `edn/tags.rs`.

mod names;
mod print;
mod read;
mod tags;

pub(super) use names::is_token;
pub use print::{print, print_line};
pub use read::{ReadError, read};
pub(super) use tags::parse_time_stamp;

#[cfg(test)]
mod tests;
