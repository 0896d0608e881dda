//! Reports what really leaves and arrives, for those that count: the SDK repeats reads by itself, and does not say
//! so.
//!
//! It looks at every message of both clients, and adds nothing but the header that hands a trace on. It reports to
//! `telemetry/exchange.rs`.

use std::cell::RefCell;

use aws_sdk_s3::config::interceptors::{
    BeforeTransmitInterceptorContextMut, BeforeTransmitInterceptorContextRef,
    FinalizerInterceptorContextRef,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;

use super::answer::REQUEST_ID;
use super::causes::{cause_of, chain};
use crate::backend::Cause;
use crate::telemetry::exchange;

/// The header that names the trace of a request to AWS services (AWS X-Ray developer guide).
const TRACE_HEADER: &str = "x-amzn-trace-id";

/// What became of the last message of an operation.
#[derive(Clone, Debug)]
pub(super) enum Last {
    /// It got nowhere, because of this.
    Stranded(Cause),
    /// It was answered, and the answer could not be read.
    Unreadable,
}

tokio::task_local! {
    static LAST: RefCell<Option<Last>>;
}

fn note(last: Option<Last>) {
    // Nobody asks what became of the messages of the tests.
    let _ = LAST.try_with(|noted| *noted.borrow_mut() = last);
}

/// Carries an operation out, and tells what became of its last message, where that says more than its result.
pub(super) async fn watched<T>(operation: impl Future<Output = T>) -> (T, Option<Last>) {
    let noting = async {
        let done = operation.await;
        (done, LAST.with(|noted| noted.borrow().clone()))
    };
    LAST.scope(RefCell::new(None), noting).await
}

/// Looks at messages.
#[derive(Debug)]
pub(super) struct Wire;

impl Intercept for Wire {
    fn name(&self) -> &'static str {
        "wire"
    }

    /// After signing: this header is one that proxies may change, so it is never signed (the SDK's own
    /// signer leaves it out too).
    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(header) = exchange::trace_header() {
            context
                .request_mut()
                .headers_mut()
                .try_insert(TRACE_HEADER, header)?;
        }
        Ok(())
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        exchange::sent();
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let failure = context.output_or_error().and_then(|answer| answer.err());
        if let Some(answer) = context.response() {
            let request_id = answer.headers().get(REQUEST_ID);
            exchange::answered(answer.status().as_u16(), request_id);
            // A success that could not be read.
            let damage = failure.filter(|_| answer.status().is_success());
            note(damage.map(|_| Last::Unreadable));
        } else if let Some(error) = failure.and_then(|error| error.as_connector_error()) {
            exchange::stranded(chain(error));
            note(cause_of(error).map(Last::Stranded));
        }
        Ok(())
    }
}
