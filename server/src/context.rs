//! The context that all connections and exchanges of a server share.

use std::cell::RefCell;
use std::future::{Future, pending, poll_fn};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use bytestring::ByteString;
use callgate::{BoxApp, State};
use callgate_drive::{Call, ServerEnd, head, task};
use callgate_http1::{Date, DefaultFields, FieldLines};
use http::header::{self, HeaderMap, HeaderValue};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::access_log::AccessLog;
use crate::buffers;
use crate::concurrency::{Concurrency, OpenWebSockets};
use crate::config::Config;
use crate::http1;
#[cfg(feature = "http2")]
use crate::http2;
use crate::limit::{Limit, LimitCounters};
use crate::log_file::LogFile;
#[cfg(feature = "metrics")]
use crate::metrics::Metrics;
use crate::monitoring::Monitoring;
use crate::readiness::{HealthChecked, SharedReadiness};
use crate::record::ExchangeRecord;
#[cfg(feature = "tls")]
use crate::redirect::HttpsRedirect;
use crate::registry::Registry;
use crate::rejection::Rejection;
use crate::report;
use crate::retirement::Retirement;
#[cfg(feature = "metrics")]
use crate::shutdown::ServerHandle;
use crate::stage::{Stage, Stages};
use crate::succession::Succession;
#[cfg(feature = "tls")]
use crate::tls::Acceptor;
use crate::trace;

/// The application, its configuration, and the tasks that serve it.
#[derive(Debug)]
pub(crate) struct ServerContext {
    pub(crate) app: BoxApp,
    pub(crate) config: Config,
    pub(crate) root_path: ByteString,
    /// The root path, percent-encoded.
    pub(crate) raw_root_path: String,
    /// Whether exchanges are recorded: for the access log, the metrics, or their spans. Without a record, an
    /// exchange costs less.
    pub(crate) takes_records: bool,
    access_log: AccessLog,
    /// The counters of exchanges, if there is an admin listener that shows them.
    #[cfg(feature = "metrics")]
    pub(crate) metrics: Option<Box<Metrics>>,
    pub(crate) stages: Arc<Stages>,
    /// Whether the server is ready to serve, and what the application adds to that and to the metrics.
    pub(crate) readiness: SharedReadiness,
    /// The connections that are open.
    pub(crate) registry: Arc<Registry>,
    /// The largest number of connections, and of those of one client.
    pub(crate) max_connections: usize,
    pub(crate) max_client_connections: usize,
    /// The exchanges in flight.
    pub(crate) concurrency: Concurrency,
    pub(crate) rates: Rates,
    /// The calls that may still go on after their client is gone.
    abandoned_calls: Semaphore,
    /// The WebSockets that may still be open.
    pub(crate) websockets: OpenWebSockets,
    /// How often each limit has been reached.
    pub(crate) limits: LimitCounters,
    /// The settings of the HTTP/1 decoders.
    pub(crate) http1: Arc<callgate_http1::Config>,
    #[cfg(feature = "http2")]
    pub(crate) http2: http2::Builder,
    /// The tasks of connections, and of calls that outlive their exchange.
    pub(crate) tasks: TaskTracker,
    /// The fields that are added to responses without a field of that name.
    #[cfg(feature = "http2")]
    default_headers: HeaderMap,
    /// The same fields, as HTTP/1 encodes them.
    default_lines: FieldLines,
    /// Counts the requests.
    pub(crate) retirement: Arc<Retirement>,
    /// What the server shares with its predecessor and its successor, if it can be replaced.
    #[cfg(feature = "metrics")]
    pub(crate) succession: Option<Arc<Succession>>,
    /// The handle of the server, which counts the requests to shut down.
    #[cfg(feature = "metrics")]
    pub(crate) handle: ServerHandle,
    /// The state that the application returned from start-up.
    state: OnceLock<State>,
    /// The certificates, if the server speaks TLS.
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Arc<Acceptor>>,
    /// The redirect of requests in cleartext, if they are redirected.
    #[cfg(feature = "tls")]
    pub(crate) https_redirect: Option<HttpsRedirect>,
}

/// The octets that a client must send or take within the time-out for content and for output, which is how the
/// least rates are kept: less is no progress.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    pub(crate) content: u64,
    pub(crate) output: u64,
}

impl Rates {
    fn new(config: &Config) -> Self {
        let least = |rate: u64, time: Duration| {
            let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            (rate.saturating_mul(millis) / 1000).max(1)
        };
        Self {
            content: least(config.limits.request_rate, config.timeouts.request_content),
            output: least(config.limits.response_rate, config.timeouts.write),
        }
    }
}

impl ServerContext {
    /// Creates a context without anything of the application to monitor.
    pub(crate) fn new(app: BoxApp, config: Config) -> Self {
        Self::monitored(app, config, Monitoring::new())
    }

