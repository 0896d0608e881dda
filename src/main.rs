//! The `etagfs` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    etagfs::cli::main()
}
