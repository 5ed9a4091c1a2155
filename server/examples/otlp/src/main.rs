//! Exports the span of each exchange by OTLP, as a child of the span of the proxy in front of the server.
//!
//! `OTEL_EXPORTER_OTLP_ENDPOINT` is the address of the collector, `http://localhost:4318` by default.

use std::process::ExitCode;

use callgate::{AppError, HttpResponseBody, HttpResponseStart, Receiver, Scope, Sender};
use callgate_server::trace::{TraceContext, on_remote_parent};
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState, TracerProvider as _,
};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::level_filters::LevelFilter;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

async fn hello(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    scope.into_http()?;
    // A line of the application belongs to the span of its exchange.
    tracing::info!("saying hello");
    sender
        .send(HttpResponseStart::ok().header("content-type", "text/plain"))
        .await?;
    sender
        .send(HttpResponseBody::last("Hello, world!\n"))
        .await?;
    Ok(())
}

/// Makes the span of an exchange a child of the span that has caused its request.
fn set_parent(span: &tracing::Span, context: &TraceContext) {
    let parent = SpanContext::new(
        TraceId::from(context.trace_id()),
        SpanId::from(context.parent_id()),
        TraceFlags::new(context.flags()),
        true,
        context.state().parse::<TraceState>().unwrap_or_default(),
    );
    let parent = opentelemetry::Context::new().with_remote_span_context(parent);
    if let Err(error) = span.set_parent(parent) {
        tracing::debug!("the span has no parent: {error}");
    }
}

fn main() -> ExitCode {
    let exporter = match SpanExporter::builder().with_http().build() {
        Ok(exporter) => exporter,
        Err(error) => {
            eprintln!("error: the exporter of OTLP cannot be set up: {error}");
            return ExitCode::FAILURE;
        }
    };
    let provider = SdkTracerProvider::builder()
        .with_resource(Resource::builder().with_service_name("hello").build())
        .with_batch_exporter(exporter)
        .build();
    let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("hello"));
    // The log of the program, which the command line keeps.
    tracing_subscriber::registry()
        .with(LevelFilter::INFO)
        .with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr))
        .with(spans.boxed())
        .init();
    on_remote_parent(set_parent);
    let status = callgate_server::cli::main(hello);
    // The last spans are sent.
    if let Err(error) = provider.shutdown() {
        eprintln!("error: the last spans are lost: {error}");
    }
    status
}
