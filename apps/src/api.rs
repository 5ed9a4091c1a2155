//! What the applications written with axum share: every failure is a JSON answer and a line of the
//! log.

use std::error::Error;
use std::fmt;
use std::marker::PhantomData;

use axum::extract::path::ErrorKind;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use callgate_toolkit::errors::HttpError;
use callgate_tower::{ScopeInfo, ServiceApp};
use http::StatusCode;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// `routes` as an application. Its root tells what there is, where there is no route or not this
/// method the answer is JSON as well, and each failure leaves a line in the log.
pub(crate) fn app(routes: Router, index: Index) -> ServiceApp<Router> {
    let routes = routes
        .route("/", get(async move || Json(index)))
        .fallback(async || Failure::new(StatusCode::NOT_FOUND, "there is nothing at this path"))
        .method_not_allowed_fallback(async || {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            Failure::new(status, "this path does not take this method")
        })
        .layer(middleware::from_fn(log_failures));
    ServiceApp::new(routes)
}

/// What the root of an application tells of it.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Index {
    /// What it does.
    pub(crate) summary: &'static str,
    /// Its routes, such as `GET /items/{item_id}`.
    pub(crate) routes: &'static [&'static str],
}

/// Why a request was not served as it asked: answered with `{"error": "..."}`, as
/// [`callgate_toolkit::errors`] does it.
#[derive(Debug)]
pub(crate) struct Failure(HttpError);

impl Failure {
    /// One with this status, of which the client is told this.
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        HttpError::new(status, message).into()
    }

    /// One for want of a setting, which is named as `--flag or VARIABLE`.
    pub(crate) fn not_set(setting: &str) -> Self {
        let message = format!("this is not set up: it needs {setting}");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }
}

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        Self(error)
    }
}

impl From<JsonRejection> for Failure {
    fn from(rejection: JsonRejection) -> Self {
        let message = match &rejection {
            // What is behind it names the field and the place.
            JsonRejection::JsonDataError(error) => innermost(error).to_string(),
            JsonRejection::JsonSyntaxError(error) => {
                format!("the content is not JSON: {}", innermost(error))
            }
            JsonRejection::MissingJsonContentType(_) => {
                "the `content-type` must be `application/json`".to_owned()
            }
            _ if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                "the content is larger than the limit".to_owned()
            }
            _ => rejection.body_text(),
        };
        Self::new(rejection.status(), message)
    }
}

impl From<PathRejection> for Failure {
    fn from(rejection: PathRejection) -> Self {
        let PathRejection::FailedToDeserializePathParams(error) = rejection else {
            return Self::new(rejection.status(), rejection.body_text());
        };
        let message = match error.kind() {
            ErrorKind::ParseErrorAtKey {
                key,
                value,
                expected_type: "i64",
            } => format!("{key}: `{value}` is not an integer of 64 bits"),
            kind => kind.to_string(),
        };
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }
}

/// What is behind all the others.
fn innermost<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body<'a> {
            error: &'a str,
        }
        let Self(error) = self;
        let body = Json(Body {
            error: error.message(),
        });
        let mut response = (error.status(), error.headers().clone(), body).into_response();
        let reason = Reason(error.to_string());
        response.extensions_mut().insert(reason);
        response
    }
}

/// What the log says of a failure, the client need not know all of it.
#[derive(Clone)]
struct Reason(String);

async fn log_failures(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    // Where it is mounted is part of what was asked for.
    let info = request.extensions().get::<ScopeInfo>();
    let root_path = info.map_or("", |info| &info.root_path);
    let path = format!("{root_path}{}", request.uri().path());
    let response = next.run(request).await;
    if let Some(Reason(reason)) = response.extensions().get() {
        let status = response.status().as_u16();
        let line = format!("{method} {path} {status}: {reason}");
        // Some of it comes from outside and must not look like a line of its own.
        let line = line.replace(char::is_control, " ");
        if response.status().is_server_error() {
            tracing::error!("{line}");
        } else {
            tracing::info!("{line}");
        }
    }
    response
}

/// The content of a request as an object of JSON: [`axum::Json`] with its rejection as a [`Failure`].
#[derive(Debug)]
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let Json(Object(content)) = Json::from_request(request, state).await?;
        Ok(Self(content))
    }
}

/// What is written as an object. A struct alone would be taken from a list of its values as well.
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(fields)).map(Object)
            }
        }

        deserializer.deserialize_map(Fields(PhantomData))
    }
}

/// Parameters of the path: [`axum::extract::Path`] with its rejection as a [`Failure`].
#[derive(Debug, FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Failure))]
pub(crate) struct Path<T>(pub(crate) T);
