//! Where `tests/setup` keeps what it builds: outside of the checkout, so that a fresh clone on the same
//! machine does not build it again.

use std::path::PathBuf;

/// What it does, and the versions of what it builds.
const SETUP: &str = include_str!("../../setup");

/// The value of a variable of `tests/setup`.
pub(crate) fn setting(name: &str) -> &'static str {
    let assignment = format!("{name}=");
    let mut lines = SETUP.lines();
    lines
        .find_map(|line| line.strip_prefix(&assignment))
        .unwrap_or_else(|| panic!("tests/setup sets no {name}"))
}

/// The directory: in `XDG_CACHE_HOME`, else in `HOME`.
///
/// # Errors
/// Neither is set.
pub(crate) fn directory() -> Result<PathBuf, String> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let cache = set("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(set("HOME")?).join(".cache")));
    let cache = cache.ok_or("neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(cache.join("etagfs-ci"))
}

/// A program that is built from crates.io.
///
/// # Errors
/// It is not there: the reason, for `or_skip!`.
pub(crate) fn built(name: &str) -> Result<PathBuf, String> {
    let version = setting(&format!("{}_version", name.replace('-', "_")));
    let program = directory()?.join(format!("{name}-{version}/bin/{name}"));
    match program.exists() {
        true => Ok(program),
        false => Err(format!("{name} {version} is not built: run tests/setup")),
    }
}
