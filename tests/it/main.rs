//! The integration tests: one binary, so that the slow servers are started once and the harness is
//! compiled once. `world` is the harness, and every other module tests etagfs. Each line below says what a module is
//! about; its own first lines say more.
//! Run them with `tests/run`, which installs what they need.

// This whole crate is a test; clippy's `allow-*-in-tests` covers only functions marked `#[test]`.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

// The harness.

// Servers, a foreign client, a proxy that counts and breaks things, mounts of the real binary.
#[macro_use]
mod world;
// The tests of that harness.
mod harness;

// What users are promised.

// Each number of docs/semantics.md, in a small case.
mod semantics;
// Several processes and mounts save one key: nothing is lost.
mod races;
// Descriptors that programs close at surprising moments: when a save happens (W2, W3).
mod flush_traps;
// Answers that never came: whether the save happened (W6).
mod lost_replies;
// A real proxy that sends requests twice.
mod nginx;
// The programs of docs/retry.md, as they stand there.
mod retry;
// What a path means after renames and deletes, whatever the kernel believes.
mod reached;
// Times of files (V5), by stores whose clocks are wrong.
mod times;
// Numbers of files that are the same on every mount, for good (V5).
mod inodes;
// Headers, tags and user metadata survive every kind of save (W14).
mod travels;
// Rescues: full disks, killed daemons, odd state directories.
mod last_line;
// Few descriptors: a refused save still has its rescue.
mod descriptors;
// A store that hangs, fails, denies or lies: every call ends, with the right errno.
mod sick_store;
// How many requests each operation may cost.
mod budget;

// Nothing is absent that the store did not call absent (R3), in long random histories.
mod absent_properties;

// What people use.

// Each editor in a real terminal: one PUT a save, nothing replaced unseen.
mod editors;
// Ordinary tools: sed, git, rsync, sqlite3, shells and their jobs.
mod tools;
// What a lost race looks like in five languages.
mod runtimes;
// Real clients beside a mount: boto3, the AWS CLI and `@kessler/s3-store`.
mod clients;
// Corners of POSIX.
mod posix;
// Suites of others: fsx, pjdfstest, fio, dbench.
mod suites;
// Odd keys, names, sizes and moments.
mod bad_input;

// Stores and servers.

// The contract of a backend, on every server there is.
mod contract;
// The contract of a store, for every layout; stores that are wrong on purpose.
mod store_contract;
// Konserve stores: what the real library wrote, and what it reads.
mod konserve;
// The S3 backend when the network or the server misbehaves.
mod s3;
// Servers that are not as S3 is, with a mount and every command.
mod odd_servers;
// Answers without an end, or of something that nobody asked for.
mod odd_answers;
// Every source of the credential chain, and no secret in a log.
mod credentials;
// What permissions each feature needs, and what is said without them.
mod policy;

// The program.

// The key-value commands, on URLs and on paths.
mod kv;
// `--help`, manual pages and completions, compared with snapshots.
mod help;
// Errors of new users: each says what is wrong and what to do.
mod newcomer;
// Machines and environments that lack things: no command panics.
mod machines;
// How mounts begin and end: signals, crashes, `--daemon`, exit codes.
mod endings;
// Systemd, fstab, `mount.etagfs`.
mod service;
// `etagfs serve`: how it begins and ends, and what a web page can do to it.
mod served;
// Metrics, access log, log and traces.
mod observability;

// The house.

// The walls between layers, the length of files, the map of docs/design.md.
mod layers;
