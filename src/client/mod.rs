//! The key-value client: values of keys and files, without a mount, and without a command line.
//!
//! A [`Client`] leads from an address to a [`Location`]: a key of a store (`s3://BUCKET[/PREFIX]/UUID/KEY`, or an object
//! `s3://BUCKET/KEY` with [`Client::flat`]), or a file (any path, in a mount or not). Then come the verbs, each a
//! function of a place:
//!
//! | | |
//! |---|---|
//! | [`get()`], [`stat()`] | the newest value, and what is known of it; [`Location::read`] for parts and other versions |
//! | [`put()`], [`put_if()`], [`create()`] | save a value over what is there, under a precondition, or as a new key |
//! | [`update()`] | read, change, save; again until no other writer is first |
//! | [`append()`] | lines at the end, merged with those of others |
//! | [`delete()`], [`delete_if()`] | delete what is there, or one version |
//! | [`copy()`], [`rename()`] | from one place to another, with metadata |
//! | [`Client::list`], [`Client::watch`] | what there is, and how it changes |
//!
//! No verb replaces or deletes a version that it has not seen, and none tells of a success that is not proven. A lost
//! race is an [`Error`] of [`Kind::Conflict`]; [`Retry`] says how long the verbs that may try again do so.
//!
//! ```no_run
//! use etagfs::client::{self, Change, Client, Retry, S3Config};
//!
//! # async fn example() -> Result<(), client::Error> {
//! let mut config = S3Config::new("bucket");
//! config.endpoint_url = Some("http://127.0.0.1:9000".to_owned());
//! let client = Client::new(config).flat(true);
//!
//! let greeting = client.location("s3://bucket/greeting").await?;
//! let greet = async |current: client::Current| {
//!     let text = String::from_utf8_lossy(&current.bytes).to_uppercase();
//!     Ok::<_, client::Error>(Change::Save(text.into()))
//! };
//! let updated = client::update(&*greeting, greet, Retry::default()).await?;
//! println!("{} bytes, after {} tries", updated.bytes.len(), updated.attempts);
//! # Ok(())
//! # }
//! ```
//!
//! The layer names `backend` in four cases: a client makes connections (`connect.rs`, [`S3Config`]); headers and user
//! metadata are [`Meta`](crate::backend::Meta); old versions and presigned URLs are the bucket's own; and a read asks
//! for a version by its [`ReadCondition`](crate::backend::ReadCondition). It knows neither `vfs` nor `mount`: a file in a mount is a file.

mod address;
mod append;
mod beside;
mod connect;
mod copy;
mod delete;
mod error;
mod file;
mod get;
mod home;
mod identity;
mod list;
mod location;
mod path;
mod put;
mod remote;
mod retry;
mod session;
mod update;
mod value;
mod watch;

pub use address::{Source, Spot, Target, Url, UrlLevel};
pub use append::append;
pub use connect::Connect;
pub use copy::{Replace, copy, copy_bytes, read_to_copy, rename};
pub use delete::{delete, delete_if};
pub use error::{Error, Kind};
pub use get::{get, stat};
pub use identity::Identity;
pub use list::{List, Listed, ListedKind};
pub use location::{Location, Lock, Revision};
pub use put::{create, put, put_if};
pub use remote::Remote;
pub use retry::{Retry, Tries};
pub use session::Client;
pub use update::{Change, Current, Phase, Updated, update, update_observed};
pub use value::{About, Got, MetadataChoice, Part, ReadOutcome, ValueBytes, Wanted};
pub use watch::{Changed, Event, Noticed, Watch};

pub use crate::backend::s3::{Credentials, S3Config};

pub(crate) use address::SCHEME;
pub(crate) use location::conflict;
pub(crate) use value::joined;
