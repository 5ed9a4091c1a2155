//! The API of Connect, played by tests.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use callgate_apps::{Settings, Token};
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use tokio::sync::{Semaphore, watch};

use crate::upstream::Upstream;

/// A request to Connect.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RecordedRequest {
    /// The method and the target, such as `GET /v1/marketplaces?limit=100&offset=0`.
    pub(crate) line: String,
    pub(crate) key: String,
    pub(crate) content: Value,
}

/// A stand-in for Connect that records requests. Its responses can be held back.
pub(crate) struct Connect {
    upstream: Upstream,
    asked: watch::Receiver<Vec<RecordedRequest>>,
    gate: Arc<Semaphore>,
    most_at_once: Arc<Mutex<(usize, usize)>>,
}

impl Connect {
    /// Starts a stand-in whose responses depend on the method and the target.
    pub(crate) fn start<R: IntoResponse>(
        answer: impl Fn(&str) -> R + Clone + Send + Sync + 'static,
    ) -> Self {
        let (noted, asked) = watch::channel(Vec::new());
        let gate = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        let most_at_once = Arc::<Mutex<(usize, usize)>>::default();
        let (noted, its_gate, at_once) = (Arc::new(noted), gate.clone(), most_at_once.clone());
        let routes = Router::new().fallback(async move |request: Request| -> Response {
            let line = format!("{} {}", request.method(), request.uri());
            let (parts, body) = request.into_parts();
            let content = axum::body::to_bytes(body, 1024 * 1024).await.unwrap();
            {
                let mut at_once = at_once.lock().unwrap();
                at_once.0 += 1;
                at_once.1 = at_once.1.max(at_once.0);
            }
            noted.send_modify(|asked| asked.push(note(line.clone(), &parts.headers, &content)));
            its_gate.acquire().await.unwrap().forget();
            at_once.lock().unwrap().0 -= 1;
            answer(&line).into_response()
        });
        Self {
            upstream: Upstream::start(routes),
            asked,
            gate,
            most_at_once,
        }
    }

    /// Returns settings with the URL of the stand-in and a key.
    pub(crate) fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        settings.connect_url = Some(self.upstream.url().join("v1").unwrap());
        settings.connect_token = Some(Token::new("its own"));
        settings
    }

    /// Returns all requests so far.
    pub(crate) fn asked(&self) -> Vec<RecordedRequest> {
        self.asked.borrow().clone()
    }

    /// Returns the methods and targets of all requests so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }

    /// Waits for this number of requests.
    pub(crate) async fn wait_for_requests(&self, times: usize) {
        let mut asked = self.asked.clone();
        asked.wait_for(|asked| asked.len() >= times).await.unwrap();
    }

    /// Holds back all responses.
    pub(crate) fn hold_answers(&self) {
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// Releases this number of responses.
    pub(crate) fn release_answers(&self, answers: usize) {
        self.gate.add_permits(answers);
    }

    /// Returns the largest number of requests that were in flight at a time.
    pub(crate) fn most_at_once(&self) -> usize {
        self.most_at_once.lock().unwrap().1
    }
}

fn note(line: String, headers: &HeaderMap, content: &Bytes) -> RecordedRequest {
    let key = headers["authorization"].to_str().unwrap().to_owned();
    let content = match &content[..] {
        [] => Value::Null,
        content => {
            assert_eq!(headers["content-type"], "application/json");
            serde_json::from_slice(content).unwrap()
        }
    };
    RecordedRequest { line, key, content }
}

/// Returns a page of a list with `total` resources.
pub(crate) fn page(resources: Value, total: usize) -> Response {
    let last = resources.as_array().map_or(0, Vec::len).saturating_sub(1);
    let range = format!("items 0-{last}/{total}");
    ([("content-range", range)], Json(resources)).into_response()
}

/// Returns a response with JSON.
pub(crate) fn json_answer(value: Value) -> Response {
    Json(value).into_response()
}

/// Returns a response without content.
pub(crate) fn status(status: StatusCode) -> Response {
    status.into_response()
}
