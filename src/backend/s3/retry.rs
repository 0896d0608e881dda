//! Which failed reads are worth another try, where the SDK thinks otherwise.
//!
//! A server whose certificate is not trusted, or that speaks no TLS, will not be another one in a
//! second: who waits for it should hear that at once, not that time was up. Nor will one whose answers do
//! not end; whether a listing that broke off is asked for again is `list.rs`'s. Everything else is the SDK's to judge.
//! `connect.rs` puts it into the client that retries.

use std::error::Error as StdError;

use aws_sdk_s3::config::retry::{ClassifyRetry, RetryAction};
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::RetryClassifierPriority;

use super::answer::HtmlPage;
use super::bounds::Unfit;
use super::causes::{cause, causes};

/// Says no where TLS said no, to pages, and to answers that were read and are none.
#[derive(Debug)]
pub(super) struct Worth;

impl ClassifyRetry for Worth {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let Some(Err(failure)) = context.output_or_error() else {
            return RetryAction::NoActionIndicated;
        };
        if cause::<Unfit>(failure).is_some() || cause::<HtmlPage>(failure).is_some() {
            return RetryAction::RetryForbidden;
        }
        match failure.as_connector_error() {
            Some(error) if is_of_tls(error) => RetryAction::RetryForbidden,
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "worth"
    }

    fn priority(&self) -> RetryClassifierPriority {
        // The last word.
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}

/// Whether TLS itself refused.
fn is_of_tls(error: &(dyn StdError + 'static)) -> bool {
    causes(error).any(|error| error.is::<rustls::Error>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_tls_is_found_inside_of_an_io_error() {
        let refusal = rustls::Error::General("no".into());
        let hidden = std::io::Error::other(std::io::Error::other(refusal));
        assert!(is_of_tls(&hidden));
        assert!(!is_of_tls(&std::io::Error::other("reset")));
    }
}
