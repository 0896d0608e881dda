//! The command line as a user has it: shell scripts in which `etagfs` is the real binary, with a
//! bucket's keys and server in the environment and nothing of the person who runs the tests.
//!
//! ```ignore
//! let out = cli::script(&bucket, state.path(), "echo 1 | etagfs put $S/key").env("S", url).run();
//! ```

use std::path::Path;

use super::client::REGION;
use super::procs::Script;
use super::servers::Bucket;

const ETAGFS: &str = env!("CARGO_BIN_EXE_etagfs");

/// A script for bash.
pub(crate) fn script(bucket: &Bucket, state_dir: &Path, text: &str) -> Script {
    let inherited = std::env::var("PATH").unwrap_or_default();
    let own = Path::new(ETAGFS).parent().unwrap().display();
    Script::bash(text)
        .env("PATH", format!("{own}:{inherited}"))
        .env("AWS_ACCESS_KEY_ID", &bucket.keys.id)
        .env("AWS_SECRET_ACCESS_KEY", &bucket.keys.secret)
        .env("AWS_REGION", REGION)
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_CA_BUNDLE", "")
        .env("ETAGFS_ENDPOINT_URL", &bucket.endpoint)
        .env("ETAGFS_STATE_DIR", state_dir)
}
