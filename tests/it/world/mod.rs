//! The world the tests run in: independent S3 servers, a foreign client, a proxy that counts and
//! breaks things, and mounts of the real binary. It knows etagfs only as a program with a command
//! line, never as a library. Each module begins with an example of its use.

// A toolbox: not every tool is in use at every moment.
#![allow(dead_code, unused_macros)]

#[macro_use]
pub(crate) mod skip;

pub(crate) mod attempts;
pub(crate) mod cli;
pub(crate) mod client;
pub(crate) mod counted;
pub(crate) mod dialogue;
pub(crate) mod disk;
pub(crate) mod installed;
pub(crate) mod issuer;
pub(crate) mod mounts;
pub(crate) mod namespace;
pub(crate) mod port;
pub(crate) mod procs;
pub(crate) mod proxy;
pub(crate) mod report;
pub(crate) mod rescues;
pub(crate) mod servers;
pub(crate) mod tied;
pub(crate) mod tls;
pub(crate) mod tunnel;
pub(crate) mod wait;
