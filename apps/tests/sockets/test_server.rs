//! An application on the reference server.

use std::sync::{Arc, Mutex};

use callgate::{App, BoxApp};
use callgate_apps::Settings;
use callgate_conformance::Lint;
use callgate_server::{Config, ServeError, Server, ServerHandle};
use tokio::task::JoinHandle;

/// A server of an application, on a free port. The lint checks every message.
pub(crate) struct TestServer {
    url: String,
    handle: ServerHandle,
    serving: JoinHandle<Result<(), ServeError>>,
    violations: Arc<Mutex<Vec<String>>>,
}

impl TestServer {
    /// Starts the application of this name, with the default settings.
    pub(crate) fn start(name: &str) -> Self {
        Self::app(app(name, &Settings::default()))
    }

    pub(crate) fn app(app: impl App) -> Self {
        let violations = Arc::<Mutex<Vec<String>>>::default();
        let found = violations.clone();
        let lint = Lint::new(app).report_to(move |report| {
            let text = format!("{}: {}", report.exchange, report.violation);
            found.lock().unwrap().push(text);
        });
        let mut config = Config::default();
        config.listen.port = 0;
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

    /// Returns the URL of a path, which begins with a slash.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url.trim_end_matches('/'))
    }

    /// Shuts the server down: exchanges end first, then the application's lifespan. Fails if a message
    /// has broken a rule.
    pub(crate) async fn stop(self) {
        self.stop_after(&[]).await;
    }

    /// As [`stop`](Self::stop), after messages that have broken these rules and no others.
    pub(crate) async fn stop_after(self, broken: &[&str]) {
        self.handle.shutdown();
        self.serving.await.unwrap().unwrap();
        let violations = self.violations.lock().unwrap();
        let are_expected = violations.iter().zip(broken);
        assert!(
            violations.len() == broken.len()
                && are_expected.into_iter().all(|(it, rule)| it.contains(rule)),
            "{violations:?}"
        );
    }
}

/// Returns the application of this name.
pub(crate) fn app(name: &str, settings: &Settings) -> BoxApp {
    (callgate_apps::find(name).unwrap().app)(settings)
}
