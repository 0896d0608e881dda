//! The mount as a service of the system: what it tells a service manager, `mount.etagfs` and fstab, the
//! unit under a real systemd. What a mount does once it is there is not its business.

#[macro_use]
mod machine;

mod alive;
mod container;
mod fstab;
mod notify;
mod package;
mod units;

use crate::world::procs::{Output, Script};

const ETAGFS: &str = env!("CARGO_BIN_EXE_etagfs");

/// `etagfs ARGUMENTS` for what needs no bucket.
fn etagfs(arguments: &str) -> Output {
    Script::bash(&format!("exec '{ETAGFS}' {arguments}")).run()
}
