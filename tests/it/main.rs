//! The integration tests: one binary, so that the slow servers are started once and the harness is
//! compiled once. `world` is the harness, `harness` tests it, every other module tests etagfs.
//! Run them with `tests/run`, which installs what they need.

// This whole crate is a test; clippy's `allow-*-in-tests` covers only functions marked `#[test]`.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

#[macro_use]
mod world;

mod absent_properties;
mod bad_input;
mod budget;
mod clients;
mod conflict_model;
mod conflict_properties;
mod contract;
mod credentials;
mod descriptors;
mod editors;
mod endings;
mod flush_traps;
mod harness;
mod help;
mod inodes;
mod konserve;
mod kv;
mod last_line;
mod layers;
mod lost_replies;
mod machines;
mod newcomer;
mod nginx;
mod observability;
mod odd_answers;
mod odd_servers;
mod pending_renames_model;
mod policy;
mod posix;
mod races;
mod reached;
mod retry;
mod runtimes;
mod s3;
mod semantics;
mod served;
mod service;
mod sick_store;
mod store_contract;
mod suites;
mod times;
mod tools;
mod travels;
