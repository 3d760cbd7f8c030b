//! One span for each call, sent to a collector by OTLP. Nobody is sent any unless the configuration names a collector.
//!
//! A span says no more than the metrics do: which RPC, when, and how it ended. The caller's own trace is a link and never
//! the parent: callers would otherwise choose what is recorded here, and under which id.

use http::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{
    Link, Span as _, SpanContext, SpanKind, TraceContextExt, TraceState, Tracer, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span};
use tokio::task::spawn_blocking;

const TRACEPARENT: &str = "traceparent";

/// Where spans are sent, if anywhere.
#[derive(Debug, Default)]
pub struct Traces(Option<Sent>);

#[derive(Debug)]
struct Sent {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Traces {
    /// Spans go to the collector at this URL, in batches, as those of the node with this ledger's origin. Those that it
    /// does not take are dropped, and no call waits for it. Needs a tokio runtime.
    ///
    /// What else there is to say is the environment's, as for other programs: `OTEL_TRACES_SAMPLER`,
    /// `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_BSP_SCHEDULE_DELAY` and so on.
    pub fn to(endpoint: &str, origin: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint).build()?;
        let resource = Resource::builder()
            .with_service_name("concordat")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attribute(KeyValue::new("service.instance.id", origin.to_owned()));
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build();
        Ok(Self(Some(Sent { tracer: provider.tracer("concordat"), provider })))
    }

    /// The span of a call that begins now; it ends when it is dropped.
    pub(super) fn begin(&self, service: &'static str, method: &'static str, headers: &HeaderMap) -> Option<Span> {
        let Sent { tracer, .. } = self.0.as_ref()?;
        let of_rpc = [
            KeyValue::new("rpc.system", "grpc"),
            KeyValue::new("rpc.service", service),
            KeyValue::new("rpc.method", method),
        ];
        let named = tracer.span_builder(format!("{service}/{method}")).with_kind(SpanKind::Server);
        let span = named.with_attributes(of_rpc).with_links(callers(headers).into_iter().collect());
        Some(span.start_with_context(tracer, &Context::new()))
    }

    /// Sends what is still waiting to be sent; a collector that is away is waited for for seconds at most.
    pub async fn end(&self) {
        let Some(Sent { provider, .. }) = &self.0 else { return };
        let provider = provider.clone();
        match spawn_blocking(move || provider.shutdown()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last traces could not be sent"),
            Err(error) => tracing::warn!(%error, "the last traces could not be sent"),
        }
    }
}

/// Notes in a span how its call ended.
pub(super) fn note(span: &mut Span, code: usize) {
    span.set_attribute(KeyValue::new("rpc.grpc.status_code", i64::try_from(code).unwrap_or_default()));
}

/// The one header that is read: what else a caller says of its trace is free text.
struct Parent<'a>(&'a HeaderMap);

impl Extractor for Parent<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).filter(|_| key == TRACEPARENT)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

/// The caller's span, if it names one.
fn callers(headers: &HeaderMap) -> Option<Link> {
    let extracted = TraceContextPropagator::new().extract_with_context(&Context::new(), &Parent(headers));
    let named = extracted.span().span_context().clone();
    let (trace, span, flags) = (named.trace_id(), named.span_id(), named.trace_flags());
    named.is_valid().then(|| Link::with_context(SpanContext::new(trace, span, flags, true, TraceState::default())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_trace_is_its_two_ids_and_nothing_else() {
        let said = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(TRACEPARENT, text.parse().unwrap());
            headers.insert("tracestate", "ico=secret".parse().unwrap());
            callers(&headers).map(|link| link.span_context)
        };
        let named = said("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap();
        assert_eq!(named.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(named.span_id().to_string(), "b7ad6b7169203331");
        assert_eq!(named.trace_state().header(), "");
        for none in
            ["", "00-0af7651916cd43dd8448eb211c80319c", "00-00000000000000000000000000000000-b7ad6b7169203331-01"]
        {
            assert!(said(none).is_none(), "{none}");
        }
    }
}
