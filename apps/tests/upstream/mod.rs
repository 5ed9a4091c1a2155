//! A service for the applications that call one, played by tests.

use axum::Router;
use callgate_server::{Config, Server};
use callgate_tower::ServiceApp;
use tokio::task::JoinSet;
use url::Url;

/// A server of these routes, on a free port, until it is dropped.
pub(crate) struct Upstream {
    url: Url,
    _serving: JoinSet<()>,
}

impl Upstream {
    pub(crate) fn start(routes: Router) -> Self {
        let mut config = Config::default();
        config.listen.port = 0;
        let server = Server::new(ServiceApp::new(routes)).config(config);
        let server = server.bind().unwrap();
        let address = server.local_addr().unwrap();
        let url = format!("http://{address}").parse().unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            server.serve_until(std::future::pending()).await.unwrap();
        });
        Self {
            url,
            _serving: serving,
        }
    }

    pub(crate) fn url(&self) -> Url {
        self.url.clone()
    }
}
