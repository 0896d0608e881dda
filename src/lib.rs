//! etagfs mounts a bucket of key-value stores: each store is a directory, each key a file, and
//! every save is a compare-and-swap.
//!
//! The house, top to bottom; each layer speaks only to the next one, all may use [`model`] and [`telemetry`]:
//!
//! ```text
//! cli  ->  mount   ->  vfs  ->  store  ->  backend
//!    \__>  client  _____________/
//! ```
//!
//! [`client`] is for other programs: keys of stores, and files, with an example. Three libraries stand beside the house:
//! [`etagfs_model`], the pure core, which is called [`model`] here; [`konserve_codec`], the format of konserve stores,
//! which `store` reads and writes; and [`etagfs_s3_server`], an S3-compatible server for demos and tests, which only
//! `cli` starts. Read `docs/design.md` for the map and the two journeys (a save, a read), and `docs/semantics.md` for
//! what is promised to users.

pub mod backend;
pub mod cli;
pub mod client;
pub mod mount;
pub mod store;
pub mod telemetry;
pub mod vfs;

pub use etagfs_model as model;
