//! Why something failed: in words, and what it comes of where that is known.
//!
//! The words are for people. Whoever has to decide something (a hint, a verdict of the probe) goes by the
//! cause, never by the words: those hold names of keys and whatever a server says. It knows no protocol.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// Why something failed. As an error it is the link between ours and the one below it: that of a library, of
/// the system, or of the layer below.
#[derive(Clone, Debug)]
pub struct Why {
    words: String,
    cause: Option<Cause>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// What a failure comes of, as far as that is known. What to do about it is for the command line to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The endpoint is no URL of http or https.
    EndpointUrl,
    /// Nothing listens there.
    NothingListens,
    /// Nobody knows an address of the host.
    NoSuchHost,
    /// The proxy that was named can be none.
    Proxy,
    /// The server speaks http, and was spoken to in TLS.
    SpeaksHttp,
    /// The server answered something that is no HTTP, nothing, or that it does not understand, and was spoken to
    /// in http.
    NotHttp,
    /// The server's certificate is not trusted.
    Certificate,
    /// The file with the certificates to trust is no good.
    CaBundle,
    /// There are no certificates to trust on this machine.
    NoAuthorities,
    /// It is not known in which region the bucket is; or it is in this one, and another was asked.
    Region(Option<String>),
    /// There are no credentials.
    NoCredentials,
    /// The secret does not belong to the key id.
    Secret,
    /// The server does not know the key id.
    KeyId,
    /// The credentials have expired, or the session that hands them out.
    Expired,
    /// The clock of this machine is wrong.
    Clock,
    /// The server says that it has no requests of this kind.
    NotImplemented,
    /// The server does not take a value that was sent: that of a header, for instance.
    Argument,
    /// The object is archived, and has to be restored before it can be read.
    Archived,
    /// Nothing is wrong: it takes longer than its caller may wait, and goes on.
    GoesOn,
    /// The local directory for temporary files.
    TemporaryFile,
}

impl Why {
    /// In these words, because of this.
    pub fn because(cause: impl Into<Option<Cause>>, words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            cause: cause.into(),
            source: None,
        }
    }

    /// The same; this is the error below it.
    #[must_use]
    pub fn over(self, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            source: Some(error.into().into()),
            ..self
        }
    }

    /// What it comes of.
    pub fn cause(&self) -> Option<&Cause> {
        self.cause.as_ref()
    }

    /// The same, with words before.
    #[must_use]
    pub fn of(self, before: impl fmt::Display) -> Self {
        Self {
            words: format!("{before}: {}", self.words),
            ..self
        }
    }

    /// The same, with words behind.
    #[must_use]
    pub fn with(self, behind: impl fmt::Display) -> Self {
        Self {
            words: format!("{}{behind}", self.words),
            ..self
        }
    }

    /// The same in other words.
    #[must_use]
    pub fn saying(self, words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            ..self
        }
    }

    /// The same, because of this.
    #[must_use]
    pub fn because_of(self, cause: Cause) -> Self {
        Self {
            cause: Some(cause),
            ..self
        }
    }

    /// The same; the cause is not this one.
    #[must_use]
    pub fn but_not(self, cause: &Cause) -> Self {
        Self {
            cause: self.cause.filter(|known| known != cause),
            ..self
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl Error for Why {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let source = self.source.as_deref()?;
        Some(source)
    }
}

impl From<String> for Why {
    fn from(words: String) -> Self {
        Self::because(None, words)
    }
}

impl From<&str> for Why {
    fn from(words: &str) -> Self {
        words.to_owned().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_stays_whatever_is_said_about_it() {
        let why = Why::because(Cause::Clock, "no")
            .of("http://h")
            .with("; here");
        assert_eq!(why.to_string(), "http://h: no; here");
        assert_eq!(why.cause(), Some(&Cause::Clock));
        assert_eq!(why.clone().saying("x").cause(), Some(&Cause::Clock));
        assert_eq!(why.but_not(&Cause::Clock).cause(), None);
        assert_eq!(
            Why::from("the certificate of a key called Clock").cause(),
            None
        );
    }
}
