//! What the suite asks an application for: one path, or each of the requests in the options.

use std::sync::Arc;

use bytes::Bytes;
use callgate::{BoxApp, ByteString, Message};
use http::{HeaderMap, Method};

use super::asgi;
use super::case::{Case, CaseResult, NotPassed};
use super::exercise::{self, Exercise};
use super::options::AppOptions;
use super::requests::{AppRequest, RequestKind};
use super::scenario_runner::ScenarioRunner;
use crate::basis::Basis;

/// The exchanges with one application, for each target of the options.
pub(super) struct Targets {
    runners: Vec<ScenarioRunner>,
    allows_errors: bool,
    is_asgi: bool,
}

impl Targets {
    pub(super) fn new(
        make: impl Fn() -> BoxApp + Send + Sync + 'static,
        options: AppOptions,
    ) -> Self {
        let make: Arc<dyn Fn() -> BoxApp + Send + Sync> = Arc::new(make);
        let (allows_errors, is_asgi) = (options.allows_errors, options.asgi);
        let runners = each_target(options)
            .into_iter()
            .map(|options| {
                let make = make.clone();
                ScenarioRunner::new(Box::new(move || make()), options)
            })
            .collect();
        Self {
            runners,
            allows_errors,
            is_asgi,
        }
    }

    /// Runs a case for each target. It fails if it fails for one, and passes if it passes for one.
    pub(super) fn run(&mut self, case: &Case) -> CaseResult {
        if self.is_asgi
            && let Basis::CallgateOnly(why) = asgi::basis(&case.check)
        {
            return Err(NotPassed::NotDemanded(why));
        }
        let is_one = self.runners.len() == 1;
        let mut result: Option<CaseResult> = None;
        for runner in &mut self.runners {
            let of_target = match case.run(runner) {
                Ok(()) if !self.allows_errors => exercise::unless_refused(runner, case.check.rule),
                other => other,
            };
            match of_target {
                Err(NotPassed::Failed(mut failure)) => {
                    if !is_one {
                        let target = runner.options.target();
                        failure.seen = format!("{target}: {}", failure.seen);
                    }
                    return Err(NotPassed::Failed(failure));
                }
                Ok(()) => result = Some(Ok(())),
                other => {
                    result.get_or_insert(other);
                }
            }
        }
        result.expect("there is a target")
    }

    /// Returns why the checks say little about the application; `None` if the suite has exercised it.
    pub(super) fn gap(&mut self) -> Option<String> {
        let mut refused = Vec::new();
        for runner in &mut self.runners {
            match exercise::of(runner) {
                Exercise::NotStarted(reason) => {
                    return Some(exercise::without_startup(&reason, self.is_asgi));
                }
                Exercise::Refused(asked) => refused.extend(asked),
                Exercise::Done => {}
            }
        }
        (!refused.is_empty() && !self.allows_errors).then(|| exercise::refused_all(&refused))
    }

    /// Returns whether something has needed the start-up of the application.
    pub(super) fn has_tried_startup(&self) -> bool {
        self.runners.iter().any(ScenarioRunner::has_tried_startup)
    }

    /// Returns why the start-up of the application failed, if it was tried and failed.
    pub(super) fn startup_failure(&self) -> Option<Arc<str>> {
        self.runners
            .iter()
            .find_map(ScenarioRunner::startup_failure)
    }
}

/// Returns the options for each target. Without a list of requests there is one; else each path of requests is one, and each path
/// of WebSockets is in one.
fn each_target(mut options: AppOptions) -> Vec<AppOptions> {
    let Some(requests) = options.requests.take() else {
        return vec![options];
    };
    let (mut http, mut websockets) = (Vec::new(), Vec::new());
    for request in requests.into_inner() {
        match request.kind {
            RequestKind::Http { .. } => merge(&mut http, request),
            RequestKind::WebSocket { .. } => merge(&mut websockets, request),
        }
    }
    let mut websockets = websockets.into_iter();
    let mut targets: Vec<_> = http
        .into_iter()
        .map(|http| http.options(websockets.next(), &options))
        .collect();
    targets.extend(websockets.map(|websocket| websocket.options(None, &options)));
    targets
}

/// The requests to one path, or the WebSockets.
struct Target {
    path: String,
    /// `None` for GET, HEAD and POST: the suite makes requests without and with content.
    method: Option<Method>,
    headers: HeaderMap,
    contents: Vec<Bytes>,
    /// The subprotocols and the messages of a WebSocket.
    websocket: Option<(Vec<ByteString>, Vec<Message>)>,
}

/// Adds a request to the target with its path and method, or as a new one.
fn merge(targets: &mut Vec<Target>, request: AppRequest) {
    let AppRequest {
        path,
        headers,
        kind,
    } = request;
    let (method, content, websocket) = match kind {
        RequestKind::Http { method, content } => {
            let is_plain = ["GET", "HEAD", "POST"].contains(&method.as_str());
            ((!is_plain).then_some(method), content, None)
        }
        RequestKind::WebSocket {
            subprotocols,
            messages,
        } => (None, Bytes::new(), Some((subprotocols, messages))),
    };
    let same = |target: &Target| target.path == path && target.method == method;
    let position = targets.iter().position(same).unwrap_or_else(|| {
        targets.push(Target {
            path,
            method,
            headers: HeaderMap::new(),
            contents: Vec::new(),
            websocket,
        });
        targets.len() - 1
    });
    let target = &mut targets[position];
    add_missing(&mut target.headers, &headers);
    if !content.is_empty() && !target.contents.contains(&content) {
        target.contents.push(content);
    }
}

/// Adds the fields of `others` whose names `fields` does not have.
fn add_missing(fields: &mut HeaderMap, others: &HeaderMap) {
    let missing: Vec<_> = others
        .keys()
        .filter(|name| !fields.contains_key(*name))
        .cloned()
        .collect();
    for name in missing {
        for value in others.get_all(&name) {
            fields.append(&name, value.clone());
        }
    }
}

impl Target {
    /// Returns `options` with this target, and with the WebSocket `other` if this is one of requests.
    fn options(self, other: Option<Target>, options: &AppOptions) -> AppOptions {
        let mut options = options.clone();
        add_missing(&mut options.headers, &self.headers);
        options.path.clone_from(&self.path);
        options.method.clone_from(&self.method);
        if let [content, others @ ..] = &self.contents[..] {
            options.body = content.clone();
            options.other_bodies = others.to_vec();
        }
        let websocket = if self.websocket.is_some() {
            Some(self)
        } else {
            other
        };
        if let Some(Target {
            path,
            headers,
            websocket: Some((subprotocols, messages)),
            ..
        }) = websocket
        {
            add_missing(&mut options.headers, &headers);
            options.websocket_path = Some(path);
            if !subprotocols.is_empty() {
                options.subprotocols = subprotocols;
            }
            if !messages.is_empty() {
                options.messages = messages;
            }
        }
        options
    }
}
