//! How konserve stores are shown and written: options of several commands.
//!
//! From arguments, environment and files to [`Settings`]. The encryption key is read here and goes
//! into no message.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args as ClapArgs;

use super::redact::Secret;
use super::report::Failure;
use super::settings_file;
use crate::store::konserve::{self, Settings};
use crate::store::{LayoutName, Layouts, plain};
use konserve_codec::aes::EncryptionKey;
use konserve_codec::edn;
use konserve_codec::name::Spelling;

/// In which layout stores are made.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub(super) enum Layout {
    /// One object for each key, with the key as its name.
    #[default]
    Plain,
    /// As the Clojure library konserve-s3 makes them.
    Konserve,
}

impl From<Layout> for LayoutName {
    fn from(layout: Layout) -> Self {
        match layout {
            Layout::Plain => plain::LAYOUT,
            Layout::Konserve => konserve::LAYOUT,
        }
    }
}

/// How konserve stores are shown and written.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Konserve stores")]
pub(super) struct Konserve {
    /// Layout of the stores that mkdir makes.
    #[arg(long, env = "ETAGFS_LAYOUT", value_enum, default_value = "plain")]
    layout: Layout,
    #[command(flatten)]
    shown: KonserveOptions,
}

/// How the values and keys of konserve stores are shown.
#[derive(Clone, Debug, ClapArgs)]
#[command(next_help_heading = "Konserve stores")]
pub(super) struct KonserveOptions {
    /// How keys are spelled as file names.
    #[arg(
        long,
        env = "ETAGFS_KONSERVE_NAMES",
        value_enum,
        default_value = "bare"
    )]
    konserve_names: NameSpelling,
    /// Key of encrypted values, in EDN, as in the store's :encryptor. Other users can see the
    /// arguments of a program; a file or the environment is better.
    #[arg(
        long,
        env = "ETAGFS_KONSERVE_KEY",
        value_name = "EDN",
        hide_env_values = true,
        conflicts_with = "konserve_key_file"
    )]
    konserve_key: Option<Secret>,
    /// File that holds the key of encrypted values, in EDN.
    #[arg(long, env = "ETAGFS_KONSERVE_KEY_FILE", value_name = "FILE")]
    konserve_key_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum NameSpelling {
    /// Strings as they are, symbols after a quote, everything else as EDN.
    Bare,
    /// Everything as EDN, strings in quotes.
    Edn,
}

impl Konserve {
    /// The layout of new stores.
    pub(super) fn layout(&self) -> LayoutName {
        self.layout.into()
    }

    /// All layouts, see [`KonserveOptions::layouts`]; a listing waits at most this long for names to be read.
    ///
    /// # Errors
    /// When the encryption key cannot be read.
    pub(super) fn layouts(
        &self,
        state_dir: Option<&Path>,
        patience: Duration,
    ) -> Result<Layouts, Failure> {
        Ok(Layouts::new(Settings {
            patience: Some(patience),
            ..self.shown.settings(state_dir)?
        }))
    }
}

impl KonserveOptions {
    /// All layouts; names of keys are kept in `state_dir`, if there is one.
    ///
    /// # Errors
    /// When the encryption key cannot be read.
    pub(super) fn layouts(&self, state_dir: Option<&Path>) -> Result<Layouts, Failure> {
        Ok(Layouts::new(self.settings(state_dir)?))
    }

    fn settings(&self, state_dir: Option<&Path>) -> Result<Settings, Failure> {
        let text = match (&self.konserve_key, &self.konserve_key_file) {
            (Some(secret), _) => Some(secret.reveal().to_owned()),
            (None, Some(file)) => Some(settings_file::read(file).map_err(|error| {
                Failure::new(format!(
                    "the key of encrypted values could not be read from {}: {error}",
                    file.display()
                ))
            })?),
            (None, None) => None,
        };
        Ok(Settings {
            spelling: match self.konserve_names {
                NameSpelling::Bare => Spelling::Bare,
                NameSpelling::Edn => Spelling::Edn,
            },
            secret: text.as_deref().map(key).transpose()?,
            state_dir: state_dir.map(Path::to_owned),
            patience: None,
        })
    }
}

/// An error about a key names only the place in it: more would show parts of the key.
fn key(text: &str) -> Result<EncryptionKey, Failure> {
    let value = edn::read(text).map_err(|error| {
        Failure::usage(format!(
            "the key of encrypted values is not EDN: line {}, column {}",
            error.line, error.column
        ))
        .hint("a text is written in double quotes: '\"s3cr3t\"'")
    })?;
    EncryptionKey::new(value)
        .map_err(|_| Failure::usage("the key of encrypted values is of a kind that has no hash"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Just {
        #[command(flatten)]
        konserve: Konserve,
    }

    #[test]
    fn the_key_of_encrypted_values_is_in_no_message() {
        let args = Just::parse_from(["x", "--konserve-key", "\"hunter2"]);
        let failure = args.konserve.shown.settings(None).unwrap_err();
        for text in [format!("{args:?}"), format!("{failure:?}")] {
            assert!(!text.contains("hunter2"), "{text}");
        }
        let args = Just::parse_from(["x", "--konserve-key", "\"hunter2\""]);
        let settings = args.konserve.shown.settings(None).unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"));
    }

    #[test]
    fn the_key_can_come_from_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        std::fs::write(&file, "{:a \"s3cr3t\"}\n").unwrap();
        let file = file.to_str().unwrap();
        let args = Just::parse_from(["x", "--konserve-key-file", file]);
        assert!(args.konserve.shown.settings(None).unwrap().secret.is_some());
        let args = Just::parse_from(["x", "--konserve-key-file", "/nowhere"]);
        assert!(args.konserve.shown.settings(None).is_err());
    }
}
