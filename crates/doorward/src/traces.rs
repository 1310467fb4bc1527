//! Traces by OTLP (feature `otlp`), where a variable of the OpenTelemetry specification names a collector.
//!
//! A trace has the id that the caller learns and `doorward explain` takes. Easy to get wrong: a request without `traceparent`
//! gets its id here, where its span begins, and the server takes it from there.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::Request,
    middleware::{self, Next},
    response::Response,
};
use doorward_core::{clock::Clock, random::Rng};
use doorward_guard::{SystemClock, SystemRng};
use doorward_server::spans::{self, SpanName, SpanTrace};
use http::HeaderMap;
use opentelemetry::{
    Key, SpanId, TraceId,
    propagation::{Extractor, TextMapPropagator},
    trace::{TraceContextExt, TracerProvider},
};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{IdGenerator, SdkTracerProvider},
};
use tracing::{Instrument, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

use crate::collector;

/// How long the process, before it exits, waits for the last spans to be sent.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// Sends spans until it is dropped, and what waits then.
pub(crate) struct Traces(SdkTracerProvider);

impl Traces {
    /// Begins to send spans if a collector is named.
    pub(crate) fn begin() -> Option<Self> {
        if !collector::is_named() {
            return None;
        }
        // The exporter reads its endpoint, headers, timeout and the rest from the environment by itself.
        let exporter = match SpanExporter::builder().with_http().build() {
            Ok(exporter) => exporter,
            Err(error) => {
                // A typing error in the variables of traces must not keep a server from authenticating. No log has begun.
                eprintln!("doorward: no traces are sent: {error}");
                return None;
            }
        };
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_id_generator(Ids::default())
            .with_resource(resource())
            .build();
        Some(Self(provider))
    }

    /// What collects the spans.
    pub(crate) fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> impl Layer<S> {
        let tracer = self.0.tracer("doorward");
        let only_spans = Targets::new().with_target(spans::TARGET, tracing::Level::INFO);
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_filter(only_spans)
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        // A collector that is away must not keep the process from its end.
        let _ = self.0.shutdown_with_timeout(LAST_SPANS);
    }
}

/// What the variables say about this program, and its name if they give none.
fn resource() -> Resource {
    let named = Resource::builder().build();
    let name = named.get(&Key::from_static_str("service.name")).map(|name| name.to_string());
    match name.filter(|name| !name.is_empty() && !name.starts_with("unknown_service")) {
        Some(_) => named,
        None => Resource::builder().with_service_name("doorward").build(),
    }
}

/// The router with a span around each request.
pub(crate) fn traced(router: Router) -> Router {
    router.layer(middleware::from_fn(trace))
}

async fn trace(mut request: Request, next: Next) -> Response {
    // Probes would be most of the traces.
    if request.uri().path().starts_with("/health") {
        return next.run(request).await;
    }
    let span = spans::request();
    if !span.is_disabled() {
        // Fails only where the span has begun.
        let _ = span.set_parent(TraceContextPropagator::new().extract(&Parent(request.headers())));
        let trace_id = span.context().span().span_context().trace_id().to_string();
        request.extensions_mut().insert(SpanTrace(trace_id));
    }
    let response = next.run(request).instrument(span.clone()).await;
    if let Some(SpanName(name)) = response.extensions().get() {
        span.context().span().update_name(name.clone());
    }
    response
}

/// The caller's `traceparent` (W3C Trace Context, section 3.2). Not its `tracestate`: each span would repeat it, and a caller
/// could write anything there.
struct Parent<'a>(&'a HeaderMap);

impl Extractor for Parent<'_> {
    /// A header that is given twice counts as absent, as the server sees it.
    fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.0.get_all(name).iter().filter(|_| name == "traceparent");
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent"]
    }
}

/// Trace ids of the server's own form, which the audit is indexed by.
#[derive(Default)]
struct Ids(Arc<SystemRng>);

impl std::fmt::Debug for Ids {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ids")
    }
}

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        let id = doorward_core::trace::TraceId::new(SystemClock.now(), &*self.0);
        TraceId::from_hex(&id.to_string()).unwrap_or(TraceId::INVALID)
    }

    fn new_span_id(&self) -> SpanId {
        let mut bytes = [0; 8];
        self.0.fill_public(&mut bytes);
        SpanId::from_bytes(bytes)
    }
}
