//! The page of the inspector.

mod token;
mod view;

use std::time::Duration;

use callgate::{App, AppError, HttpScope, Receiver, Scope, Sender};
use callgate_conformance::ReplayOptions;
use callgate_toolkit::errors::{self, HandleErrors, HttpError};
use callgate_toolkit::middleware::SecurityHeaders;
use callgate_toolkit::respond::Response;
use callgate_toolkit::sse::Event;
use callgate_toolkit::{read, respond};
use futures_util::stream::{self, Stream};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde::Deserialize;

use crate::export;
use crate::inspector::Inspector;
use crate::replay::CannotReplay;
use crate::watch::Watch;
use view::{ChangesView, ExchangeView, ReplayView};

pub use token::Token;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Nothing but the page's own style and script, and its own requests.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The shortest time between two events of the feed. What changes in between is told together.
const FEED_INTERVAL: Duration = Duration::from_millis(100);

/// The largest content of a request, in octets.
const CONTENT_LIMIT: usize = 64 * 1024;

/// The page that shows the exchanges of an [`Inspector`]: an application, for an address that others do not reach.
///
/// The page itself holds nothing secret. It reads the exchanges with the [`Token`], which the fragment of its
/// address gives to it (`/#token=...`), and which a browser sends to no server. There are no cookies, so that no other
/// page can use what a browser has.
///
/// While the page is open, the inspector keeps exchanges.
///
/// ```
/// use callgate_inspector::{Inspector, InspectorPage, Token};
///
/// let inspector = Inspector::new();
/// let page = InspectorPage::new(inspector, Token::random());
/// ```
#[derive(Debug)]
pub struct InspectorPage {
    app: SecurityHeaders<HandleErrors<Page>>,
}

impl InspectorPage {
    /// Creates the page of `inspector`, for those who have `token`.
    #[must_use]
    pub fn new(inspector: Inspector, token: Token) -> Self {
        let app = errors::handle(Page { inspector, token });
        Self {
            app: SecurityHeaders::new(app)
                .set_header("content-security-policy", CONTENT_SECURITY_POLICY)
                .set_header("referrer-policy", "no-referrer"),
        }
    }
}

impl App for InspectorPage {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        self.app.call(scope, receiver, sender).await
    }
}

/// The page without what is around it.
#[derive(Debug)]
struct Page {
    inspector: Inspector,
    token: Token,
}

/// Credentials for a replay, in place of masked ones.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ReplayRequest {
    credentials: Vec<(String, String)>,
}

impl App for Page {
    async fn call(
        &self,
        scope: Scope,
        mut receiver: Receiver,
        sender: Sender,
    ) -> Result<(), AppError> {
        let scope = scope.into_http()?;
        let path = scope.route_path();
        let asset = match &*path {
            "/" => Some(("text/html; charset=utf-8", PAGE)),
            "/page.css" => Some(("text/css; charset=utf-8", STYLE)),
            "/page.js" => Some(("text/javascript; charset=utf-8", SCRIPT)),
            _ => None,
        };
        if let Some((content_type, content)) = asset {
            expect_method(&scope, &[Method::GET, Method::HEAD])?;
            return respond::bytes(content)
                .header(CONTENT_TYPE, content_type)
                // A browser asks again after the program was replaced.
                .header(CACHE_CONTROL, "no-cache")
                .send(&sender)
                .await;
        }
        if !self.token.is_in(&scope) {
            return unauthorized().send(&sender).await;
        }
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match parts[..] {
            ["feed"] => {
                expect_method(&scope, &[Method::GET])?;
                self.send_feed(&mut receiver, &sender).await
            }
            ["exchanges"] => {
                expect_method(&scope, &[Method::DELETE])?;
                self.inspector.clear();
                respond::status(StatusCode::NO_CONTENT).send(&sender).await
            }
            ["exchanges", number, "replay"] => {
                expect_method(&scope, &[Method::POST])?;
                let request = read::json(&scope, &mut receiver, CONTENT_LIMIT).await?;
                let replayed = self.replay(parse_number(number)?, request).await?;
                send_kept(replayed, &sender).await
            }
            ["exchanges", number, ref form @ ..] => {
                expect_method(&scope, &[Method::GET])?;
                let response = self.show(&scope, parse_number(number)?, form)?;
                send_kept(response, &sender).await
            }
            _ => Err(not_found("there is nothing at this path").into()),
        }
    }
}

