//! Traces by OTLP (feature `otlp`), where a variable of the OpenTelemetry specification names a collector.
//!
//! A trace has the id that the caller learns and `doorward explain` takes. Easy to get wrong: the server reads that id from
//! `traceparent`, so a request without one gets it here, with the id that its span has.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::Request,
    middleware::{self, Next},
    response::Response,
};
use doorward_core::{clock::Clock, random::Rng};
use doorward_guard::{SystemClock, SystemRng};
use doorward_server::spans::{self, SpanName};
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    SpanId, TraceId,
    propagation::{Extractor, Injector, TextMapPropagator},
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

use crate::{failure::Failure, logging::names_collector};

/// How long the process, before it exits, waits for the last spans to be sent.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// Sends spans until it is dropped, and what waits then.
pub(crate) struct Traces(SdkTracerProvider);

impl Traces {
    /// Begins to send spans if a collector is named.
    pub(crate) fn begin() -> Result<Option<Self>, Failure> {
        if !names_collector() {
            return Ok(None);
        }
        // The exporter reads its endpoint, headers, timeout and the rest from the environment by itself.
        let exporter = SpanExporter::builder().with_http().build();
        let exporter = exporter.map_err(|error| Failure::Usage(format!("the exporter of traces: {error}")))?;
        let name = std::env::var("OTEL_SERVICE_NAME").unwrap_or_else(|_| "doorward".to_owned());
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_id_generator(Ids::default())
            .with_resource(Resource::builder().with_service_name(name).build())
            .build();
        Ok(Some(Self(provider)))
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

/// The router with a span around each request.
pub(crate) fn traced(router: Router) -> Router {
    router.layer(middleware::from_fn(trace))
}

async fn trace(mut request: Request, next: Next) -> Response {
    let span = spans::request();
    if !span.is_disabled() {
        let propagator = TraceContextPropagator::new();
        let headers = request.headers_mut();
        // Fails only where the span has begun.
        let _ = span.set_parent(propagator.extract(&Headers(headers)));
        propagator.inject_context(&span.context(), &mut Headers(headers));
    }
    let response = next.run(request).instrument(span.clone()).await;
    if let Some(SpanName(name)) = response.extensions().get() {
        span.context().span().update_name(name.clone());
    }
    response
}

/// Reads and writes the trace context (W3C Trace Context, section 3).
struct Headers<'a>(&'a mut HeaderMap);

impl Extractor for Headers<'_> {
    /// A header that is given twice counts as absent, as the server sees it.
    fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.0.get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

impl Injector for Headers<'_> {
    fn set(&mut self, name: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
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
