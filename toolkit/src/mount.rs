//! Several applications as one, each below a path of its own.
//!
//! ```
//! use callgate::{AppError, Receiver, Scope, Sender};
//! use callgate_toolkit::mount::Mounts;
//! use callgate_toolkit::respond;
//!
//! async fn users(_: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
//!     respond::text("users\n").send(&sender).await
//! }
//!
//! async fn home(_: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
//!     respond::text("home\n").send(&sender).await
//! }
//!
//! let app = Mounts::new().mount("/api/users", users).mount("", home);
//! ```

use callgate::{
    App, AppError, BoxApp, LifespanShutdownComplete, LifespanShutdownFailed,
    LifespanStartupComplete, LifespanStartupFailed, ReceiveEvent, Receiver, Scope, Sender, State,
};
use http::StatusCode;

use crate::lifespan::{self, RunningLifespan};
use crate::middleware::Refusal;
use crate::respond::{self, Response};

/// An application that hands each exchange to the application that is mounted at a prefix of its path.
///
/// - Prefixes are compared with the decoded path below the root path, segment by segment. The longest
///   prefix wins; an application mounted at `""` gets what no other prefix fits.
/// - A mounted application sees the prefix appended to `root_path`, and the target unchanged (rule
///   `SCOPE-16`), so it routes by `route_path()` wherever it is mounted.
/// - Where nothing is mounted the response is a 404. A WebSocket gets a 403 where the server does not
///   offer denial responses.
/// - At start-up the applications are started in the order in which they were mounted; at shutdown they
///   are shut down in reverse. Each gets the state that its own start-up handed over.
#[derive(Clone, Debug, Default)]
pub struct Mounts {
    mounts: Vec<Mount>,
    adds_slash: bool,
}

#[derive(Clone, Debug)]
struct Mount {
    /// Empty, or with a slash at the beginning and none at the end.
    prefix: String,
    app: BoxApp,
}

/// The states that the mounted applications handed over, in the order of the mounts.
#[derive(Default)]
struct States(Vec<State>);

impl Mounts {
    /// Creates an application without mounts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Mounts `app` at this decoded prefix, such as `/api`. A slash at its end makes no difference.
    ///
    /// # Panics
    ///
    /// When the prefix is not empty and does not begin with a slash, or when an application is mounted
    /// there already.
    #[must_use]
    pub fn mount(mut self, prefix: &str, app: impl App) -> Self {
        let prefix = prefix.trim_end_matches('/').to_owned();
        assert!(
            prefix.is_empty() || prefix.starts_with('/'),
            "the prefix `{prefix}` does not begin with a slash"
        );
        assert!(
            self.mounts.iter().all(|mount| mount.prefix != prefix),
            "an application is mounted at `{prefix}` already"
        );
        self.mounts.push(Mount {
            prefix,
            app: BoxApp::new(app),
        });
        self
    }

    /// Redirects a request for a bare prefix to the prefix with a slash, so that relative links lead
    /// below it. By default the application gets the request, and its `route_path()` is `/` in both
    /// cases. A WebSocket is never redirected: its client does not follow redirects.
    #[must_use]
    pub fn redirect_to_slash(mut self) -> Self {
        self.adds_slash = true;
        self
    }

    /// Returns the mount for this path, its index, and whether the path is the bare prefix.
    fn find(&self, path: &str) -> Option<(usize, &Mount, bool)> {
        let fitting = self.mounts.iter().enumerate().filter_map(|(index, mount)| {
            let rest = path.strip_prefix(&*mount.prefix)?;
            let is_below = rest.is_empty() || rest.starts_with('/') || mount.prefix.is_empty();
            is_below.then_some((index, mount, rest.is_empty()))
        });
        fitting.max_by_key(|(_, mount, _)| mount.prefix.len())
    }
}

impl App for Mounts {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        if let Scope::Lifespan(_) = scope {
            return self.serve_lifespan(receiver, sender).await;
        }
        let Some(path) = scope.route_path() else {
            return Err(AppError::Unsupported);
        };
        match (self.find(&path), &scope) {
            (Some((_, _, true)), Scope::Http(http)) if self.adds_slash => {
                respond::add_slash(&http.uri).send(&sender).await
            }
            (Some((index, mount, _)), _) => {
                drop(path);
                let scope = mount.enter(index, scope);
                mount.app.call(scope, receiver, sender).await
            }
            (None, scope) => match Refusal::of(scope) {
                Some(refusal) => refusal.send(not_found(), &sender).await,
                None => Err(AppError::Unsupported),
            },
        }
    }
}

impl Mount {
    /// Returns the scope as the mounted application sees it.
    fn enter(&self, index: usize, mut scope: Scope) -> Scope {
        if let Some(root_path) = scope.root_path() {
            let root_path = root_path.trim_end_matches('/');
            scope.set_root_path(format!("{root_path}{}", self.prefix));
        }
        if let Some(request) = scope.request_mut()
            && let Some(states) = request.state.get::<States>()
        {
            let own = states.0.get(index).cloned().unwrap_or_default();
            // The application must not find the states of its siblings. Where it has mounts of its own,
            // their states are part of its state.
            request.state.insert(States::default());
            request.state.extend(&own);
        }
        scope
    }

    /// Returns the prefix as messages show it.
    fn name(&self) -> &str {
        match &*self.prefix {
            "" => "/",
            prefix => prefix,
        }
    }
}

impl Mounts {
    /// Serves the lifespan scope with the lifespans of all mounted applications.
    async fn serve_lifespan(&self, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        let mut started = Vec::new();
        loop {
            match receiver.receive().await {
                ReceiveEvent::LifespanStartup => match self.start_all(&mut started).await {
                    Ok(state) => {
                        let complete = LifespanStartupComplete::with_state(state);
                        sender.send(complete).await?;
                    }
                    Err(message) => {
                        // The failed start-up is reported; failures of the shutdown follow from it.
                        let _ = shut_down_all(started).await;
                        sender.send(LifespanStartupFailed::new(message)).await?;
                        return Ok(());
                    }
                },
                ReceiveEvent::LifespanShutdown => {
                    match shut_down_all(started).await {
                        Ok(()) => sender.send(LifespanShutdownComplete::new()).await?,
                        Err(message) => sender.send(LifespanShutdownFailed::new(message)).await?,
                    }
                    return Ok(());
                }
                _ => {}
            }
        }
    }

    async fn start_all<'a>(
        &'a self,
        started: &mut Vec<(&'a str, RunningLifespan)>,
    ) -> Result<State, String> {
        let mut states = Vec::new();
        for mount in &self.mounts {
            let name = mount.name();
            let lifespan = lifespan::start(mount.app.clone()).await;
            let lifespan = lifespan.map_err(|reason| format!("{name}: {reason}"))?;
            let own = lifespan.as_ref().map(|lifespan| lifespan.state().clone());
            states.push(own.unwrap_or_default());
            started.extend(lifespan.map(|lifespan| (name, lifespan)));
        }
        let mut state = State::new();
        state.insert(States(states));
        Ok(state)
    }
}

/// Shuts all of them down in reverse order, also after one of them has failed.
async fn shut_down_all(started: Vec<(&str, RunningLifespan)>) -> Result<(), String> {
    let mut failures = Vec::new();
    for (name, lifespan) in started.into_iter().rev() {
        if let Err(reason) = lifespan.shutdown().await {
            failures.push(format!("{name}: {reason}"));
        }
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(failures.join("; "))
    }
}

fn not_found() -> Response {
    respond::text("There is no application here.\n").status(StatusCode::NOT_FOUND)
}
