//! The metrics in the text format of OpenMetrics, which Prometheus reads. `METRICS.md` describes each.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::UNIX_EPOCH;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::histogram::Histogram;
#[cfg(target_os = "linux")]
use super::process::ProcessCollector;
use super::{METHODS, Metrics, STATUSES, VERSIONS};
use crate::context::ServerContext;
use crate::limit::Limit;
use crate::readiness::Readiness;
use crate::record::Outcome;

/// The content type of the text.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Returns the metrics of a server and of its application.
pub(crate) fn write(server: &Arc<ServerContext>) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    let of_server = ServerCollector(server.clone());
    (registry.sub_registry_with_prefix("callgate")).register_collector(Box::new(of_server));
    #[cfg(target_os = "linux")]
    (registry.sub_registry_with_prefix("process")).register_collector(Box::new(ProcessCollector));
    let mut text = String::new();
    server.readiness.monitoring().write_metrics(&mut text)?;
    encode_registry(&mut text, &registry)?;
    encode_eof(&mut text)?;
    Ok(text)
}

#[derive(Debug)]
struct ServerCollector(Arc<ServerContext>);

impl Collector for ServerCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let server = &self.0;
        let mut families = Families(&mut encoder);
        if let Some(metrics) = &server.metrics {
            exchanges(&mut families, metrics)?;
        }
        connections(&mut families, server)?;
        failures(&mut families, server)?;
        certificates(&mut families, server)?;
        life(&mut families, server)
    }
}

fn exchanges(families: &mut Families<'_, '_>, metrics: &Metrics) -> fmt::Result {
    let mut requests = families.labelled(
        "http_requests",
        "Exchanges that have ended, those of rejected requests and WebSocket handshakes included",
        None,
        MetricType::Counter,
    )?;
    for (method, statuses) in METHODS.iter().zip(&metrics.requests) {
        for (status, versions) in STATUSES.iter().zip(statuses) {
            for (version, count) in VERSIONS.iter().zip(versions) {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    let labels = [
                        ("method", *method),
                        ("status", *status),
                        ("version", *version),
                    ];
                    counter(&mut requests.encode_family(&labels)?, count)?;
                }
            }
        }
    }
    let mut ended = families.labelled(
        "http_exchanges_ended",
        "Exchanges that have ended, by how",
        None,
        MetricType::Counter,
    )?;
    for (outcome, count) in Outcome::ALL.iter().zip(&metrics.ended) {
        let labels = [("outcome", outcome.name())];
        counter(
            &mut ended.encode_family(&labels)?,
            count.load(Ordering::Relaxed),
        )?;
    }
    families.gauge(
        "http_exchanges_in_flight",
        "Exchanges in flight, open WebSockets included",
        metrics.in_flight.load(Ordering::Relaxed),
    )?;
    families.histogram(
        "http_exchange_duration",
        "Time from the head of a request to the last octet of its response, without WebSockets",
        &metrics.duration,
    )?;
    families.histogram(
        "http_response_delay",
        "Time from the head of a request to the beginning of its response",
        &metrics.until_response,
    )?;
    let octets = [
        ("received", &metrics.octets_in),
        ("sent", &metrics.octets_out),
    ];
    let mut content = families.labelled(
        "content",
        "Content of ended exchanges; of WebSockets, their messages",
        Some(&Unit::Bytes),
        MetricType::Counter,
    )?;
    for (direction, count) in octets {
        let labels = [("direction", direction)];
        counter(
            &mut content.encode_family(&labels)?,
            count.load(Ordering::Relaxed),
        )?;
    }
    families.gauge(
        "websockets_open",
        "WebSockets that are open",
        metrics.websockets.load(Ordering::Relaxed),
    )?;
    let mut messages = families.labelled(
        "websocket_messages",
        "Messages of WebSockets that have ended",
        None,
        MetricType::Counter,
    )?;
    for (direction, count) in [
        ("received", &metrics.messages_in),
        ("sent", &metrics.messages_out),
    ] {
        let labels = [("direction", direction)];
        counter(
            &mut messages.encode_family(&labels)?,
            count.load(Ordering::Relaxed),
        )?;
    }
    Ok(())
}

