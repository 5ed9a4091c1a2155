//! The reference server in this process, with what changes it so that it breaks a rule.

use std::future::{Future, poll_fn};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use callgate::BoxApp;
use callgate_conformance::{
    ClientTls, LaunchError, Probe, RunningServer, ServerExit, ServerLauncher, ServerSettings,
};
use callgate_server::config::ClientCertificates;
use callgate_server::{Config, LifespanMode, Server};
use tokio::sync::oneshot;
use tracing::Dispatch;
use tracing::subscriber::NoSubscriber;
use tracing_subscriber::fmt::MakeWriter;

use crate::connection_filter::ConnectionFilter;
use crate::interceptor::observe_startup;
use crate::message_filter::{MessageFilter, Relay};
use crate::proxy::Proxy;

/// Launches the reference server with changes.
#[derive(Default)]
pub(crate) struct InProcess {
    /// Wraps the probe.
    pub(crate) app: Option<Box<dyn Fn(Probe) -> BoxApp>>,
    /// Changes the configuration.
    pub(crate) config: Option<fn(&mut Config)>,
    /// Changes the octets of each connection.
    pub(crate) connection_filter: Option<fn() -> Box<dyn ConnectionFilter>>,
    /// The answer to a request without `host` before start-up is complete.
    pub(crate) early_answer: Option<&'static str>,
    /// Whether the server ignores a stop before start-up is complete.
    pub(crate) ignores_early_stop: bool,
    /// Changes the messages of the probe.
    pub(crate) message_filter: Option<fn() -> Box<dyn MessageFilter>>,
    /// Runs when the suite stops the server.
    pub(crate) on_stop: Option<fn()>,
    /// Changes the exit status.
    pub(crate) exit: Option<fn(i32) -> i32>,
    /// Changes the log.
    pub(crate) log: Option<fn(String) -> String>,
    /// The TLS of the clients; cleartext if there is none.
    pub(crate) tls: Option<ClientTls>,
}

impl ServerLauncher for InProcess {
    fn name(&self) -> String {
        "the reference server".into()
    }

    fn launch(
        &self,
        settings: &ServerSettings,
        suite: SocketAddr,
    ) -> Result<Box<dyn RunningServer>, LaunchError> {
        let mut config = configure(settings);
        if let Some(change) = self.config {
            change(&mut config);
        }
        let has_no_startup = config.process.lifespan == LifespanMode::Off;
        let started = Arc::new(AtomicBool::new(has_no_startup));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let proxy = match (self.connection_filter, self.early_answer) {
            (Some(filter), _) => Some(Proxy::start(address, filter)?),
            (None, Some(answer)) => Some(Proxy::start_early(address, answer, started.clone())?),
            (None, None) => None,
        };
        let message_filter = match self.message_filter {
            Some(message_filter) => Some(Relay::start(suite, message_filter)?),
            None => None,
        };
        let probe = Probe::new(message_filter.as_ref().map_or(suite, Relay::address));
        let mut app = match &self.app {
            Some(wrap) => wrap(probe),
            None => BoxApp::new(probe),
        };
        if let Some(proxy) = &proxy {
            app = proxy.hide_from(app);
        }
        let app = observe_startup(app, started.clone(), started.clone());
        let (stop, stopped) = oneshot::channel();
        let (mut exit, exited) = oneshot::channel();
        // With a single subscriber in the process, tracing caches for each call site whether the thread that reaches it
        // first is interested. A second subscriber turns that off.
        static SECOND: OnceLock<Dispatch> = OnceLock::new();
        SECOND.get_or_init(|| Dispatch::new(NoSubscriber::default()));
        let log = ServerLog::default();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(log.clone())
            .finish();
        let mut error_log = log.clone();
        let accepts_stop = match self.ignores_early_stop {
            true => started.clone(),
            false => Arc::new(AtomicBool::new(true)),
        };
        thread::spawn(move || {
            let _guard = tracing::subscriber::set_default(subscriber);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let stop = async {
                // The server polls again when it has started.
                poll_fn(|_| match accepts_stop.load(Ordering::SeqCst) {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                })
                .await;
                if stopped.await.is_err() {
                    // A server that is dropped does not shut down in order.
                    std::future::pending::<()>().await;
                }
            };
            let serve = async {
                let server = Server::new(app).config(config).listener(listener)?;
                server.serve_until(stop).await
            };
            let ended = runtime.block_on(async {
                tokio::select! {
                    result = serve => Some(result),
                    // The case has ended, and dropped this server.
                    () = exit.closed() => None,
                }
            });
            let status = match ended {
                None => return,
                Some(Ok(())) => 0,
                Some(Err(error)) => {
                    writeln!(error_log, "error: {error}").unwrap();
                    i32::from(error.exit_status())
                }
            };
            let _ = exit.send(status);
        });
        Ok(Box::new(Instance {
            address: proxy.as_ref().map_or(address, Proxy::address),
            _proxy: proxy,
            _message_filter: message_filter,
            stop: Some(stop),
            on_stop: self.on_stop,
            exited,
            log,
            change_exit: self.exit,
            change_log: self.log,
        }))
    }
}

