//! The collector that the variables of the OpenTelemetry specification name for traces.

/// Logs what the operator asked of traces and does not get.
pub(crate) fn warn() {
    if !is_named() {
        return;
    }
    if !cfg!(feature = "otlp") {
        tracing::warn!("no traces are sent: this program was built without the Cargo feature `otlp`");
    }
    for name in ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"] {
        if let Ok(protocol) = std::env::var(name)
            && !matches!(&*protocol, "" | "http/protobuf")
        {
            tracing::warn!(name, protocol, "traces are sent by http/protobuf, the only protocol that this program has");
        }
    }
}

/// Whether the variables of the OpenTelemetry specification name a collector for traces, and none turns them off.
pub(crate) fn is_named() -> bool {
    let is = |name, word: &str| std::env::var(name).is_ok_and(|value| value.eq_ignore_ascii_case(word));
    let is_off = is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none");
    let is_named = |name: &str| std::env::var_os(name).is_some_and(|endpoint| !endpoint.is_empty());
    !is_off && ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"].into_iter().any(is_named)
}