fn connections(families: &mut Families<'_, '_>, server: &ServerContext) -> fmt::Result {
    families.counter(
        "connections_accepted",
        "Connections that have been accepted",
        server.registry.accepted(),
    )?;
    families
        .labelled(
            "buffered",
            "What the connections buffer, each beyond its first 16 KiB",
            Some(&Unit::Bytes),
            MetricType::Gauge,
        )?
        .encode_gauge(&(server.registry.budget.counted() as u64))?;
    let mut connections = families.labelled(
        "connections",
        "Connections that are open, by state",
        None,
        MetricType::Gauge,
    )?;
    for (state, count) in server.registry.count_by_state() {
        let labels = [("state", state.name())];
        connections
            .encode_family(&labels)?
            .encode_gauge(&(count as u64))?;
    }
    Ok(())
}

fn failures(families: &mut Families<'_, '_>, server: &ServerContext) -> fmt::Result {
    let mut limits = families.labelled(
        "limit_reached",
        "How often each limit has been reached",
        None,
        MetricType::Counter,
    )?;
    for limit in Limit::ALL {
        let labels = [("limit", limit.name())];
        counter(
            &mut limits.encode_family(&labels)?,
            server.limits.count(limit),
        )?;
    }
    families.gauge(
        "abandoned_calls",
        "Calls of the application that go on although their client is gone",
        server.abandoned_calls() as u64,
    )?;
    families.counter(
        "log_lines_lost",
        "Lines of the logs that had no room in their queue, of all servers of the process",
        crate::line_writer::lost_lines(),
    )?;
    families.counter(
        "log_lines_left_out",
        "Lines that clients caused and that were left out because there were many, of all servers of the process",
        crate::report::left_out_lines(),
    )?;
    let mut violations = families.labelled(
        "rule_violations",
        "Rules that applications have broken, of all servers of the process",
        None,
        MetricType::Counter,
    )?;
    for (rule, count) in callgate_drive::violations() {
        counter(&mut violations.encode_family(&[("rule", rule)])?, count)?;
    }
    Ok(())
}

#[cfg(feature = "tls")]
fn certificates(families: &mut Families<'_, '_>, server: &ServerContext) -> fmt::Result {
    let Some(acceptor) = &server.tls else {
        return Ok(());
    };
    let mut expiries = families.labelled(
        "certificate_not_after_timestamp",
        "When each certificate in use expires, since 1970-01-01",
        Some(&Unit::Seconds),
        MetricType::Gauge,
    )?;
    for (number, (name, not_after)) in (1..).zip(acceptor.expiries()) {
        let labels = [("certificate", number.to_string()), ("name", name)];
        expiries
            .encode_family(&labels)?
            .encode_gauge(&not_after.as_secs_f64())?;
    }
    let mut reloads = families.labelled(
        "certificate_reloads",
        "Reloads of the certificates",
        None,
        MetricType::Counter,
    )?;
    for (result, count) in acceptor.reloads() {
        counter(&mut reloads.encode_family(&[("result", result)])?, count)?;
    }
    Ok(())
}

#[cfg(not(feature = "tls"))]
fn certificates(_: &mut Families<'_, '_>, _: &ServerContext) -> fmt::Result {
    Ok(())
}

