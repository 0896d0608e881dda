//! The embedded server, through a real S3 client and, where that cannot say it, through raw HTTP.
//!
//! Each file is one subject; `world` starts servers and clients. What is asserted is S3's documented
//! behaviour, not ours.

// This whole crate is a test; clippy's `allow-*-in-tests` covers only functions marked `#[test]`.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod auth;
mod bodies;
mod buckets;
mod conditions;
mod copies;
mod damaged;
mod durable;
mod keys;
mod listing;
mod multipart;
mod races;
mod rude;
mod web_pages;
mod world;
