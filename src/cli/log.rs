//! The log: where its lines go, in which form, and which of them.
//!
//! Lines are made where things happen, all with the same field names (`docs/operations.md` lists
//! them). Below systemd they go to the journal with their fields; else to standard error, or to the
//! file of a daemon.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};

use clap::ValueEnum as _;
use tracing::Level;
use tracing::field::Field;
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::filter::FilterExt;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt};

use super::one_line::{OneLine, one_line};
use super::redact::no_secrets;
use super::variables::distance;

/// Where log lines go.
pub(super) enum Destination {
    /// Standard error.
    Stderr,
    /// Standard error, once it is let go.
    Held(HeldLines),
    /// A file, without colours.
    File(File),
}

/// Lines that are held back until it is known that they are wanted: while a mount begins, what goes wrong
/// ends as one message, which says it all.
#[derive(Clone, Debug)]
pub(super) struct HeldLines(Arc<Mutex<Option<Vec<u8>>>>);

impl HeldLines {
    /// Holds lines back.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Some(Vec::new()))))
    }

    /// Writes what was held back, and from now on everything at once.
    pub(super) fn let_go(&self) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lines) = held.take() {
            // As with every line, there is nowhere to say that it fails.
            let _ = io::stderr().write_all(&lines);
        }
    }
}

impl io::Write for HeldLines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(lines) => lines.write(bytes),
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// The journal when systemd has connected standard error to it, else text.
    #[default]
    Auto,
    /// For the eye.
    Text,
    /// One JSON object a line.
    Json,
    /// systemd's journal, each field a field of its own: ETAGFS_OP, ETAGFS_KEY, ...
    Journald,
}

/// Starts logging in the form that fits the place: `level` is a level, or filter directives of the
/// `tracing` crates.
///
/// # Errors
/// A message when `level` is neither.
pub(super) fn start(level: &str, target: Destination) -> Result<(), String> {
    start_as(level, Format::Auto, target, None)
}

/// Starts logging in this form; `also` receives everything that it asks for, whatever the level.
///
/// # Errors
/// As [`start`], or when there is no journal.
pub(super) fn start_as(
    level: &str,
    format: Format,
    target: Destination,
    also: Option<Lines>,
) -> Result<(), String> {
    let log = lines(format, target)?.with_filter(wanted(level)?.and(no_secrets()));
    // A second subscriber in one process is a test's doing, and harmless.
    let mut layers = vec![log.boxed()];
    layers.extend(also);
    let _ = tracing_subscriber::registry().with(layers).try_init();
    Ok(())
}

/// Starts logging to standard error if it has not begun, for a command that failed before or has no log of its
/// own. `ETAGFS_LOG` says which lines are wanted; without it, none.
pub(super) fn start_late() {
    if tracing::dispatcher::has_been_set() {
        return;
    }
    if let Ok(level) = std::env::var("ETAGFS_LOG") {
        // A command with a log of its own has refused a word that is no level. The others have failed for
        // another reason, which this one shall not hide.
        let _ = start(&level, Destination::Stderr);
    }
}

/// The names of the levels, and that of silence.
const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// Reads what an option or a variable says of the level: a level, or directives for one target each. A word
/// that is neither would be a target to the `tracing` crates, and the log would be silent.
///
/// # Errors
/// A message that names the levels, and the nearest one.
pub(super) fn level(text: &str) -> Result<String, String> {
    // Those with fields may hold commas.
    let has_fields = text.contains(['[', '{']);
    let words = text.split(',').map(str::trim).filter(|_| !has_fields);
    let is_level = |word: &str| word.parse::<Level>().is_ok() || word.eq_ignore_ascii_case("off");
    for word in words {
        let (directive, word) = match word.rsplit_once('=') {
            Some((_, level)) => (true, level),
            None => (false, word),
        };
        if is_level(word) {
            continue;
        }
        let near = LEVELS
            .into_iter()
            .filter(|level| word.to_lowercase().starts_with(level) || distance(word, level) <= 2)
            .min_by_key(|level| distance(word, level));
        let near = near.map(|level| format!("; is {level} meant?"));
        let near = match (near, Format::from_str(word, true)) {
            (Some(near), _) => near,
            (None, Ok(_)) if !directive => "; the form of the log is --log-format".to_owned(),
            _ => String::new(),
        };
        return Err(format!(
            "{word:?} is no level: error, warn, info, debug, trace, off, or directives like \
             etagfs=debug{near}"
        ));
    }
    wanted(text).map(|_| text.to_owned())
}

/// Which lines are wanted. The libraries below speak up only when they are asked to by name: s3s
/// calls refusals, which are answers, errors; the SDK logs every retry.
fn wanted(level: &str) -> Result<EnvFilter, String> {
    match level.trim().parse::<Level>() {
        Ok(level) => EnvFilter::try_new(format!("off,etagfs={level}")),
        Err(_) => EnvFilter::try_new(level),
    }
    .map_err(|error| format!("{level:?} is no log level: {error}"))
}

/// A layer that receives events and spans.
pub(super) type Lines = Box<dyn Layer<Registry> + Send + Sync>;

