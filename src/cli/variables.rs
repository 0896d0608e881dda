//! `ETAGFS_*` in the environment: each is the variable of an option, or a mistake.
//!
//! A variable that nobody reads would be ignored in silence, and `ETAGFS_READONLY=true` would mount for
//! writing. It knows the definition of the command line, and no option by name.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};

use super::one_line::{lines, one_line};
use super::report::Failure;

const OURS: &str = "ETAGFS_";

/// Those that are no options: what this program tells the commands that it runs (and itself, when it starts
/// itself again), and what the systemd unit is told.
const NO_OPTIONS: [&str; 7] = [
    "ETAGFS_DAEMON_CHILD",
    "ETAGFS_ENV_FILE_WAS_READ",
    "ETAGFS_KEY",
    "ETAGFS_ETAG",
    "ETAGFS_EVENT",
    "ETAGFS_SOURCE",
    "ETAGFS_DIR",
];

/// These control the tests of this program, which run it with them.
const OF_TESTS: [&str; 4] = [
    "ETAGFS_TEST_",
    "ETAGFS_BLESS",
    "ETAGFS_FUZZ_SECONDS",
    "ETAGFS_SIMULATION_",
];

/// Refuses variables that are no option's.
///
/// # Errors
/// A usage failure that names the nearest one.
pub(super) fn check(
    command: &Command,
    names: impl Iterator<Item = OsString>,
) -> Result<(), Failure> {
    let mut unknown: Vec<_> = names
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| name.starts_with(OURS))
        .filter(|name| !OF_TESTS.iter().any(|start| name.starts_with(start)))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let known = known(command);
    unknown.retain(|name| !known.contains(name));
    unknown.sort();
    let Some(name) = unknown.first() else {
        return Ok(());
    };
    // One that begins like it, or one with a few other letters.
    let begins_alike = |known: &&String| known.starts_with(name) || name.starts_with(*known);
    let is_near = |known: &&String| distance(name, known) * 3 <= name.len() - OURS.len();
    let nearest = known
        .iter()
        .filter(|known| begins_alike(known) || is_near(known))
        .min_by_key(|known| distance(name, known));
    let failure = Failure::usage(format!("{name} is no variable of etagfs"));
    Err(match nearest {
        Some(nearest) => failure.hint(format!("did you mean {nearest}? Otherwise unset {name}")),
        None => {
            failure.hint("unset it; the help of each command names the variables of its options")
        }
    })
}

/// The variables of all options of all commands, and the others.
fn known(command: &Command) -> Vec<String> {
    fn add(command: &Command, names: &mut Vec<String>) {
        let variables = command.get_arguments().filter_map(Arg::get_env);
        names.extend(variables.map(|name| name.to_string_lossy().into_owned()));
        for subcommand in command.get_subcommands() {
            add(subcommand, names);
        }
    }
    let mut names = NO_OPTIONS.map(str::to_owned).to_vec();
    add(command, &mut names);
    names
}