impl Page {
    async fn send_feed(&self, receiver: &mut Receiver, sender: &Sender) -> Result<(), AppError> {
        let events = feed(
            self.inspector.watch(),
            self.inspector.shared().bounds.exchanges,
        );
        respond::events(receiver, events).send(sender).await
    }

    /// Returns an exchange in one of its forms.
    fn show(&self, scope: &HttpScope, number: u64, form: &[&str]) -> Result<Response, AppError> {
        let exchange = self.inspector.exchange(number);
        let exchange = exchange.ok_or_else(|| not_found("the exchange is no longer kept"))?;
        let text = |text: Option<String>| {
            let text = text.ok_or_else(|| not_found("a lifespan has no such form"))?;
            Ok(respond::text(text))
        };
        match form {
            [] => {
                let cannot_replay = self.inspector.replay_subject(&exchange).err();
                let from = scope.query().strip_prefix("from=");
                let from = from.and_then(|from| from.parse().ok()).unwrap_or_default();
                let view =
                    ExchangeView::new(&exchange, from, cannot_replay.map(|it| it.to_string()));
                Ok(respond::json(&view).map_err(AppError::failed)?)
            }
            ["curl"] => text(export::curl(&exchange)),
            ["test"] => text(export::test_code(&exchange)),
            ["recording"] => {
                let file = format!("attachment; filename=\"exchange-{number}.jsonl\"");
                Ok(respond::bytes(export::recording(&exchange))
                    .header(CONTENT_TYPE, "application/jsonl")
                    .header(CONTENT_DISPOSITION, file))
            }
            _ => Err(not_found("an exchange has no such form").into()),
        }
    }

    async fn replay(&self, number: u64, request: ReplayRequest) -> Result<Response, AppError> {
        let mut options = ReplayOptions::new();
        for (name, value) in request.credentials {
            let invalid = || {
                let message = format!("`{name}` with this value cannot be a header field");
                HttpError::new(StatusCode::UNPROCESSABLE_ENTITY, message)
            };
            let field = HeaderName::try_from(&name).map_err(|_| invalid())?;
            let value = HeaderValue::try_from(&value).map_err(|_| invalid())?;
            options = options.credential(field, value);
        }
        match self.inspector.replay(number, options).await {
            Ok(replayed) => {
                Ok(respond::json(&ReplayView::new(&replayed)).map_err(AppError::failed)?)
            }
            Err(CannotReplay::Gone) => Err(not_found(&CannotReplay::Gone.to_string()).into()),
            Err(reason) => Err(HttpError::new(StatusCode::CONFLICT, reason.to_string()).into()),
        }
    }
}

/// Returns the events of the feed: first all exchanges that are kept, then what changes.
fn feed(watch: Watch, keeps: usize) -> impl Stream<Item = Event> + Send {
    stream::unfold((watch, true), move |(mut watch, is_first)| async move {
        if !is_first {
            tokio::time::sleep(FEED_INTERVAL).await;
        }
        let changes = watch.next().await;
        let event = Event::json(&ChangesView::new(&changes, keeps));
        let event = event.expect("numbers and texts are JSON");
        Some((event, (watch, false)))
    })
}

/// Sends a response with exchanges, which are not to be stored.
async fn send_kept(response: Response, sender: &Sender) -> Result<(), AppError> {
    response
        .header(CACHE_CONTROL, "no-store")
        .send(sender)
        .await
}

fn expect_method(scope: &HttpScope, allowed: &[Method]) -> Result<(), AppError> {
    if allowed.contains(&scope.method) {
        return Ok(());
    }
    let names: Vec<_> = allowed.iter().map(Method::as_str).collect();
    let names = names.join(", ");
    let message = format!("only these methods are served here: {names}");
    Err(HttpError::new(StatusCode::METHOD_NOT_ALLOWED, message)
        .header(ALLOW, names)
        .into())
}

fn parse_number(text: &str) -> Result<u64, AppError> {
    text.parse()
        .map_err(|_| not_found("an exchange has a number").into())
}

fn not_found(message: &str) -> HttpError {
    HttpError::new(StatusCode::NOT_FOUND, message)
}

fn unauthorized() -> Response {
    let message = "this needs the token in the address that the program has logged";
    HttpError::new(StatusCode::UNAUTHORIZED, message)
        .response()
        .header(WWW_AUTHENTICATE, "Bearer")
}
