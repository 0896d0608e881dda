//! What a span is called in a trace: its operation, or its request, of which `tracing` makes fields,
//! since the names of its spans are constants; and whether it went well.
//!
//! It passes spans on and changes nothing else. The fields are listed in `docs/operations.md`.

use std::time::Duration;

use opentelemetry::Value;
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

/// Passes on spans under their names.
#[derive(Debug)]
pub(super) struct NamingExporter<E>(pub(super) E);

impl<E: SpanExporter> SpanExporter for NamingExporter<E> {
    fn export(&self, mut batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        for span in &mut batch {
            name(span);
        }
        self.0.export(batch)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}

fn name(span: &mut SpanData) {
    let text = |name: &str| {
        let found = span.attributes.iter().find(|it| it.key.as_str() == name)?;
        match &found.value {
            Value::String(text) => Some(text.as_str().to_owned()),
            _ => None,
        }
    };
    let went_wrong = match (text("request"), text("op")) {
        (Some(request), _) => {
            span.span_kind = SpanKind::Client;
            let failure = text("why");
            span.name = request.to_ascii_uppercase().into();
            failure
        }
        (None, Some(op)) => {
            span.span_kind = SpanKind::Server;
            let errno = text("errno").filter(|errno| errno != "OK");
            span.name = op.into();
            errno
        }
        (None, None) => return,
    };
    if let Some(why) = went_wrong {
        span.status = Status::error(why);
    }
}
