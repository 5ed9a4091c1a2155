//! All the other applications under one roof, each mounted at `/NAME/`, and a page to find them.

use std::collections::HashMap;

use callgate::{
    App, AppError, BoxApp, Extension, HttpResponseBody, HttpResponseStart, HttpScope,
    LifespanShutdownFailed, LifespanStartupComplete, LifespanStartupFailed, ReceiveEvent, Receiver,
    Scope, SendEvent, Sender, State, WebSocketClose,
};
use http::{StatusCode, Uri};

use crate::mount::Started;
use crate::{Entry, method};

mod page;

/// What the command line knows of it.
pub const ENTRY: Entry = Entry {
    name: "gallery",
    summary: "Serves all the others, each under its name, and a page to find them.",
    try_it: &["curl {http}"],
    app: || BoxApp::new(Gallery::default()),
};

/// Serves a page that presents some applications, and each of them under its name.
#[derive(Debug)]
pub struct Gallery {
    mounts: Vec<Mount>,
}

#[derive(Debug)]
struct Mount {
    entry: Entry,
    app: BoxApp,
}

/// What each application's start-up handed over, by its name.
struct States(HashMap<&'static str, State>);

impl Default for Gallery {
    /// The gallery of all applications but itself.
    fn default() -> Self {
        Self::new(crate::all().iter().filter(|entry| entry.name != ENTRY.name))
    }
}

impl Gallery {
    /// The gallery of these applications.
    pub fn new<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mounts = entries.into_iter().map(|entry| Mount {
            entry: *entry,
            app: (entry.app)(),
        });
        Self {
            mounts: mounts.collect(),
        }
    }
}

impl App for Gallery {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        if let Scope::Lifespan(_) = scope {
            return self.live(receiver, sender).await;
        }
        let Some(route) = scope
            .route_path()
            .map(|path| Route::of(&path, &self.mounts))
        else {
            return Err(AppError::Unsupported);
        };
        match (route, scope) {
            (Route::Index, Scope::Http(scope)) => self.present(&scope, &sender).await,
            (Route::Beside(_), Scope::Http(scope)) => add_slash(&scope.uri, &sender).await,
            // A WebSocket's client does not follow redirects.
            (Route::Beside(mount) | Route::Below(mount), scope) => {
                mount.app.call(mount.enter(scope), receiver, sender).await
            }
            (_, scope) => not_found(&scope, &sender).await,
        }
    }
}

/// Where a path leads.
enum Route<'a> {
    Index,
    /// To `/NAME`, whose relative links would lead astray.
    Beside(&'a Mount),
    /// To `/NAME/` and what is below it.
    Below(&'a Mount),
    Nowhere,
}

impl<'a> Route<'a> {
    fn of(path: &str, mounts: &'a [Mount]) -> Self {
        let path = path.strip_prefix('/').unwrap_or(path);
        let (name, is_below) = match path.split_once('/') {
            Some((name, _)) => (name, true),
            None => (path, false),
        };
        match mounts.iter().find(|mount| mount.entry.name == name) {
            Some(mount) if is_below => Self::Below(mount),
            Some(mount) => Self::Beside(mount),
            None if path.is_empty() => Self::Index,
            None => Self::Nowhere,
        }
    }
}

impl Mount {
    /// The scope as the mounted application sees it: the prefix goes to the root path, the target
    /// stays as it is (rule `SCOPE-16`), and the state is its own.
    fn enter(&self, mut scope: Scope) -> Scope {
        if let Some(root_path) = scope.root_path() {
            scope.set_root_path(format!("{root_path}/{}", self.entry.name));
        }
        if let Some(state) = scope.state_mut() {
            let own = state
                .get::<States>()
                .and_then(|states| states.0.get(self.entry.name).cloned());
            state.extend(&own.unwrap_or_default());
        }
        scope
    }
}

impl Gallery {
    /// Lives through the lifespan of every application: start-up in order, shutdown in reverse.
    async fn live(&self, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        let mut started = Vec::new();
        loop {
            match receiver.receive().await {
                ReceiveEvent::LifespanStartup => match self.start_all(&mut started).await {
                    Ok(state) => {
                        sender
                            .send(LifespanStartupComplete::with_state(state))
                            .await?;
                    }
                    Err(message) => {
                        shut_down_all(started).await.ok();
                        sender.send(LifespanStartupFailed::new(message)).await?;
                        return Ok(());
                    }
                },
                ReceiveEvent::LifespanShutdown => {
                    let answer = match shut_down_all(started).await {
                        Ok(()) => SendEvent::LifespanShutdownComplete,
                        Err(message) => LifespanShutdownFailed::new(message).into(),
                    };
                    sender.send(answer).await?;
                    return Ok(());
                }
                _ => {}
            }
        }
    }

    async fn start_all(&self, started: &mut Vec<(&'static str, Started)>) -> Result<State, String> {
        let mut states = HashMap::new();
        for Mount { entry, app } in &self.mounts {
            let start = Started::start(app).await;
            if let Some(one) = start.map_err(|reason| format!("{}: {reason}", entry.name))? {
                states.insert(entry.name, one.state.clone());
                started.push((entry.name, one));
            }
        }
        let mut state = State::new();
        state.insert(States(states));
        Ok(state)
    }

    async fn present(&self, scope: &HttpScope, sender: &Sender) -> Result<(), AppError> {
        if !method::is_read(&scope.method) {
            return method::not_allowed(sender).await;
        }
        if !scope.raw_path().ends_with('/') {
            return add_slash(&scope.uri, sender).await;
        }
        let entries = self.mounts.iter().map(|mount| &mount.entry);
        let start = HttpResponseStart::ok().header("content-type", "text/html; charset=utf-8");
        sender.send(start).await?;
        sender
            .send(HttpResponseBody::last(page::render(scope, entries)))
            .await?;
        Ok(())
    }
}

/// Every one is told, in reverse order, even when one before it has failed.
async fn shut_down_all(started: Vec<(&'static str, Started)>) -> Result<(), String> {
    let mut failures = Vec::new();
    for (name, one) in started.into_iter().rev() {
        if let Err(reason) = one.shut_down().await {
            failures.push(format!("{name}: {reason}"));
        }
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(failures.join("; "))
    }
}

/// Redirects to the same path with a slash behind it: relatively, and so under any root path.
async fn add_slash(uri: &Uri, sender: &Sender) -> Result<(), AppError> {
    let segment = uri.path().rsplit('/').next().unwrap_or_default();
    let query = uri.query().map(|query| format!("?{query}"));
    // What may stand in a target may stand in a header field: this cannot fail.
    let location = format!("./{segment}/{}", query.unwrap_or_default());
    let start = HttpResponseStart::new(StatusCode::TEMPORARY_REDIRECT).header("location", location);
    sender.send(start).await?;
    sender.send(HttpResponseBody::end()).await?;
    Ok(())
}

async fn not_found(scope: &Scope, sender: &Sender) -> Result<(), AppError> {
    let start = HttpResponseStart::new(StatusCode::NOT_FOUND)
        .header("content-type", "text/plain; charset=utf-8");
    let body = HttpResponseBody::last("There is no application here.\n");
    match scope {
        Scope::WebSocket(scope) if scope.extensions.contains(Extension::DenialResponse) => {
            sender.send(SendEvent::DenialResponseStart(start)).await?;
            sender.send(SendEvent::DenialResponseBody(body)).await?;
        }
        Scope::WebSocket(_) => sender.send(WebSocketClose::default()).await?,
        _ => {
            sender.send(start).await?;
            sender.send(body).await?;
        }
    }
    Ok(())
}
