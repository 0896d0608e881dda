//! The harness tests itself: what the other tests rely on holds.

mod client;
mod mounts;
mod procs;
mod proxy;
mod report;
mod servers;
mod skips;
mod upstream;
