//! The causes of an error of the client library: in words, and by their types.
//!
//! It knows no answers, and decides nothing; `failure.rs` says what a failure means.

use std::error::Error as StdError;

use crate::backend::Cause;

/// Whether the error arose while connecting: DNS, TCP or TLS. Nothing was sent then.
pub(super) fn is_connecting(error: &(dyn StdError + 'static)) -> bool {
    cause::<hyper_util::client::legacy::Error>(error).is_some_and(|error| error.is_connect())
}

/// What the client's layers call themselves, and add nothing with.
const LAYERS: [&str; 6] = [
    "dispatch failure",
    "io error",
    "other",
    "client error (Connect)",
    "client error (SendRequest)",
    "tcp connect error",
];

/// An error and its causes in words, each said once. The client library's own rendering adds the
/// whole structure of the error.
pub(super) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut words = String::new();
    for cause in std::iter::successors(Some(error), |error| StdError::source(*error)) {
        let cause = cause.to_string();
        // Some errors repeat their cause, some are nothing but it.
        if words.contains(&cause) || LAYERS.contains(&&*cause) {
            continue;
        }
        if !words.is_empty() {
            words.push_str(": ");
        }
        words.push_str(&cause);
    }
    words
}

/// What kept a request from being answered, as the types of its causes tell it.
pub(super) fn cause_of(error: &(dyn StdError + 'static)) -> Option<Cause> {
    causes(error).find_map(|error| {
        if let Some(refusal) = error.downcast_ref::<rustls::Error>() {
            return match refusal {
                rustls::Error::InvalidCertificate(_) => Some(Cause::Certificate),
                rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => {
                    Some(Cause::SpeaksHttp)
                }
                _ => None,
            };
        }
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            let is_refused = io.kind() == std::io::ErrorKind::ConnectionRefused;
            return is_refused.then_some(Cause::NothingListens);
        }
        if let Some(http) = error.downcast_ref::<hyper::Error>() {
            let is_none = http.is_parse() || http.is_incomplete_message();
            return is_none.then_some(Cause::NotHttp);
        }
        // The client library's own type has no name that others could use.
        let is_of_resolver = error.to_string().starts_with("dns error");
        is_of_resolver.then_some(Cause::NoSuchHost)
    })
}

/// An error and all its causes. An `io::Error` hides what it holds from `source`.
pub(super) fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| {
        match error.downcast_ref::<std::io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as &(dyn StdError + 'static)),
            None => error.source(),
        }
    })
}

/// The first cause of this type.
pub(super) fn cause<'a, E: StdError + 'static>(
    error: &'a (dyn StdError + 'static),
) -> Option<&'a E> {
    std::iter::successors(Some(error), |error| StdError::source(*error))
        .find_map(|error| error.downcast_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_causes_is_words_and_each_cause_is_said_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("{0}")]
        struct Layer(&'static str, #[source] Option<Box<Self>>);
        let cause = Layer("refused", None);
        let error = Layer("connecting: refused", Some(Box::new(cause)));
        let error = Layer("not sent", Some(Box::new(error)));
        assert_eq!(chain(&error), "not sent: connecting: refused");
    }

    #[test]
    fn causes_are_told_by_types_and_not_by_words() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        assert_eq!(cause_of(&refused), Some(Cause::NothingListens));
        let words =
            std::io::Error::other("Connection refused, says the certificate of a dns error");
        assert_eq!(cause_of(&words), None);
        let hidden = std::io::Error::other(std::io::Error::other(
            rustls::Error::InvalidCertificate(rustls::CertificateError::Expired),
        ));
        assert_eq!(cause_of(&hidden), Some(Cause::Certificate));
    }
}