fn configure(settings: &ServerSettings) -> Config {
    let mut config = Config::default();
    // Shorter than the time that a case waits for what a mutant may never send.
    config.timeouts.half_close = Duration::from_millis(500);
    if let Some(root_path) = &settings.root_path {
        config.proxy.root_path = root_path.clone();
    }
    config.process.lifespan = match settings.lifespan {
        callgate_conformance::LifespanMode::Auto => LifespanMode::Auto,
        callgate_conformance::LifespanMode::On => LifespanMode::On,
        callgate_conformance::LifespanMode::Off => LifespanMode::Off,
    };
    if let Some(bytes) = settings.ws_max_size {
        config.websocket.max_size = bytes;
    }
    if let Some(time) = settings.ws_ping_interval {
        config.websocket.ping_interval = Some(time);
    }
    if let Some(time) = settings.ws_ping_timeout {
        config.websocket.ping_timeout = Some(time);
    }
    if let Some(time) = settings.timeout_graceful_shutdown {
        config.timeouts.graceful_shutdown = Some(time);
    }
    config.tls.certfile = settings.ssl_certfile.iter().cloned().collect();
    config.tls.keyfile = settings.ssl_keyfile.iter().cloned().collect();
    config.tls.ca_certs = settings.ssl_ca_certs.clone();
    if settings.ssl_cert_reqs.is_some() {
        config.tls.cert_reqs = ClientCertificates::Optional;
    }
    if let Some(time) = settings.timeout_disconnect {
        config.timeouts.disconnect = time;
    }
    config
}

struct Instance {
    address: SocketAddr,
    _proxy: Option<Proxy>,
    _message_filter: Option<Relay>,
    stop: Option<oneshot::Sender<()>>,
    on_stop: Option<fn()>,
    exited: oneshot::Receiver<i32>,
    log: ServerLog,
    change_exit: Option<fn(i32) -> i32>,
    change_log: Option<fn(String) -> String>,
}

impl RunningServer for Instance {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
            if let Some(on_stop) = self.on_stop {
                on_stop();
            }
        }
    }

    fn log(&self) -> String {
        let log = String::from_utf8_lossy(&self.log.0.lock().unwrap()).into_owned();
        match self.change_log {
            Some(change) => change(log),
            None => log,
        }
    }

    fn ended(&mut self) -> Pin<Box<dyn Future<Output = ServerExit> + '_>> {
        Box::pin(async {
            let status = (&mut self.exited).await.ok();
            let change = self.change_exit.unwrap_or(|status| status);
            ServerExit::with_status(status.map(change))
        })
    }
}

#[derive(Clone, Default)]
struct ServerLog(Arc<Mutex<Vec<u8>>>);

impl Write for ServerLog {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for ServerLog {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
