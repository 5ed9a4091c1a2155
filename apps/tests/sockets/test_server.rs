//! An application on the reference server.

use std::sync::{Arc, Mutex};

use callgate::{App, BoxApp};
use callgate_apps::Settings;
use callgate_conformance::Lint;
use callgate_server::{Config, ServeError, Server, ServerHandle};
use tokio::task::JoinHandle;

/// An application that is served on a port of its own, with every message checked.
pub(crate) struct TestServer {
    url: String,
    handle: ServerHandle,
    serving: JoinHandle<Result<(), ServeError>>,
    violations: Arc<Mutex<Vec<String>>>,
}

impl TestServer {
    /// One from the registry, with its settings at their defaults.
    pub(crate) fn start(name: &str) -> Self {
        Self::app(app(name, &Settings::default()))
    }

    pub(crate) fn app(app: impl App) -> Self {
        let violations = Arc::<Mutex<Vec<String>>>::default();
        let found = violations.clone();
        let lint = Lint::new(app).report_to(move |complaint| {
            let text = format!("{}: {}", complaint.exchange, complaint.violation);
            found.lock().unwrap().push(text);
        });
        let mut config = Config::default();
        config.port = 0;
        let server = Server::new(lint).config(config).bind().unwrap();
        let url = format!("http://{}", server.local_addr().unwrap());
        let handle = server.handle();
        let serving = tokio::spawn(server.serve_until(std::future::pending()));
        Self {
            url,
            handle,
            serving,
            violations,
        }
    }

    /// The URL of a path; it begins with a slash.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url.trim_end_matches('/'))
    }

    /// Stops the server: what it serves ends first, then the application's lifespan. No message may
    /// have broken a rule.
    pub(crate) async fn stop(self) {
        self.handle.shutdown();
        self.serving.await.unwrap().unwrap();
        assert_eq!(*self.violations.lock().unwrap(), [] as [String; 0]);
    }
}

/// An application from the registry.
pub(crate) fn app(name: &str, settings: &Settings) -> BoxApp {
    (callgate_apps::find(name).unwrap().app)(settings)
}
