//! Customers of Autumn, a billing service: validated content, a call with a bearer token, and error
//! responses for the errors of the service.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::routing::post;
use axum::{Json, Router};
use callgate::App;
use callgate_toolkit::errors::HttpError;
use email_address::{EmailAddress, Options};
use http::header::RETRY_AFTER;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use url::Url;

use crate::api::{self, ApiError, Index, JsonBody};
use crate::settings::Token;
use crate::stand_in::billing;
use crate::upstream::{Error, Upstream};
use crate::{Entry, Group, Service, Settings};

/// The entry of `customers` in the list of applications.
pub const ENTRY: Entry = Entry {
    name: "customers",
    group: Group::Services,
    summary: "Creates customers in a billing service (Autumn).",
    try_it: &[
        r#"curl -i {http}api/autumn/customers --json '{"id": "1", "name": "Ada", "email": "ada@example.com"}'"#,
    ],
    service: Some(&AUTUMN),
    source: include_str!("customers.rs"),
    app: |settings| AUTUMN.require_client(customers(settings), settings),
};

const INDEX: Index = Index {
    summary: ENTRY.summary,
    routes: &["POST /api/autumn/customers"],
};

static AUTUMN: Service = Service {
    name: "the billing service (Autumn)",
    setting: TOKEN,
    is_set: |settings| settings.autumn_url.is_some() || settings.autumn_token.is_some(),
};

/// The setting that has the token.
const TOKEN: &str = "`AUTUMN_TOKEN` in the environment";

/// The default URL of Autumn.
const URL: &str = "https://api.useautumn.com/v1";

/// The largest content of a request, in bytes.
const MAX_CONTENT: usize = 64 * 1024;

/// The longest ID or name, in characters.
const MAX_LENGTH: usize = 255;

/// The longest part of a message of Autumn that is passed on, in characters.
const MAX_MESSAGE: usize = 500;

/// Creates the application: `POST /api/autumn/customers` with
/// `{"id": ..., "name": ..., "email": ...}` creates that customer in Autumn, unless it exists, and
/// answers with the customer as Autumn has it.
///
/// Without [`Settings::autumn_url`] and [`Settings::autumn_token`] a stand-in answers. With a URL and
/// no token the response is a 503.
#[must_use]
pub fn customers(settings: &Settings) -> impl App + use<> {
    let url = settings.autumn_url.clone();
    let url = url.unwrap_or_else(|| Url::parse(URL).expect("a URL"));
    let upstream = match settings.autumn_token.clone() {
        Some(token) => Some(Upstream::at(url).token(token)),
        None if (AUTUMN.is_set)(settings) => None,
        None => Some(Upstream::stand_in(&AUTUMN, billing::app())),
    };
    let token = settings.autumn_token.clone();
    let autumn = upstream.map(|upstream| Arc::new(Autumn { upstream, token }));
    let routes = Router::new()
        .route("/api/autumn/customers", post(create))
        .layer(DefaultBodyLimit::max(MAX_CONTENT))
        .with_state(autumn);
    api::app_of_service(routes, INDEX, &AUTUMN, settings)
}

/// A customer, in our request and in that to Autumn.
#[derive(Debug, Deserialize, Serialize)]
struct Customer {
    id: String,
    name: String,
    email: String,
}

impl Customer {
    /// Checks every field. The error names each field that is wrong.
    fn validate(&self) -> Result<(), ApiError> {
        let is_email = EmailAddress::parse_with_options(
            &self.email,
            Options::default()
                .with_required_tld()
                .without_display_text()
                .without_domain_literal(),
        )
        .is_ok();
        let problems = [
            ("id", problem_with(&self.id)),
            ("name", problem_with(&self.name)),
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
        Err(ApiError::new(status, problems.join("; ")))
    }
}

fn problem_with(text: &str) -> Option<&'static str> {
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
) -> Result<Json<Box<RawValue>>, ApiError> {
    customer.validate()?;
    let autumn = autumn.ok_or_else(|| ApiError::not_set(TOKEN))?;
    Ok(Json(autumn.create(&customer).await?))
}

/// The billing service.
struct Autumn {
    upstream: Upstream,
    /// The token, which no response may repeat. A stand-in needs none.
    token: Option<Token>,
}

impl Autumn {
    async fn create(&self, customer: &Customer) -> Result<Box<RawValue>, ApiError> {
        let response = self.request(customer).await;
        response.map_err(|error| self.error_response(error))
    }

    async fn request(&self, customer: &Customer) -> Result<Box<RawValue>, Error> {
        let request = self.upstream.request(Method::POST, &["customers"])?;
        request.json(customer)?.fetch().await
    }

    /// Returns the error response. An error that the client can correct is passed on; a wrong token is
    /// not the client's error.
    fn error_response(&self, error: Error) -> ApiError {
        let Error::UnexpectedStatus(response) = &error else {
            return error.into_api_error(&AUTUMN);
        };
        let status = response.status();
        match status {
            StatusCode::BAD_REQUEST
            | StatusCode::NOT_FOUND
            | StatusCode::CONFLICT
            | StatusCode::UNPROCESSABLE_ENTITY => {
                let message = format!("{}: {}", AUTUMN.name, self.message(response.body()));
                ApiError::new(status, message)
            }
            // The limit is for all clients of this application together.
            StatusCode::TOO_MANY_REQUESTS => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                let message = format!("{}: it takes no more requests for now", AUTUMN.name);
                let error = HttpError::new(status, message);
                match response.headers().get(RETRY_AFTER) {
                    Some(time) => error.header(RETRY_AFTER, time.clone()).into(),
                    None => error.into(),
                }
            }
            _ => error.into_api_error(&AUTUMN),
        }
    }

    /// Returns the text of an error of Autumn, `{"message": "...", "code": "..."}`. If the text repeats
    /// the token, the token is replaced.
    fn message(&self, content: &[u8]) -> String {
        #[derive(Deserialize)]
        struct AutumnError {
            message: String,
            code: Option<String>,
        }
        let text = match serde_json::from_slice(content) {
            Ok(AutumnError {
                message,
                code: Some(code),
            }) => format!("{message} ({code})"),
            Ok(AutumnError { message, .. }) => message,
            Err(_) => "it does not accept this customer".to_owned(),
        };
        let text = match &self.token {
            Some(token) => text.replace(token.expose(), "[token]"),
            None => text,
        };
        text.chars().take(MAX_MESSAGE).collect()
    }
}
