//! The results as a chart of bars, which is readable on a light and on a dark page.

use std::fmt::Write as _;

use super::{Spread, WorkResult};
use crate::server::Server;
use crate::work::Metric;

const WIDTH: f64 = 960.0;
const TITLES: f64 = 190.0;
const PANEL: f64 = 330.0;
const GAP: f64 = 50.0;
const TOP: f64 = 84.0;
const BAR: f64 = 13.0;
const BETWEEN_WORKS: f64 = 14.0;
/// The ratio at which a bar is cut off.
const LONGEST: f64 = 2.0;

const STYLE: &str = "\
  text { font: 12px system-ui, sans-serif; fill: #24292f; }
  .heading { font-weight: 600; }
  .value { font-size: 10px; }
  .one { stroke: #24292f; stroke-dasharray: 3 3; }
  .spread { stroke: #24292f; }
  .callgate { fill: #d1442f; } .hyper { fill: #4878b0; } .axum { fill: #7d6bb3; }
  .actix { fill: #4f9a94; } .nginx { fill: #5a9a4a; } .tungstenite { fill: #a8812c; }
  .tungstenite-default { fill: #d3b46a; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .one, .spread { stroke: #e6edf3; }
  }
";

/// Returns the chart as SVG: for each work the rate and the CPU time of each server, relative to the
/// work's first peer.
pub(crate) fn draw(works: &[WorkResult]) -> String {
    let bars: usize = works.iter().map(|result| result.servers.len()).sum();
    let height = TOP + bars as f64 * BAR + works.len() as f64 * BETWEEN_WORKS + 10.0;
    let mut chart = Chart(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\">\n<style>\n{STYLE}</style>\n"
    ));
    chart.legend(works);
    for (panel, heading) in PANELS {
        chart.text(panel.left(), 52.0, "heading", heading);
        chart.text(
            panel.left(),
            68.0,
            "value",
            "relative to the first peer of each work",
        );
    }
    let mut y = TOP;
    for result in works {
        chart.work(result, y);
        y += result.servers.len() as f64 * BAR + BETWEEN_WORKS;
    }
    for (panel, _) in PANELS {
        let one = panel.left() + PANEL / LONGEST;
        chart.add(format_args!(
            "<line class=\"one\" x1=\"{one}\" x2=\"{one}\" y1=\"{}\" y2=\"{}\"/>\n",
            TOP - 6.0,
            height - 10.0
        ));
    }
    chart.0 + "</svg>\n"
}

const PANELS: [(Metric, &str); 2] = [
    (Metric::Rate, "requests a second (more is better)"),
    (Metric::Cpu, "CPU a request (less is better)"),
];

impl Metric {
    fn left(self) -> f64 {
        match self {
            Self::Rate => TITLES,
            Self::Cpu => TITLES + PANEL + GAP,
        }
    }
}

struct Chart(String);

impl Chart {
    fn add(&mut self, arguments: std::fmt::Arguments<'_>) {
        self.0
            .write_fmt(arguments)
            .expect("a string takes everything");
    }

    fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        self.add(format_args!(
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>\n"
        ));
    }

    fn legend(&mut self, works: &[WorkResult]) {
        let mut x = 10.0;
        for server in Server::ALL {
            let takes_part = |result: &WorkResult| result.absolute(server, Metric::Rate).is_some();
            // Both ways to run hyper have one color, as they never meet in one work.
            if server == Server::HyperFlush || !works.iter().any(takes_part) {
                continue;
            }
            self.add(format_args!(
                "<rect class=\"{}\" x=\"{x}\" y=\"10\" width=\"12\" height=\"12\"/>\n",
                class(server)
            ));
            self.text(x + 18.0, 21.0, "", server.name());
            x += 48.0 + 6.5 * server.name().len() as f64;
        }
    }

    fn work(&mut self, result: &WorkResult, top: f64) {
        let middle = top + result.servers.len() as f64 * BAR / 2.0 + 4.0;
        self.text(10.0, middle, "", result.work.title);
        // Without a peer, Callgate is compared with itself.
        let reference = result.servers.get(1).unwrap_or(&result.servers[0]).0;
        for (metric, _) in PANELS {
            for (index, &(server, _)) in result.servers.iter().enumerate() {
                let ratio = result.ratio(server, reference, metric);
                let ratio = ratio.expect("both took part");
                self.bar(server, metric.left(), top + index as f64 * BAR, ratio);
            }
        }
    }

    fn bar(&mut self, server: Server, left: f64, top: f64, ratio: Spread) {
        let scale = |ratio: f64| ratio.min(LONGEST) * PANEL / LONGEST;
        let length = scale(ratio.median);
        self.add(format_args!(
            "<rect class=\"{}\" x=\"{left}\" y=\"{top:.1}\" width=\"{length:.1}\" height=\"{:.1}\"/>\n",
            class(server),
            BAR - 2.0
        ));
        let (min, max) = (left + scale(ratio.min), left + scale(ratio.max));
        let middle = top + BAR / 2.0 - 1.0;
        self.add(format_args!(
            "<line class=\"spread\" x1=\"{min:.1}\" x2=\"{max:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\"/>\n"
        ));
        let label = format!("{:.2}", ratio.median);
        self.text(max.max(left + length) + 5.0, middle + 3.5, "value", &label);
    }
}

fn class(server: Server) -> &'static str {
    match server {
        Server::Callgate => "callgate",
        Server::Hyper | Server::HyperFlush => "hyper",
        Server::Axum => "axum",
        Server::Actix => "actix",
        Server::Nginx => "nginx",
        Server::Tungstenite => "tungstenite",
        Server::TungsteniteDefault => "tungstenite-default",
    }
}
