//! `--env-file`: variables from a file, for mounts that nobody's shell starts.
//!
//! The form is that of systemd's `EnvironmentFile=` (systemd.exec(5)), so that a unit and an fstab can
//! share one file. A process does not change its own environment while it has threads: it starts itself
//! again with the variables, and a mark that it has.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::report::Failure;
use super::settings_file;

/// Set for the program that has the variables.
const READ: &str = "ETAGFS_ENV_FILE_WAS_READ";

/// Starts this program again, with the variables of a file; returns if it was started so.
///
/// # Errors
/// When the file cannot be read or understood.
pub(super) fn load(file: &Path, words: &[std::ffi::OsString]) -> Result<(), Failure> {
    if std::env::var_os(READ).is_some() {
        return Ok(());
    }
    let shown = file.display();
    let text = settings_file::read(file).map_err(|error| {
        Failure::new(format!("the variables in {shown} cannot be read: {error}"))
            .hint("it holds lines like ETAGFS_ENDPOINT_URL=https://..., and AWS_ACCESS_KEY_ID=...")
    })?;
    let variables = parse(&text).map_err(|line| {
        Failure::usage(format!("line {line} of {shown} is no NAME=VALUE"))
            .hint("as in systemd's EnvironmentFile=: no export, no $VARIABLES")
    })?;
    let error = Command::new("/proc/self/exe")
        .arg0("etagfs")
        .args(words.iter().skip(1))
        .envs(variables)
        .env(READ, "1")
        .exec();
    Err(error.into())
}

/// The variables; or the number of a line that is none.
fn parse(text: &str) -> Result<Vec<(String, String)>, usize> {
    let mut variables = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let (name, value) = line.split_once('=').ok_or(at + 1)?;
        let is_name = |char: char| char.is_ascii_alphanumeric() || char == '_';
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(at + 1);
        }
        variables.push((name.to_owned(), unquote(value.trim()).to_owned()));
    }
    Ok(variables)
}

fn unquote(value: &str) -> &str {
    let between = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    between('"').or_else(|| between('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_names_values_and_comments() {
        let text =
            "# a comment\n\n; another\nA=1\n  B_2 = x y \nC=\"q # r\"\nD='it''s'\nE=\nF=a=b\n";
        let found = parse(text.replace("B_2 =", "B_2=").as_str());
        let expected = [
            ("A", "1"),
            ("B_2", "x y"),
            ("C", "q # r"),
            ("D", "it''s"),
            ("E", ""),
            ("F", "a=b"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(found, Ok(expected.to_vec()));
    }

    #[test]
    fn what_is_no_variable_is_told_by_its_line() {
        assert_eq!(parse("A=1\nexport B=2\n"), Err(2));
        assert_eq!(parse("nothing"), Err(1));
        assert_eq!(parse("=x"), Err(1));
    }
}
