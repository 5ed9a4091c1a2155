//! The numbers of a layer as metrics for Prometheus.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use crate::ChannelLayer;

/// The [metrics](crate::Metrics) of a layer for a registry of `prometheus-client`, under names that begin with
/// `callgate_channels_`. The [chapter](crate::documents::channels) lists them.
///
/// ```
/// use callgate_channels::{ChannelLayer, MetricsCollector};
/// use prometheus_client::encoding::text::encode;
/// use prometheus_client::registry::Registry;
///
/// # fn main() -> Result<(), std::fmt::Error> {
/// let layer = ChannelLayer::memory();
/// let mut registry = Registry::default();
/// registry.register_collector(Box::new(MetricsCollector::new(&layer)));
///
/// let mut text = String::new();
/// encode(&mut text, &registry)?;
/// assert!(text.contains("callgate_channels_ready 1"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MetricsCollector {
    layer: ChannelLayer,
}

impl MetricsCollector {
    /// Creates the collector of a layer.
    #[must_use]
    pub fn new(layer: &ChannelLayer) -> Self {
        Self {
            layer: layer.clone(),
        }
    }
}

impl Collector for MetricsCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let metrics = self.layer.metrics();
        let counters = [
            (
                "published",
                "Messages that the process has published",
                metrics.published,
            ),
            (
                "publish_errors",
                "Publications of the process that have failed",
                metrics.publish_errors,
            ),
            (
                "delivered",
                "Events that subscriptions of the process have yielded, without gaps",
                metrics.delivered,
            ),
            (
                "missed",
                "Gaps that subscriptions of the process have yielded",
                metrics.missed,
            ),
            (
                "reconnects",
                "How often the layer has connected to its backend again",
                metrics.reconnects,
            ),
        ];
        for (name, help, value) in counters {
            let name = format!("callgate_channels_{name}");
            encoder
                .encode_descriptor(&name, &format!("{help}."), None, MetricType::Counter)?
                .encode_counter::<NoLabelSet, u64, u64>(&value, None)?;
        }
        let gauges = [
            (
                "subscribers",
                "Subscriptions of the process, those of members to their inboxes included",
                metrics.subscribers,
            ),
            (
                "members",
                "Members that have joined through the process",
                metrics.members,
            ),
            (
                "ready",
                "1 while the backend is reached, otherwise 0",
                self.layer.health().is_ready().into(),
            ),
        ];
        for (name, help, value) in gauges {
            let name = format!("callgate_channels_{name}");
            encoder
                .encode_descriptor(&name, &format!("{help}."), None, MetricType::Gauge)?
                .encode_gauge(&(value as u64))?;
        }
        let help = "The age of one of the last 16 events when it was yielded, by the clock of this process.";
        encoder
            .encode_descriptor(
                "callgate_channels_lag",
                help,
                Some(&Unit::Seconds),
                MetricType::Gauge,
            )?
            .encode_gauge(&metrics.lag.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn the_chapter_describes_each_metric() {
        let layer = ChannelLayer::memory();
        let mut registry = Registry::default();
        registry.register_collector(Box::new(MetricsCollector::new(&layer)));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let document = include_str!("../docs/channels.md");
        let helps = text.lines().filter_map(|line| line.strip_prefix("# HELP "));
        let mut described = 0;
        for (name, help) in helps.map(|line| line.split_once(' ').unwrap()) {
            let is_counter = text.contains(&format!("# TYPE {name} counter\n"));
            let (suffix, kind) = if is_counter {
                ("_total", "counter")
            } else {
                ("", "gauge")
            };
            let row = format!("| `{name}{suffix}` | {kind} | {help} |");
            assert!(document.contains(&row), "the chapter lacks {row}");
            described += 1;
        }
        assert_eq!(document.matches("| `callgate_channels_").count(), described);
    }
}
