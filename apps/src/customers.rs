//! Customers made known to Autumn, a billing service: a validated body, a call with a bearer token,
//! and its errors passed on as clear answers.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::routing::post;
use axum::{Json, Router};
use callgate::{App, BoxApp};
use callgate_toolkit::errors::HttpError;
use email_address::{EmailAddress, Options};
use http::header::RETRY_AFTER;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use url::Url;

use crate::api::{self, Failure, Index, JsonBody};
use crate::settings::Token;
use crate::upstream::{Error, Upstream, fetch};
use crate::{Entry, Group, Settings};

/// What the gallery and the command line know of it.
pub const ENTRY: Entry = Entry {
    name: "customers",
    group: Group::Services,
    summary: "Makes customers known to Autumn, a billing service. Needs AUTUMN_TOKEN.",
    try_it: &[
        r#"curl -i {http}api/autumn/customers --json '{"id": "1", "name": "Ada", "email": "ada@example.com"}'"#,
    ],
    app: |settings| BoxApp::new(customers(settings)),
};

const INDEX: Index = Index {
    summary: ENTRY.summary,
    routes: &["POST /api/autumn/customers"],
};

/// Where Autumn is, unless it is said otherwise.
const AUTUMN: &str = "https://api.useautumn.com/v1";

/// How many bytes a request may have.
const MAX_CONTENT: usize = 64 * 1024;

/// How many characters an id or a name may have.
const MAX_LENGTH: usize = 255;

/// How many characters of a message of Autumn's are passed on.
const MAX_MESSAGE: usize = 500;

/// `POST /api/autumn/customers` with `{"id": ..., "name": ..., "email": ...}`: asks Autumn for that
/// customer, which makes it where it is new, and answers with what Autumn says of it.
///
/// Without [`Settings::autumn_token`] the answer is 503.
#[must_use]
pub fn customers(settings: &Settings) -> impl App + use<> {
    let url = settings.autumn_url.clone();
    let url = url.unwrap_or_else(|| Url::parse(AUTUMN).expect("a URL"));
    let autumn = settings.autumn_token.clone().map(|token| {
        Arc::new(Autumn {
            upstream: Upstream::new(url).token(token.clone()),
            token,
        })
    });
    let routes = Router::new()
        .route("/api/autumn/customers", post(create))
        .layer(DefaultBodyLimit::max(MAX_CONTENT))
        .with_state(autumn);
    api::app(routes, INDEX)
}

/// A customer, as one asks for it and as Autumn is asked for it.
#[derive(Debug, Deserialize, Serialize)]
struct Customer {
    id: String,
    name: String,
    email: String,
}

impl Customer {
    /// All that is wrong with it, by field.
    fn validate(&self) -> Result<(), Failure> {
        let is_email = EmailAddress::parse_with_options(
            &self.email,
            Options::default()
                .with_required_tld()
                .without_display_text()
                .without_domain_literal(),
        )
        .is_ok();
        let problems = [
            ("id", wrong_with(&self.id)),
            ("name", wrong_with(&self.name)),
            ("email", (!is_email).then_some("is not an email address")),
        ];
        let problems: Vec<_> = problems
            .into_iter()
            .filter_map(|(field, problem)| Some(format!("{field}: {}", problem?)))
            .collect();
        if problems.is_empty() {
            return Ok(());
        }
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Err(Failure::new(status, problems.join("; ")))
    }
}

fn wrong_with(text: &str) -> Option<&'static str> {
    if text.trim().is_empty() {
        Some("is empty")
    } else if text.chars().count() > MAX_LENGTH {
        Some("is longer than 255 characters")
    } else if text.contains(char::is_control) {
        Some("has control characters")
    } else {
        None
    }
}

async fn create(
    State(autumn): State<Option<Arc<Autumn>>>,
    JsonBody(customer): JsonBody<Customer>,
) -> Result<Json<Box<RawValue>>, Failure> {
    customer.validate()?;
    let autumn = autumn.ok_or_else(|| Failure::not_set("AUTUMN_TOKEN in the environment"))?;
    Ok(Json(autumn.create(&customer).await?))
}

/// The billing service.
struct Autumn {
    upstream: Upstream,
    token: Token,
}

impl Autumn {
    async fn create(&self, customer: &Customer) -> Result<Box<RawValue>, Failure> {
        let answer = match self.upstream.request(Method::POST, &["customers"]) {
            Ok(request) => fetch(request.json(customer)).await,
            Err(error) => Err(error),
        };
        answer.map_err(|error| self.failure(error))
    }

    /// What the client is told. A refusal is passed on where it is the client who can do something
    /// about it; that the token is wrong is not its business.
    fn failure(&self, error: Error) -> Failure {
        let Error::Refused {
            status,
            headers,
            content,
        } = &error
        else {
            return error.of("Autumn");
        };
        match *status {
            StatusCode::BAD_REQUEST
            | StatusCode::NOT_FOUND
            | StatusCode::CONFLICT
            | StatusCode::UNPROCESSABLE_ENTITY => {
                let message = format!("Autumn: {}", self.message(content));
                Failure::new(*status, message)
            }
            // It is this service that asks too often, all its clients together.
            StatusCode::TOO_MANY_REQUESTS => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                let failure = HttpError::new(status, "Autumn: it takes no more requests for now");
                match headers.get(RETRY_AFTER) {
                    Some(time) => failure.header(RETRY_AFTER, time.clone()).into(),
                    None => failure.into(),
                }
            }
            _ => error.of("Autumn"),
        }
    }

    /// What Autumn says of a refusal, `{"message": "...", "code": "..."}`; without the token,
    /// should it be so kind as to repeat it.
    fn message(&self, content: &[u8]) -> String {
        #[derive(Deserialize)]
        struct Refusal {
            message: String,
            code: Option<String>,
        }
        let text = match serde_json::from_slice(content) {
            Ok(Refusal {
                message,
                code: Some(code),
            }) => format!("{message} ({code})"),
            Ok(Refusal { message, .. }) => message,
            Err(_) => "it does not accept this customer".to_owned(),
        };
        let text = text.replace(self.token.expose(), "[token]");
        text.chars().take(MAX_MESSAGE).collect()
    }
}
