//! Tells who counts what really leaves and arrives: the SDK sends a read again by itself, and says
//! nothing of it.
//!
//! It looks at every message of both clients, and adds nothing but the header that hands a trace on. Who listens: `telemetry/exchange.rs`.

use aws_sdk_s3::config::interceptors::{
    BeforeTransmitInterceptorContextMut, BeforeTransmitInterceptorContextRef,
    FinalizerInterceptorContextRef,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;

use super::answer::REQUEST_ID;
use super::failure::chain;
use crate::telemetry::exchange;

/// How AWS services are told of the trace that a request belongs to (AWS X-Ray developer guide).
const TRACE_HEADER: &str = "x-amzn-trace-id";

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
        if let Some(answer) = context.response() {
            let request_id = answer.headers().get(REQUEST_ID);
            exchange::answered(answer.status().as_u16(), request_id);
        } else if let Some(Err(error)) = context.output_or_error()
            && let Some(error) = error.as_connector_error()
        {
            exchange::stranded(chain(error));
        }
        Ok(())
    }
}
