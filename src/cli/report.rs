//! How a failure becomes a message, a hint and an exit code.
//!
//! A message says what happened and to what; a hint says what to do next. Codes are those of the
//! help text; 75 is EX_TEMPFAIL of sysexits.h.

use std::io::Write;
use std::process::ExitCode;

use crate::store;

/// Why a subcommand did not do what it was asked.
#[derive(Debug)]
pub(super) struct Failure {
    /// Empty when the user was told already.
    message: String,
    hint: Option<String>,
    code: u8,
}

impl Failure {
    /// Something went wrong (exit code 1).
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            code: 1,
        }
    }

    /// The arguments make no sense (exit code 2).
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self {
            code: 2,
            ..Self::new(message)
        }
    }

    /// Somebody else has told the user why.
    pub(super) fn told(code: u8) -> Self {
        Self {
            code,
            ..Self::new("")
        }
    }

    /// Adds what to do next.
    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Tells the user.
    pub(super) fn report(self) -> ExitCode {
        let mut out = std::io::stderr().lock();
        // Nowhere to say it when standard error is gone.
        if !self.message.is_empty() {
            let _ = writeln!(out, "etagfs: {}", self.message);
        }
        if let Some(hint) = self.hint {
            let _ = writeln!(out, "  {hint}");
        }
        ExitCode::from(self.code)
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        let failure = Self::new(error.to_string());
        match error {
            store::Error::Denied(_) => failure.hint(
                "check the credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
            ),
            store::Error::Deadline(_) | store::Error::Failed(_) => {
                failure.hint("check the bucket's name, --endpoint-url, the region and the network")
            }
            store::Error::NotFound(_) => failure.hint("check its name, and --endpoint-url"),
            store::Error::Unknown(_) => failure.hint("look whether it happened before trying again"),
            _ => failure,
        }
    }
}

impl From<crate::backend::Error> for Failure {
    fn from(error: crate::backend::Error) -> Self {
        store::Error::from(error).into()
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string())
    }
}
