//! The reference server in this process, and what can be tampered with to break a rule.

use std::future::{Future, poll_fn};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::thread;

use callgate::BoxApp;
use callgate_conformance::{Exit, Launch, NotLaunched, Probe, Running, Settings};
use callgate_server::{Config, LifespanMode, Server};
use tokio::sync::oneshot;
use tracing_subscriber::fmt::MakeWriter;

use crate::hearsay::{Hearsay, Relay};
use crate::tamper::{Proxy, Wire, noting_startup};

/// Launches the reference server, with what has been tampered with.
#[derive(Default)]
pub(crate) struct InProcess {
    /// Puts something between the server and the probe.
    pub(crate) app: Option<Box<dyn Fn(Probe) -> BoxApp>>,
    /// Changes what the server is set to.
    pub(crate) config: Option<fn(&mut Config)>,
    /// Changes what goes over each connection.
    pub(crate) wire: Option<fn() -> Box<dyn Wire>>,
    /// What it answers, before start-up is complete, to a request without `host`.
    pub(crate) at_startup: Option<&'static str>,
    /// Whether it does not hear that it is to stop before start-up is complete.
    pub(crate) is_deaf_at_startup: bool,
    /// Changes what the suite hears of the application.
    pub(crate) hearsay: Option<fn() -> Box<dyn Hearsay>>,
    /// Does something when it is told to stop.
    pub(crate) on_stop: Option<fn()>,
    /// Changes how it ends.
    pub(crate) exit: Option<fn(i32) -> i32>,
    /// Changes what it says in its log.
    pub(crate) log: Option<fn(String) -> String>,
}

impl Launch for InProcess {
    fn name(&self) -> String {
        "the reference server".into()
    }

    fn launch(
        &self,
        settings: &Settings,
        suite: SocketAddr,
    ) -> Result<Box<dyn Running>, NotLaunched> {
        let mut config = configure(settings);
        if let Some(change) = self.config {
            change(&mut config);
        }
        let has_no_startup = config.lifespan == LifespanMode::Off;
        let started = Arc::new(AtomicBool::new(has_no_startup));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let proxy = match (self.wire, self.at_startup) {
            (Some(wire), _) => Some(Proxy::start(address, wire)?),
            (None, Some(answer)) => Some(Proxy::start_early(address, answer, started.clone())?),
            (None, None) => None,
        };
        let hearsay = match self.hearsay {
            Some(hearsay) => Some(Relay::start(suite, hearsay)?),
            None => None,
        };
        let probe = Probe::new(hearsay.as_ref().map_or(suite, Relay::address));
        let mut app = match &self.app {
            Some(wrap) => wrap(probe),
            None => BoxApp::new(probe),
        };
        if let Some(proxy) = &proxy {
            app = proxy.hide_from(app);
        }
        let app = noting_startup(app, started.clone(), started.clone());
        let (stop, stopped) = oneshot::channel();
        let (exit, exited) = oneshot::channel();
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(log.clone())
            .finish();
        let mut error_log = log.clone();
        let hears = match self.is_deaf_at_startup {
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
                // The server asks again when it has started.
                poll_fn(|_| match hears.load(Ordering::SeqCst) {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                })
                .await;
                if stopped.await.is_err() {
                    // The case has ended, and with it the interest in this server.
                    std::future::pending::<()>().await;
                }
            };
            let serve = async {
                let server = Server::new(app).config(config).listener(listener)?;
                server.serve_until(stop).await
            };
            let status = match runtime.block_on(serve) {
                Ok(()) => 0,
                Err(error) => {
                    writeln!(error_log, "error: {error}").unwrap();
                    i32::from(error.exit_status())
                }
            };
            let _ = exit.send(status);
        });
        Ok(Box::new(Instance {
            address: proxy.as_ref().map_or(address, Proxy::address),
            _proxy: proxy,
            _hearsay: hearsay,
            stop: Some(stop),
            on_stop: self.on_stop,
            exited,
            log,
            change_exit: self.exit,
            change_log: self.log,
        }))
    }
}

fn configure(settings: &Settings) -> Config {
    let mut config = Config::default();
    if let Some(root_path) = &settings.root_path {
        config.root_path = root_path.clone();
    }
    config.lifespan = match settings.lifespan {
        callgate_conformance::Lifespan::Auto => LifespanMode::Auto,
        callgate_conformance::Lifespan::On => LifespanMode::On,
        callgate_conformance::Lifespan::Off => LifespanMode::Off,
    };
    if let Some(bytes) = settings.ws_max_size {
        config.ws_max_size = bytes;
    }
    if let Some(time) = settings.ws_ping_interval {
        config.ws_ping_interval = Some(time);
    }
    if let Some(time) = settings.ws_ping_timeout {
        config.ws_ping_timeout = Some(time);
    }
    if let Some(time) = settings.timeout_graceful_shutdown {
        config.timeout_graceful_shutdown = Some(time);
    }
    if let Some(time) = settings.timeout_disconnect {
        config.timeout_disconnect = time;
    }
    config
}

struct Instance {
    address: SocketAddr,
    _proxy: Option<Proxy>,
    _hearsay: Option<Relay>,
    stop: Option<oneshot::Sender<()>>,
    on_stop: Option<fn()>,
    exited: oneshot::Receiver<i32>,
    log: Log,
    change_exit: Option<fn(i32) -> i32>,
    change_log: Option<fn(String) -> String>,
}

impl Running for Instance {
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

    fn ended(&mut self) -> Pin<Box<dyn Future<Output = Exit> + '_>> {
        Box::pin(async {
            let status = (&mut self.exited).await.ok();
            let change = self.change_exit.unwrap_or(|status| status);
            Exit::with_status(status.map(change))
        })
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