/// Encodes the metrics of the life of the server.
fn life(families: &mut Families<'_, '_>, server: &ServerContext) -> fmt::Result {
    let mut state = families.labelled(
        "server_state",
        "1 for the state that the server is in",
        None,
        MetricType::Gauge,
    )?;
    for readiness in Readiness::ALL {
        let labels = [("state", readiness.name())];
        let is_now = u64::from(server.readiness.get() == readiness);
        state.encode_family(&labels)?.encode_gauge(&is_now)?;
    }
    families.counter(
        "shutdown_requests",
        "Requests to shut down: the first begins the shutdown, and the second ends the server",
        server.handle.shutdown_requests().into(),
    )?;
    if let Some(succession) = &server.succession {
        let mut upgrades = families.labelled(
            "upgrades",
            "Replacements of the process by another, since the first process of the server",
            None,
            MetricType::Counter,
        )?;
        for (outcome, count) in succession.upgrades() {
            counter(&mut upgrades.encode_family(&[("outcome", outcome)])?, count)?;
        }
    }
    if let Some(metrics) = &server.metrics {
        let start = metrics.start.duration_since(UNIX_EPOCH).unwrap_or_default();
        families
            .labelled(
                "start_time",
                "When the server was created, since 1970-01-01",
                Some(&Unit::Seconds),
                MetricType::Gauge,
            )?
            .encode_gauge(&start.as_secs_f64())?;
    }
    families
        .labelled("build", "The version of the server", None, MetricType::Info)?
        .encode_info(&[("version", env!("CARGO_PKG_VERSION"))])
}

/// Encodes metric families.
struct Families<'a, 'b>(&'a mut DescriptorEncoder<'b>);

impl Families<'_, '_> {
    /// Begins a family, whose values have labels.
    fn labelled<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
        unit: Option<&'s Unit>,
        kind: MetricType,
    ) -> Result<MetricEncoder<'s>, fmt::Error> {
        // The full stop is that of the registry for metrics that it holds itself.
        self.0
            .encode_descriptor(name, &format!("{help}."), unit, kind)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        counter(
            &mut self.labelled(name, help, None, MetricType::Counter)?,
            value,
        )
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.labelled(name, help, None, MetricType::Gauge)?
            .encode_gauge(&value)
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) -> fmt::Result {
        let values = histogram.snapshot();
        self.labelled(name, help, Some(&Unit::Seconds), MetricType::Histogram)?
            .encode_histogram::<NoLabelSet>(values.sum, values.count, &values.buckets, None)
    }
}

fn counter(encoder: &mut MetricEncoder<'_>, value: u64) -> fmt::Result {
    encoder.encode_counter::<NoLabelSet, u64, u64>(&value, None)
}

// All metrics are there on Linux only, and with all features.
#[cfg(all(test, target_os = "linux", feature = "cli"))]
mod tests {
    use callgate::BoxApp;

    use super::*;
    use crate::Config;
    use crate::retirement::Retirement;
    use crate::succession::Succession;
    use crate::test_app::never;
    use crate::tls::Acceptor;

    #[test]
    fn the_document_describes_each_metric() {
        let config = Config::new()
            .admin(Some(crate::BindAddress::Unix("/a".into())))
            .ssl_self_signed(true);
        let acceptor = Acceptor::load(&config).unwrap();
        let succession = Succession::new(Retirement::new(&config.process), Vec::new());
        let context = ServerContext::new(BoxApp::new(never), config)
            .tls(acceptor.map(Arc::new))
            .succession(&Arc::new(succession));
        let text = write(&Arc::new(context)).unwrap();
        let document = include_str!("../../METRICS.md");
        let mut described = 0;
        for help in text.lines().filter_map(|line| line.strip_prefix("# HELP ")) {
            let (name, help) = help.split_once(' ').unwrap();
            let kind = format!("# TYPE {name} ");
            let kind = text
                .lines()
                .find_map(|line| line.strip_prefix(&kind))
                .unwrap();
            let suffix = match kind {
                "counter" => "_total",
                "info" => "_info",
                _ => "",
            };
            let row = format!("| `{name}{suffix}` | {kind} |");
            let row = document.lines().find(|line| line.starts_with(&row));
            let row = row.unwrap_or_else(|| panic!("METRICS.md lacks {name}{suffix}, a {kind}"));
            assert!(row.ends_with(&format!("| {help} |")), "{row} {help}");
            described += 1;
        }
        let rows =
            document.matches("| `callgate_").count() + document.matches("| `process_").count();
        assert_eq!(rows, described);
        let values = (Limit::ALL.iter().map(|it| it.name()))
            .chain(Outcome::ALL.iter().map(|it| it.name()))
            .chain(METHODS);
        for value in values {
            assert!(
                document.contains(&format!("`{value}`")) || value == "other",
                "{value}"
            );
        }
    }
}
