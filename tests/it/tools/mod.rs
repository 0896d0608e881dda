//! Ordinary tools on real mounts (sed, rsync, git, sqlite3, shells, ...): what each saves and with how
//! many requests, what it tells when another machine saved first, and what counts as one job (W1). It
//! knows no library of etagfs; the contract is `docs/semantics.md`. Read on in `bench`.

mod backups;
mod bench;
mod counter;
mod jobs;
mod jupyter;
mod lost;
mod memory;
mod missed;
mod prompts;
mod saves;
mod tails;
mod trees;
