//! Tells who counts what really leaves and arrives: the SDK sends a read again by itself, and says
//! nothing of it.
//!
//! It looks at every message of both clients and changes none. Who listens: `telemetry/exchange.rs`.

use aws_sdk_s3::config::interceptors::{
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;

use super::failure::REQUEST_ID;
use crate::telemetry::exchange;

/// Looks at messages.
#[derive(Debug)]
pub(super) struct Wire;

impl Intercept for Wire {
    fn name(&self) -> &'static str {
        "wire"
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
        }
        Ok(())
    }
}