/// How many letters have to be changed, added or left out to make one name of the other; underscores are
/// no letters.
pub(super) fn distance(one: &str, other: &str) -> usize {
    let letters = |name: &str| {
        name.bytes()
            .filter(|byte| *byte != b'_')
            .collect::<Vec<_>>()
    };
    let (one, other) = (letters(one), letters(other));
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.iter().enumerate() {
        let mut before = at;
        row[0] = at + 1;
        for (to, wanted) in other.iter().enumerate() {
            let changed = before + usize::from(letter != wanted);
            before = row[to + 1];
            row[to + 1] = changed.min(row[to] + 1).min(before + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

/// What clap has to say about the arguments, for a person: with the variable that a bad value is from, with
/// nothing that a terminal obeys, and with the usage of the command, in which what a variable says is not
/// wanted once more.
///
/// # Errors
/// The error itself, when clap says it best.
pub(super) fn explain(
    mut error: clap::Error,
    command: &Command,
    words: &[OsString],
) -> Result<String, clap::Error> {
    if !error.use_stderr() {
        // The help that was asked for.
        return Err(error);
    }
    let variable = variable_of(&error, command);
    let is_hostile = words.iter().any(|word| {
        let word = word.to_string_lossy();
        word.contains(char::is_control)
    });
    // A text of clap's own holds its colours, as escapes like those of others.
    show_controls(&mut error);
    let text = error.to_string();
    let shown = with_usage(&lines(&text), command);
    if variable.is_none() && shown == text && !is_hostile {
        return Err(error);
    }
    let told = variable.map(|name| format!("\n  the value is that of the variable {name}\n"));
    Ok(format!(
        "{}{}",
        shown.trim_end_matches('\n'),
        told.unwrap_or_else(|| "\n".to_owned())
    ))
}

/// Shows the control characters of everything that the user wrote.
fn show_controls(error: &mut clap::Error) {
    let written = |text: &String| text.contains(char::is_control);
    let mut changed = Vec::new();
    for (kind, value) in error.context() {
        let value = match value {
            ContextValue::String(text) if written(text) => {
                ContextValue::String(one_line(text).into_owned())
            }
            ContextValue::Strings(texts) if texts.iter().any(written) => ContextValue::Strings(
                texts
                    .iter()
                    .map(|text| one_line(text).into_owned())
                    .collect(),
            ),
            _ => continue,
        };
        changed.push((kind, value));
    }
    for (kind, value) in changed {
        error.insert(kind, value);
    }
}

/// The text with the usage as the help of the command has it.
fn with_usage(text: &str, command: &Command) -> String {
    let mut built = command.clone();
    built.build();
    let line = |line: &str| {
        let words = line.strip_prefix("Usage: ")?.split(' ').skip(1);
        let mut command = &mut built;
        for word in words {
            command = match command.find_subcommand(word).is_some() {
                true => command.find_subcommand_mut(word)?,
                false => break,
            };
        }
        Some(command.render_usage().to_string())
    };
    let mut line = line;
    let lines: Vec<_> = text
        .split('\n')
        .map(|text| line(text).unwrap_or_else(|| text.to_owned()))
        .collect();
    lines.join("\n")
}

/// The variable that a bad value is from, if it is from one.
fn variable_of(error: &clap::Error, command: &Command) -> Option<String> {
    if !matches!(
        error.kind(),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation
    ) {
        return None;
    }
    let told = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let (option, value) = (
        told(ContextKind::InvalidArg)?,
        told(ContextKind::InvalidValue)?,
    );
    fn find(command: &Command, option: &str, value: &str) -> Option<String> {
        let is_it = |arg: &&Arg| arg.to_string() == option;
        let variables = command
            .get_arguments()
            .filter(is_it)
            .filter_map(Arg::get_env);
        let mut names = variables.map(|name| name.to_string_lossy().into_owned());
        names
            .find(|name| std::env::var_os(name).is_some_and(|set| set.to_string_lossy() == value))
            .or_else(|| {
                let mut subcommands = command.get_subcommands();
                subcommands.find_map(|subcommand| find(subcommand, option, value))
            })
    }
    // Only a command that was built knows how its options are written.
    let mut built = command.clone();
    built.build();
    find(&built, option, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn refused(name: &str) -> Option<String> {
        let command = crate::cli::Cli::command();
        let checked = check(&command, [OsString::from(name)].into_iter());
        checked.err().map(|failure| format!("{failure:?}"))
    }

    #[test]
    fn a_variable_that_no_option_has_is_refused_and_the_nearest_one_named() {
        for (wrong, right) in [
            ("ETAGFS_READONLY", "ETAGFS_READ_ONLY"),
            ("ETAGFS_TLL", "ETAGFS_TTL"),
            ("ETAGFS_ENDPOINT", "ETAGFS_ENDPOINT_URL"),
            ("ETAGFS_STATEDIR", "ETAGFS_STATE_DIR"),
            ("ETAGFS_ALLOW_OTHERS", "ETAGFS_ALLOW_OTHER"),
            ("ETAGFS_LOG_LEVEL", "ETAGFS_LOG"),
        ] {
            let told = refused(wrong).expect(wrong);
            assert!(
                told.contains(wrong) && told.contains(&format!("did you mean {right}")),
                "{told}"
            );
        }
        let told = refused("ETAGFS_SOMETHING_ELSE_ALTOGETHER").expect("it is refused");
        assert!(!told.contains("did you mean"), "{told}");
    }

    #[test]
    fn variables_of_options_and_of_others_are_no_mistake() {
        for name in [
            "ETAGFS_READ_ONLY",
            "ETAGFS_KEY",
            "ETAGFS_SOURCE",
            "ETAGFS_TEST_KEYS",
            "ETAGFS_BLESS",
            "ETAG_FS_X",
            "HOME",
        ] {
            assert_eq!(refused(name), None, "{name}");
        }
    }

    #[test]
    fn distance_counts_letters() {
        assert_eq!(distance("ETAGFS_TTL", "ETAGFS_TTL"), 0);
        assert_eq!(distance("ETAGFS_READONLY", "ETAGFS_READ_ONLY"), 0);
        assert_eq!(distance("abc", "abd"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abcd", "acd"), 1);
    }
}