/// What makes lines of events.
fn lines(format: Format, target: Destination) -> Result<Lines, String> {
    match (format, &target) {
        (Format::Journald, _) => {
            let journal = journal().map_err(|error| format!("there is no journal: {error}"))?;
            return Ok(journal);
        }
        (Format::Auto, Destination::Stderr | Destination::Held(_)) if is_journal(&io::stderr()) => {
            // A journal that cannot be spoken to still takes text from standard error.
            if let Ok(journal) = journal() {
                return Ok(journal);
            }
        }
        _ => {}
    }
    let (writer, colours) = match target {
        Destination::Stderr => {
            let colours = io::IsTerminal::is_terminal(&io::stderr());
            let stderr = move || OneLine {
                out: io::stderr(),
                colours,
            };
            (BoxMakeWriter::new(stderr), colours)
        }
        Destination::Held(held) => {
            let colours = io::IsTerminal::is_terminal(&io::stderr());
            let held = move || OneLine {
                out: held.clone(),
                colours,
            };
            (BoxMakeWriter::new(held), colours)
        }
        Destination::File(file) => {
            let file = Arc::new(file);
            let file = move || OneLine {
                out: Arc::clone(&file),
                colours: false,
            };
            (BoxMakeWriter::new(file), false)
        }
    };
    let lines = fmt::layer().with_target(false).with_writer(writer);
    Ok(match format {
        Format::Json => lines
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .boxed(),
        _ => lines.with_ansi(colours).fmt_fields(shown_fields()).boxed(),
    })
}

/// Fields as the `tracing` crates write them, with the control characters of their values shown: in a line with
/// colours, nobody could tell those from the escapes of the colours.
fn shown_fields() -> impl for<'writer> FormatFields<'writer> + Send + Sync + 'static {
    let field = |to: &mut Writer<'_>, field: &Field, value: &dyn std::fmt::Debug| {
        let value = format!("{value:?}");
        let value = one_line(&value);
        match field.name() {
            "message" => write!(to, "{value}"),
            name if to.has_ansi_escapes() => {
                write!(to, "\x1b[3m{name}\x1b[0m\x1b[2m=\x1b[0m{value}")
            }
            name => write!(to, "{name}={value}"),
        }
    };
    fmt::format::debug_fn(field).delimited(" ")
}

fn journal() -> io::Result<Lines> {
    let journal = tracing_journald::layer()?
        .with_syslog_identifier("etagfs".to_owned())
        .with_field_prefix(Some("ETAGFS".to_owned()))
        .with_priority_mappings(PriorityMappings {
            info: Priority::Informational,
            debug: Priority::Debug,
            trace: Priority::Debug,
            ..PriorityMappings::new()
        });
    Ok(journal.boxed())
}

/// Whether systemd has connected this to its journal, and nobody has redirected it since
/// (systemd.exec(5): JOURNAL_STREAM holds device and inode).
fn is_journal(stream: &impl AsFd) -> bool {
    let announced = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    let is = |stat: rustix::fs::Stat| announced == format!("{}:{}", stat.st_dev, stat.st_ino);
    rustix::fs::fstat(stream).is_ok_and(is)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coloured_lines_hold_no_escapes_but_those_of_their_colours() {
        #[derive(Clone, Default)]
        struct Shared(Arc<Mutex<Vec<u8>>>);
        impl io::Write for Shared {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().expect("shared").extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let shared = Shared::default();
        let out = shared.clone();
        let writer = move || OneLine {
            out: out.clone(),
            colours: true,
        };
        let lines = fmt::layer().with_target(false).with_writer(writer);
        let lines = lines.with_ansi(true).fmt_fields(shown_fields());
        let subscriber = tracing_subscriber::registry().with(lines);
        let key = "a\x1b]0;x\x07\x1b[31m\u{9b}2J\r\nb";
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(%key, ?key, why = key, "{key}");
            let span = tracing::warn_span!("save", key, why = %key);
            span.in_scope(|| tracing::error!("in a span"));
        });
        let bytes = shared.0.lock().expect("shared").clone();
        let text = String::from_utf8(bytes).expect("text");
        assert_eq!(text.lines().count(), 2, "{text:?}");
        assert!(text.contains("\x1b[33m"), "{text:?}");
        for piece in text.split('\x1b').skip(1) {
            let colour = piece
                .strip_prefix('[')
                .and_then(|rest| rest.split_once('m'));
            let is_ours = colour
                .is_some_and(|(number, _)| ["0", "2", "3", "31", "33", "1"].contains(&number));
            assert!(is_ours, "{piece:?}");
        }
        assert!(!text.contains(['\x07', '\u{9b}', '\r']), "{text:?}");
        // The colour of the text is not one of ours.
        assert_eq!(text.matches("\x1b[31m").count(), 1, "{text:?}");
    }

    #[test]
    fn a_level_is_a_level_or_directives_and_a_mistyped_one_is_refused_with_the_nearest() {
        for good in [
            "info",
            "INFO",
            "off",
            "etagfs=debug",
            "off,etagfs=trace,aws_smithy_runtime=debug",
            "warn,etagfs::vfs=trace",
            "etagfs[save{key=a}]=debug,info",
        ] {
            assert_eq!(level(good).as_deref(), Ok(good));
        }
        for (bad, word) in [
            ("warning", "is warn meant"),
            ("errors", "is error meant"),
            ("degub", "is debug meant"),
            ("verbose", "error, warn, info, debug, trace"),
            ("foo", "etagfs=debug"),
            ("json", "--log-format"),
            ("etagfs", "no level"),
            ("etagfs=verbose", "\"verbose\" is no level"),
            ("info,foo", "\"foo\" is no level"),
            ("", "no level"),
        ] {
            let told = level(bad).expect_err(bad);
            assert!(told.contains(word), "{bad}: {told}");
        }
    }
}