    pub(crate) fn monitored(app: BoxApp, config: Config, monitoring: Monitoring) -> Self {
        let tasks = TaskTracker::new();
        let default_headers = default_headers(&config);
        let max_connections = config.limits.connections(max_open_files());
        let root_path = config.proxy.root_path.trim_end_matches('/');
        let max_buffered = config
            .limits
            .buffered
            .map_or_else(|| buffers::automatic(buffers::memory()), NonZeroUsize::get);
        let readiness = SharedReadiness::new(monitoring);
        let app = match config.admin.health_path.clone() {
            Some(path) => BoxApp::new(HealthChecked::new(app, path, readiness.clone())),
            None => app,
        };
        Self {
            raw_root_path: head::encode_path(root_path),
            root_path: ByteString::from(root_path),
            app,
            takes_records: config.log.access
                || config.log.request_id
                || trace::is_enabled()
                || (cfg!(feature = "metrics") && config.admin.bind.is_some()),
            #[cfg(feature = "metrics")]
            metrics: (config.admin.bind.is_some()).then(|| Box::new(Metrics::new())),
            access_log: AccessLog::to_server_log(config.log.access_format),
            retirement: Arc::new(Retirement::new(&config.process)),
            #[cfg(feature = "metrics")]
            succession: None,
            #[cfg(feature = "metrics")]
            handle: ServerHandle::new(),
            stages: Arc::default(),
            readiness,
            registry: Arc::new(Registry::new(config.admin.bind.is_some(), max_buffered)),
            max_connections,
            max_client_connections: config.limits.client_connections(max_connections),
            concurrency: Concurrency::new(&config),
            rates: Rates::new(&config),
            abandoned_calls: Semaphore::new(most_abandoned_calls(&config)),
            websockets: OpenWebSockets::new(&config),
            limits: LimitCounters::default(),
            http1: Arc::new(http1::codec_config(&config)),
            #[cfg(feature = "http2")]
            http2: http2::builder(&config, tasks.clone()),
            tasks,
            default_lines: FieldLines::from(&default_headers),
            #[cfg(feature = "http2")]
            default_headers,
            state: OnceLock::new(),
            #[cfg(feature = "tls")]
            tls: None,
            #[cfg(feature = "tls")]
            https_redirect: None,
            config,
        }
    }

    /// Returns whether the listeners speak TLS, but for those for cleartext.
    pub(crate) fn speaks_tls(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }

    /// Sets the access log.
    pub(crate) fn access_log(mut self, access_log: AccessLog) -> Self {
        self.access_log = access_log;
        self
    }

    /// Returns the file of the access log, if the log has one of its own.
    pub(crate) fn access_log_file(&self) -> Option<Arc<LogFile>> {
        self.access_log.file()
    }

    /// Has the listeners speak TLS.
    #[cfg(feature = "tls")]
    pub(crate) fn tls(mut self, acceptor: Option<Arc<Acceptor>>) -> Self {
        self.tls = acceptor;
        self
    }

    /// Has requests in cleartext redirected to this port, if the settings ask for it.
    #[cfg(feature = "tls")]
    pub(crate) fn https_port(mut self, port: Option<u16>) -> Self {
        let redirects = self.config.tls.redirect_to_https;
        self.https_redirect = redirects.then(|| HttpsRedirect::to_port(port));
        self
    }

    /// Sets the handle of the server.
    #[cfg(feature = "metrics")]
    pub(crate) fn handle(mut self, handle: ServerHandle) -> Self {
        self.handle = handle;
        self
    }

    /// Returns the number of the calls that go on although their client is gone.
    #[cfg(feature = "metrics")]
    pub(crate) fn abandoned_calls(&self) -> usize {
        let most = most_abandoned_calls(&self.config);
        most - self.abandoned_calls.available_permits()
    }

    /// Has the requests counted for the process, which another one replaces.
    pub(crate) fn succession(mut self, succession: &Arc<Succession>) -> Self {
        self.retirement = succession.retirement();
        #[cfg(feature = "metrics")]
        {
            self.succession = Some(succession.clone());
        }
        self
    }

    pub(crate) fn state(&self) -> State {
        self.state.get().cloned().unwrap_or_default()
    }

    pub(crate) fn set_state(&self, state: State) {
        self.state.set(state).expect("start-up completes once");
    }

    /// Counts an exchange that has a record.
    pub(crate) fn exchange_begins(&self) {
        #[cfg(feature = "metrics")]
        if let Some(metrics) = &self.metrics {
            metrics.exchange_begins();
        }
    }

    /// Counts a WebSocket that has been accepted, and whose exchange has a record.
    pub(crate) fn websocket_opens(&self) {
        #[cfg(feature = "metrics")]
        if let Some(metrics) = &self.metrics {
            metrics.websocket_opens();
        }
    }

    /// Takes the record of an exchange that has ended.
    pub(crate) fn exchange_ended(&self, record: &ExchangeRecord) {
        #[cfg(feature = "metrics")]
        if let Some(metrics) = &self.metrics {
            metrics.exchange_ends(record);
        }
        if self.config.log.access {
            self.access_log.write(record);
        }
    }

    /// Adds the default fields, but for the date, to a response over HTTP/2.
    #[cfg(feature = "http2")]
    pub(crate) fn add_default_headers(&self, headers: &mut HeaderMap) {
        for name in self.default_headers.keys() {
            if !headers.contains_key(name) {
                for value in self.default_headers.get_all(name) {
                    headers.append(name, value.clone());
                }
            }
        }
    }

