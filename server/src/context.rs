//! The context that all connections and exchanges of a server share.

use std::future::Future;
use std::sync::{Arc, OnceLock};

use bytestring::ByteString;
use callgate::{BoxApp, State};
use callgate_drive::{Call, ServerEnd, head};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::stage::{Stage, Stages};
use crate::{http1, http2};

/// The application, its configuration, and the tasks that serve it.
#[derive(Debug)]
pub(crate) struct ServerContext {
    pub(crate) app: BoxApp,
    pub(crate) config: Config,
    pub(crate) root_path: ByteString,
    /// The root path, percent-encoded.
    pub(crate) raw_root_path: String,
    pub(crate) stages: Arc<Stages>,
    /// The settings of the HTTP/1 decoders.
    pub(crate) http1: Arc<callgate_http1::Config>,
    pub(crate) http2: http2::Builder,
    /// The tasks of connections, and of calls that outlive their exchange.
    pub(crate) tasks: TaskTracker,
    default_headers: Vec<(HeaderName, Vec<HeaderValue>)>,
    /// The state that the application returned from start-up.
    state: OnceLock<State>,
}

impl ServerContext {
    pub(crate) fn new(app: BoxApp, config: Config) -> Self {
        let tasks = TaskTracker::new();
        Self {
            root_path: ByteString::from(config.root_path.as_str()),
            raw_root_path: head::encode_path(&config.root_path),
            app,
            stages: Arc::default(),
            http1: Arc::new(http1::codec_config(&config)),
            http2: http2::builder(&config, tasks.clone()),
            tasks,
            default_headers: default_headers(&config),
            state: OnceLock::new(),
            config,
        }
    }

    pub(crate) fn state(&self) -> State {
        self.state.get().cloned().unwrap_or_default()
    }

    pub(crate) fn set_state(&self, state: State) {
        self.state.set(state).expect("start-up completes once");
    }

    pub(crate) fn add_default_headers(&self, headers: &mut HeaderMap) {
        for (name, values) in &self.default_headers {
            // A response has few fields: one pass over them costs less than a look-up.
            if !headers.keys().any(|set| set == name) {
                for value in values {
                    headers.append(name, value.clone());
                }
            }
        }
    }

    /// Moves a call that outlives its exchange to a task of its own. After a disconnect the call has
    /// the grace period.
    // Not inlined, because the task's future would be on the stack of every exchange.
    #[inline(never)]
    pub(crate) fn detach(&self, call: Call, end: Arc<impl ServerEnd + ?Sized>) {
        self.spawn(call.run(end, self.config.timeout_disconnect));
    }

    /// Runs `work` on a task of its own. A shutdown waits for the task, and drops it at the stage
    /// [`Ending`](Stage::Ending).
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stages = self.stages.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = stages.reached(Stage::Ending) => {}
                () = work => {}
            }
        });
    }
}

/// Returns the fields that are added to responses without a field of that name.
fn default_headers(config: &Config) -> Vec<(HeaderName, Vec<HeaderValue>)> {
    let mut all: Vec<(HeaderName, Vec<HeaderValue>)> = Vec::new();
    for (name, value) in &config.headers {
        match all.iter_mut().find(|(added, _)| added == name) {
            Some((_, values)) => values.push(value.clone()),
            None => all.push((name.clone(), vec![value.clone()])),
        }
    }
    if config.server_header && !all.iter().any(|(name, _)| name == header::SERVER) {
        let server = HeaderValue::from_static("callgate");
        all.push((header::SERVER, vec![server]));
    }
    all
}
