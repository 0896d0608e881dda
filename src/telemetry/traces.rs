//! Traces: each operation of the kernel a span, each of its requests to the store a span in it, sent to
//! a collector by OTLP (OpenTelemetry protocol, HTTP with protobuf).
//!
//! The spans are those of `tracing`, made in `mount/op.rs` and `backend/metered.rs`; nothing is counted or decided
//! here. For AWS X-Ray the ids of traces begin with the time, and callers get the header that hands a trace on.
//! `named.rs` says what spans are called, `post.rs` sends them.

mod named;
mod post;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{SpanId, TraceContextExt, TraceId, TracerProvider};
use opentelemetry::{KeyValue, trace::SpanContext};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SdkTracerProvider};
use rustls::RootCertStore;
use tokio::runtime::Handle;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

use named::NamingExporter;
use post::Post;

/// What a collector calls these spans.
const SERVICE: &str = "etagfs";

/// Where collectors take traces (OTLP specification, OTLP/HTTP request).
const PATH: &str = "/v1/traces";

/// How long the last spans may take at the end.
const LAST: Duration = Duration::from_secs(3);

/// What is wanted.
#[derive(Clone, Debug)]
pub struct TraceOptions {
    /// The URL of a collector. Without one spans have ids, and nobody gets them.
    pub collector: Option<String>,
    /// The authorities to trust for the collector, if its URL is https.
    pub roots: RootCertStore,
    /// Ids as AWS X-Ray wants them.
    pub x_ray: bool,
    /// What is mounted.
    pub source: String,
}

/// The way of the spans; at its end the last ones are sent.
#[derive(Debug)]
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Opens the way, and makes the layer that takes spans there. `runtime` carries the requests.
    ///
    /// # Errors
    /// A message when the URL is none.
    pub fn start<S>(
        wanted: &TraceOptions,
        runtime: Handle,
    ) -> Result<(Self, impl Layer<S> + Send + Sync + use<S>), String>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let resource = Resource::builder()
            .with_service_name(SERVICE)
            .with_attributes([
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("etagfs.source", wanted.source.clone()),
            ])
            .build();
        let mut provider = SdkTracerProvider::builder().with_resource(resource);
        if let Some(url) = &wanted.collector {
            let post =
                Post::new(runtime, wanted.roots.clone()).map_err(|error| error.to_string())?;
            let exporter = SpanExporter::builder()
                .with_http()
                .with_http_client(post)
                .with_endpoint(endpoint(url)?)
                .with_protocol(Protocol::HttpBinary)
                .build()
                .map_err(|error| format!("{url}: {error}"))?;
            provider = provider.with_batch_exporter(NamingExporter(exporter));
        }
        if wanted.x_ray {
            provider = provider.with_id_generator(XRayIds::default());
        }
        let provider = provider.build();
        let layer = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer(SERVICE))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_target(false)
            .with_filter(Targets::new().with_target("etagfs", LevelFilter::DEBUG));
        Ok((Self(provider), layer))
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        // A collector that is gone keeps nobody from ending.
        let _ = self.0.shutdown_with_timeout(LAST);
    }
}

/// Where a collector takes traces: a URL without a path means the path of the specification.
fn endpoint(url: &str) -> Result<String, String> {
    let wrong = || format!("{url} is no URL of a collector: give http://HOST:4318");
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| url.strip_prefix(scheme));
    let rest = rest.filter(|rest| !rest.is_empty()).ok_or_else(wrong)?;
    Ok(match rest.trim_end_matches('/').contains('/') {
        true => url.to_owned(),
        false => format!("{}{PATH}", url.trim_end_matches('/')),
    })
}

/// The header that hands a trace on to AWS: `X-Amzn-Trace-Id`. None outside of any trace.
///
/// Its form is that of the AWS X-Ray developer guide, "Tracing header".
pub fn amazon_header(span: &Span) -> Option<String> {
    let context = span.context();
    let span = context.span();
    let span: &SpanContext = span.span_context();
    if !span.is_valid() {
        return None;
    }
    let trace = span.trace_id().to_string();
    let (time, random) = trace.split_at_checked(8)?;
    let sampled = u8::from(span.is_sampled());
    let parent = span.span_id();
    Some(format!(
        "Root=1-{time}-{random};Parent={parent};Sampled={sampled}"
    ))
}

/// Ids whose first 32 bits are the second in which the trace began, since X-Ray refuses others.
#[derive(Debug, Default)]
struct XRayIds(RandomIdGenerator);

impl IdGenerator for XRayIds {
    fn new_trace_id(&self) -> TraceId {
        let random = u128::from_be_bytes(self.0.new_trace_id().to_bytes());
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let seconds = u128::from(now.unwrap_or_default().as_secs()) & u128::from(u32::MAX);
        TraceId::from_bytes((seconds << 96 | (random & (u128::MAX >> 32))).to_be_bytes())
    }

    fn new_span_id(&self) -> SpanId {
        self.0.new_span_id()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_a_url_and_its_path_need_not_be_said() {
        for (url, expected) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("https://c.example/", "https://c.example/v1/traces"),
            ("https://c.example/otlp/x", "https://c.example/otlp/x"),
        ] {
            assert_eq!(endpoint(url).as_deref(), Ok(expected));
        }
        for url in ["", "127.0.0.1:4318", "http://", "grpc://c"] {
            assert!(endpoint(url).is_err(), "{url}");
        }
    }

    #[test]
    fn ids_for_x_ray_begin_with_the_time() {
        let ids = XRayIds::default();
        let now = || {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .as_secs()
        };
        let before = now();
        let (one, two) = (ids.new_trace_id(), ids.new_trace_id());
        let time = u64::from_str_radix(&one.to_string()[..8], 16).unwrap();
        assert!((before..=now()).contains(&time));
        assert_ne!(one, two);
    }
}