    /// Runs `encode` with the default fields of a response over HTTP/1, made at the time `now`.
    #[inline]
    pub(crate) fn with_default_fields<T>(
        &self,
        now: SystemTime,
        encode: impl FnOnce(DefaultFields<'_>) -> T,
    ) -> T {
        thread_local! {
            static DATE: RefCell<Option<Date>> = const { RefCell::new(None) };
        }
        let lines = Some(&self.default_lines);
        if !self.config.http.date_header {
            return encode(DefaultFields { date: None, lines });
        }
        DATE.with_borrow_mut(|date| {
            let date = date.get_or_insert_with(|| Date::at(now));
            date.update(now);
            let date = Some(&*date);
            encode(DefaultFields { date, lines })
        })
    }

    /// Refuses an exchange of this client, because too many are in flight.
    #[cold]
    pub(crate) fn refuse(&self, client: Option<SocketAddr>) -> Rejection {
        self.overloaded(
            client,
            Limit::Concurrency,
            "too many requests are in flight",
        )
    }

    /// Counts a connection of this client that ends, because it buffers the most.
    #[cold]
    pub(crate) fn end_buffered(&self, client: Option<SocketAddr>) {
        self.limits.reached(Limit::Buffered);
        report::failed(client, &"the connection buffers the most (--max-buffered)");
    }

    /// Refuses a WebSocket of this client, because too many are open.
    #[cold]
    pub(crate) fn refuse_websocket(&self, client: Option<SocketAddr>) -> Rejection {
        self.overloaded(client, Limit::WebSockets, "too many WebSockets are open")
    }

    fn overloaded(
        &self,
        client: Option<SocketAddr>,
        limit: Limit,
        reason: &'static str,
    ) -> Rejection {
        let retry_after = self.config.timeouts.concurrency_queue;
        let rejection = Rejection::overloaded(reason, retry_after).limit(limit);
        self.report_rejected(client, &rejection, None);
        rejection
    }

    /// Logs that a request of this client is rejected, and counts the limit that it has reached, if any. A
    /// redirect is what the settings ask for, and is an exchange as any other.
    ///
    /// The line of the access log says why, if it is in the same log.
    pub(crate) fn report_rejected(
        &self,
        client: Option<SocketAddr>,
        rejection: &Rejection,
        record: Option<&mut ExchangeRecord>,
    ) {
        if rejection.status().is_redirection() {
            return;
        }
        self.limits.rejected(rejection);
        let is_told = match record {
            Some(record) => {
                record.rejected(rejection);
                self.config.log.access && self.access_log.tells_reasons()
            }
            None => false,
        };
        if !is_told {
            report::rejected(client, rejection);
        }
    }

    /// Moves a call that outlives its exchange to a task of its own. After a disconnect the call has
    /// the grace period, unless too many calls have it already.
    // Not inlined, because the task's future would be on the stack of every exchange.
    #[inline(never)]
    pub(crate) fn detach(self: &Arc<Self>, call: Call, end: Arc<impl ServerEnd + ?Sized>) {
        let server = self.clone();
        let run = call.run(end.clone(), self.config.timeouts.disconnect);
        self.spawn(async move {
            let too_many = async {
                poll_fn(|cx| end.poll_disconnected(cx)).await;
                let Ok(_permit) = server.abandoned_calls.try_acquire() else {
                    return;
                };
                pending::<()>().await;
            };
            tokio::select! {
                biased;
                () = run => {}
                () = too_many => {
                    server.limits.reached(Limit::AbandonedCalls);
                    let reason = "a call is dropped, because too many go on without a client \
                                  (--max-abandoned-calls)";
                    report::failed(None, &reason);
                }
            }
        });
    }

    /// Runs `work` on a task of its own. A shutdown waits for the task.
    pub(crate) fn spawn_tracked(&self, work: impl Future<Output: Send> + Send + 'static) {
        task::spawn(self.tasks.track_future(work));
    }

    /// Runs `work` on a task of its own. A shutdown waits for the task, and drops it at the stage
    /// [`Ending`](Stage::Ending).
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stages = self.stages.clone();
        self.spawn_tracked(async move {
            tokio::select! {
                biased;
                () = stages.reached(Stage::Ending) => {}
                () = work => {}
            }
        });
    }
}

/// Returns how many files the system lets the process open; `None` without a limit.
#[cfg(unix)]
pub(crate) fn max_open_files() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

#[cfg(not(unix))]
pub(crate) fn max_open_files() -> Option<u64> {
    None
}

fn most_abandoned_calls(config: &Config) -> usize {
    config.limits.abandoned_calls.min(Semaphore::MAX_PERMITS)
}

fn default_headers(config: &Config) -> HeaderMap {
    let mut headers: HeaderMap = config.http.headers.iter().cloned().collect();
    if config.http.server_header && !headers.contains_key(header::SERVER) {
        headers.insert(header::SERVER, HeaderValue::from_static("callgate"));
    }
    headers
}
