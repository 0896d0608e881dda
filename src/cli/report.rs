//! How a failure becomes a message, a hint and an exit code.
//!
//! A message says what happened and to what; a hint says what to do next. Codes are those of the
//! help text; 66 and 75 are EX_NOINPUT and EX_TEMPFAIL of sysexits.h.

use std::error::Error;
use std::fmt;
use std::io::Write;

use super::hints::Trouble;
use super::one_line::one_line;
use crate::backend::Cause;
use crate::{backend, store};

/// Exit code: the arguments, or the environment, make no sense.
const USAGE: u8 = 2;
/// Exit code: the newest version is the one that the caller has.
pub(super) const UNCHANGED: u8 = 3;
/// Exit code: the key does not exist; the store said so.
pub(super) const ABSENT: u8 = 66;
/// Exit code: a condition did not hold, since somebody else was first.
pub(super) const CONFLICT: u8 = 75;

/// Why a subcommand did not do what it was asked.
#[derive(Debug)]
pub(super) struct Failure {
    /// Empty when the user has seen a message already.
    message: String,
    hint: Option<String>,
    /// What the hint is about, by its name, if it is of the table of hints.
    cause: Option<&'static str>,
    code: u8,
    /// The error below it.
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let source = self.source.as_deref()?;
        Some(source)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Failure {
    /// Something went wrong (exit code 1).
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            cause: None,
            code: 1,
            source: None,
        }
    }

    /// The arguments make no sense (exit code 2).
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self {
            code: USAGE,
            ..Self::new(message)
        }
    }

    /// The key does not exist (exit code 66).
    pub(super) fn absent(message: impl Into<String>) -> Self {
        Self {
            code: ABSENT,
            ..Self::new(message)
        }
    }

    /// A condition did not hold (exit code 75).
    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self {
            code: CONFLICT,
            ..Self::new(message)
        }
    }

    /// After something was done: that is said first. The codes of what did not happen are not for it.
    #[must_use]
    pub(super) fn after(self, done: &str) -> Self {
        let code = match self.code {
            ABSENT | CONFLICT => 1,
            code => code,
        };
        Self {
            message: format!("{done}; {}", self.message),
            code,
            ..self
        }
    }

    /// With another exit code.
    #[must_use]
    pub(super) fn code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// The exit code.
    pub(super) fn exit_code(&self) -> u8 {
        self.code
    }

    /// What happened, without what to do next.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// The user has seen a message already.
    pub(super) fn told(code: u8) -> Self {
        Self {
            code,
            ..Self::new("")
        }
    }

    /// A failure of a backend; it is this trouble if the keys are good and may not do this.
    pub(super) fn denied(error: backend::Error, trouble: &Trouble) -> Self {
        let is_denied = matches!(
            error,
            backend::Error::Denied {
                to: backend::Denial::Request,
                ..
            }
        );
        let is_understood = error.cause().is_some();
        let failure = Self::from(error);
        match is_denied && !is_understood {
            true => failure.because(trouble),
            false => failure,
        }
    }

    /// Adds the error below it.
    #[must_use]
    pub(super) fn over(mut self, error: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(error));
        self
    }

    /// Adds what to do next.
    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self.cause = None;
        self
    }

    /// Adds what to do next about this trouble.
    #[must_use]
    pub(super) fn because(mut self, trouble: &Trouble) -> Self {
        self.hint = Some(trouble.hint());
        self.cause = Some(trouble.name());
        self
    }

    /// Prints the message, and returns the exit code.
    pub(super) fn report(self) -> u8 {
        if let Some(cause) = self.cause {
            tracing::debug!(cause, "failed");
        }
        let mut out = std::io::stderr().lock();
        // Nowhere to say it when standard error is gone.
        if !self.message.is_empty() {
            let _ = writeln!(out, "etagfs: {}", one_line(&self.message));
        }
        if let Some(hint) = self.hint {
            let _ = writeln!(out, "  {}", one_line(&hint));
        }
        self.code
    }
}

impl From<&store::Error> for Failure {
    fn from(error: &store::Error) -> Self {
        let failure = Self::new(error.to_string());
        if let store::Error::Denied(why) | store::Error::Failed(why) | store::Error::Deadline(why) =
            error
            && let Some(cause) = why.cause()
        {
            let failure = failure.because(&cause.into());
            return match cause {
                // To try again would not help.
                Cause::EndpointUrl | Cause::Proxy => failure.code(USAGE),
                _ => failure,
            };
        }
        let trouble = match error {
            store::Error::Denied(_) => Trouble::Denied,
            store::Error::Deadline(_) => Trouble::NoAnswer,
            store::Error::Failed(_) => Trouble::Failed,
            store::Error::Damaged { .. } => Trouble::Damaged,
            store::Error::NotFound(_) => Trouble::NotFound,
            store::Error::Unsupported(_) => Trouble::Unsupported,
            store::Error::Unknown(_) => Trouble::InDoubt,
            _ => return failure,
        };
        failure.because(&trouble)
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        Self::from(&error).over(error)
    }
}

impl From<backend::Error> for Failure {
    fn from(error: backend::Error) -> Self {
        store::Error::from(error).into()
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string()).over(error)
    }
}

#[cfg(test)]
mod tests;
