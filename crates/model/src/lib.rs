//! The pure core: names, versions, drafts and the conflict rule.
//!
//! Nothing here does I/O, reads a clock, draws a random number, waits or locks; times and ids are arguments.
//! It knows no layer of the program, and every layer may use it. Start with [`Draft`] (what a save sends and what
//! the answer means) and [`Seen`] (which version a process was shown); `docs/semantics.md` says the same in the
//! user's words.
#![deny(clippy::disallowed_methods)]

mod base;
pub mod departing;
mod draft;
mod file;
mod key;
mod mounts;
pub mod moving;
mod name;
mod number;
mod pending_renames;
pub mod removing;
pub mod saving;
mod scratch;
mod seen;
mod server;
mod settle;
mod times;
mod trail;
mod tree;
mod version;
#[cfg(test)]
mod walk;
mod who;

pub use base::Base;
pub use departing::Departing;
pub use draft::{Draft, Lost, Save, SaveError, SaveReason};
pub use file::{CaughtUp, File, Successor};
pub use key::{Key, MAX_KEY_BYTES, StoreId};
pub use mounts::{
    ETAG_ATTRIBUTE, HEADER_ATTRIBUTES, META_ATTRIBUTES, MountLine, OBJECT_ATTRIBUTE, OWN_DIRECTORY,
    PUT_ATTRIBUTE, SCRATCH_ATTRIBUTE,
};
pub use moving::{Moving, OldName};
pub use name::{BadName, FileName, MAX_NAME_BYTES, Piece};
pub use number::Identity;
pub use pending_renames::{Due, PendingRenames, Returned, STAY, Unlinked, departing_as};
pub use removing::Removing;
pub use saving::Saving;
pub use scratch::{BadPattern, Origin, Pattern, ScratchNames, backed_up};
pub use seen::{Fingerprint, Room, Seen, Tracing};
pub use server::Server;
pub use settle::{Found, Reply, Settle, Step};
pub use times::Times;
pub use trail::Trail;
pub use tree::{Ino, NodeId, Numbers, Tree};
pub use version::{Outcome, Precondition, PutId, Rival, Version};
pub use who::{Ancestors, Caller, Everlasting, Job, Living, Process};

/// The examples of the README are compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
