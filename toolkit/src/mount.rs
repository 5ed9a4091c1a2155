//! Several applications as one, each below a path of its own.

use callgate::{
    App, AppError, BoxApp, LifespanShutdownFailed, LifespanStartupComplete, LifespanStartupFailed,
    ReceiveEvent, Receiver, Scope, SendEvent, Sender, State,
};
use http::{StatusCode, Uri};

use crate::lifespan::Started;
use crate::respond::{self, Response};
use crate::websocket::Handshake;

/// Several applications as one: what comes below a prefix goes to the application that is mounted
/// there.
///
/// - Prefixes are compared with the decoded path below the root path, segment by segment; the
///   longest that fits counts. An application mounted at `""` gets the rest.
/// - A mounted application sees the prefix appended to `root_path` and the target as it was (rule
///   `SCOPE-16`), so that it routes by `route_path()` wherever it is.
/// - Where nothing is mounted, the answer is 404: to a WebSocket, with 403 in its place where a
///   denial response is not offered.
/// - All are started up with the server, in the order in which they were mounted, and shut down in
///   reverse. Each gets the state that its own start-up handed over.
///
/// ```
/// use callgate::{AppError, Receiver, Scope, Sender};
/// use callgate_toolkit::mount::Mounts;
/// use callgate_toolkit::respond;
///
/// async fn users(_: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
///     respond::text("users\n").send(&sender).await?;
///     Ok(())
/// }
///
/// async fn home(_: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
///     respond::text("home\n").send(&sender).await?;
///     Ok(())
/// }
///
/// let app = Mounts::new().mount("/api/users", users).mount("", home);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Mounts {
    mounts: Vec<Mount>,
    adds_slash: bool,
}

#[derive(Clone, Debug)]
struct Mount {
    /// Empty, or with a slash before and none behind.
    prefix: String,
    app: BoxApp,
}

/// What the start-up of each mounted application handed over, in the order of the mounts.
#[derive(Default)]
struct States(Vec<State>);

impl Mounts {
    /// Nothing is mounted.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Mounts `app` at this prefix, decoded, such as `/api`; a slash behind it makes no difference.
    ///
    /// # Panics
    ///
    /// When the prefix is not empty and does not begin with a slash, or when something is mounted
    /// there.
    #[must_use]
    pub fn mount(mut self, prefix: &str, app: impl App) -> Self {
        let prefix = prefix.trim_end_matches('/').to_owned();
        assert!(
            prefix.is_empty() || prefix.starts_with('/'),
            "the prefix `{prefix}` does not begin with a slash"
        );
        assert!(
            self.mounts.iter().all(|mount| mount.prefix != prefix),
            "something is mounted at `{prefix}` already"
        );
        self.mounts.push(Mount {
            prefix,
            app: BoxApp::new(app),
        });
        self
    }

    /// Redirects a request for a prefix without a slash behind it to the one with it, so that
    /// relative links lead below it. Default: it goes to the application, whose `route_path()` is
    /// `/` in both cases. A WebSocket always does: its client does not follow redirects.
    #[must_use]
    pub fn redirect_to_slash(mut self) -> Self {
        self.adds_slash = true;
        self
    }

    /// The mount for this path, its place in the order, and whether the path is the very prefix.
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
            return self.live(receiver, sender).await;
        }
        let Some(path) = scope.route_path() else {
            return Err(AppError::Unsupported);
        };
        match (self.find(&path), &scope) {
            (Some((_, _, true)), Scope::Http(http)) if self.adds_slash => {
                add_slash(&http.uri).send(&sender).await?;
                Ok(())
            }
            (Some((index, mount, _)), _) => {
                drop(path);
                let scope = mount.enter(index, scope);
                mount.app.call(scope, receiver, sender).await
            }
            (None, Scope::WebSocket(scope)) => {
                let handshake = Handshake::new(scope, receiver, sender);
                handshake.deny(not_found()).await?;
                Ok(())
            }
            (None, _) => {
                not_found().send(&sender).await?;
                Ok(())
            }
        }
    }
}

impl Mount {
    /// The scope as the mounted application sees it.
    fn enter(&self, index: usize, mut scope: Scope) -> Scope {
        if let Some(root_path) = scope.root_path() {
            let root_path = root_path.trim_end_matches('/');
            scope.set_root_path(format!("{root_path}{}", self.prefix));
        }
        if let Some(state) = scope.state_mut()
            && let Some(states) = state.get::<States>()
        {
            let own = states.0.get(index).cloned().unwrap_or_default();
            // Those of mounts further in, if there are any, come with its own.
            state.insert(States::default());
            state.extend(&own);
        }
        scope
    }

    /// What it is called in messages.
    fn name(&self) -> &str {
        match &*self.prefix {
            "" => "/",
            prefix => prefix,
        }
    }
}

impl Mounts {
    /// Lives through the lifespan of every application.
    async fn live(&self, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        let mut started = Vec::new();
        loop {
            match receiver.receive().await {
                ReceiveEvent::LifespanStartup => match self.start_all(&mut started).await {
                    Ok(state) => {
                        let complete = LifespanStartupComplete::with_state(state);
                        sender.send(complete).await?;
                    }
                    Err(message) => {
                        // That it could not start is what its user has to know.
                        let _ = shut_down_all(started).await;
                        sender.send(LifespanStartupFailed::new(message)).await?;
                        return Ok(());
                    }
                },
                ReceiveEvent::LifespanShutdown => {
                    let answer = match shut_down_all(started).await {
                        Ok(()) => SendEvent::LifespanShutdownComplete(LifespanShutdownComplete::new()),
                        Err(message) => LifespanShutdownFailed::new(message).into(),
                    };
                    sender.send(answer).await?;
                    return Ok(());
                }
                _ => {}
            }
        }
    }

    async fn start_all<'a>(
        &'a self,
        started: &mut Vec<(&'a str, Started)>,
    ) -> Result<State, String> {
        let mut states = Vec::new();
        for mount in &self.mounts {
            let name = mount.name();
            let start = Started::start(mount.app.clone()).await;
            let start = start.map_err(|reason| format!("{name}: {reason}"))?;
            let own = start.as_ref().map(|start| start.state().clone());
            states.push(own.unwrap_or_default());
            started.extend(start.map(|start| (name, start)));
        }
        let mut state = State::new();
        state.insert(States(states));
        Ok(state)
    }
}

/// Every one is told, in reverse order, even when one before it has failed.
async fn shut_down_all(started: Vec<(&str, Started)>) -> Result<(), String> {
    let mut failures = Vec::new();
    for (name, started) in started.into_iter().rev() {
        if let Err(reason) = started.shut_down().await {
            failures.push(format!("{name}: {reason}"));
        }
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(failures.join("; "))
    }
}

/// A redirect to the same target with a slash behind its path: relative, and so right under any
/// root path.
pub fn add_slash(uri: &Uri) -> Response {
    let segment = uri.path().rsplit('/').next().unwrap_or_default();
    let query = uri.query().map(|query| format!("?{query}"));
    // What may stand in a target may stand in a header field.
    respond::redirect(format!("./{segment}/{}", query.unwrap_or_default()))
}

fn not_found() -> Response {
    respond::text("There is no application here.\n").status(StatusCode::NOT_FOUND)
}
