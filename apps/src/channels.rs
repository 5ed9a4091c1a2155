//! The channel layer of the applications that need one.

use std::fmt;
use std::future::ready;
use std::str::FromStr;

use callgate::{App, AppError, BoxApp};
use callgate_channels::{ChannelLayer, MetricsCollector};
use callgate_server::Monitoring;
use callgate_server::prometheus_client::registry::Registry;
use callgate_toolkit::channels;

use crate::Settings;

/// The channel layer without a setting.
const DEFAULT: &str = "memory";

/// The URL of a channel layer. It may hold a password, so its `Debug` output does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct ChannelsUrl(String);

impl FromStr for ChannelsUrl {
    type Err = std::convert::Infallible;

    /// Accepts any text. The URL is parsed when the layer is opened, so that a wrong URL concerns no
    /// application that needs none.
    fn from_str(url: &str) -> Result<Self, Self::Err> {
        Ok(Self(url.to_owned()))
    }
}

impl fmt::Debug for ChannelsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChannelsUrl(..)")
    }
}

/// Puts `app` into one that opens the layer of the settings at start-up and closes it at shutdown, unless an
/// application around it does so: the gallery opens one layer for all its applications.
pub(crate) fn with_layer(app: impl App, settings: &Settings) -> BoxApp {
    if settings.layer_is_given {
        return BoxApp::new(app);
    }
    let (url, monitoring) = (settings.channels.clone(), settings.monitoring.clone());
    BoxApp::new(channels::with_layer(app, move || {
        let (url, monitoring) = (url.clone(), monitoring.clone());
        async move {
            let layer = open(url).await?;
            monitor(&layer, &monitoring);
            Ok::<_, AppError>(layer)
        }
    }))
}

async fn open(url: Option<ChannelsUrl>) -> Result<ChannelLayer, AppError> {
    let url = url.map(|ChannelsUrl(url)| url).unwrap_or_default();
    let url = if url.is_empty() { DEFAULT } else { &url };
    ChannelLayer::connect(url).await.map_err(|error| {
        let remedy = "choose another channel layer with --channels or CALLGATE_CHANNELS";
        AppError::failed(format!("{error} ({remedy})"))
    })
}

/// Makes the server ready only while the layer is reached, and adds the numbers of the layer to its metrics.
fn monitor(layer: &ChannelLayer, monitoring: &Monitoring) {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(MetricsCollector::new(layer)));
    monitoring.metrics(registry);
    let layer = layer.clone();
    monitoring.ready_check("channels", move || ready(layer.health().check()));
}
