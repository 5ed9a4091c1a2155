//! Figures of an upstream service: a route that passes on one item, and a route that fetches three lists
//! concurrently and combines them.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use callgate::{App, BoxApp};
use http::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::api::{self, ApiError, Index, Path};
use crate::upstream::{Error, Upstream};
use crate::{Entry, Group, Settings};

/// The entry of `dashboard` in the list of applications.
pub const ENTRY: Entry = Entry {
    name: "dashboard",
    group: Group::Services,
    summary: "Fetches an item of an upstream service, or three lists concurrently. Needs UPSTREAM_URL.",
    try_it: &["curl -i {http}dashboard", "curl -i {http}proxy/42"],
    app: |settings| BoxApp::new(dashboard(settings)),
};

const INDEX: Index = Index {
    summary: ENTRY.summary,
    routes: &["GET /proxy/{item_id}", "GET /dashboard"],
};

/// Creates the application, with two routes for the service at [`Settings::upstream_url`].
///
/// When that service fails, the response is a 502; when it is too slow, a 504; without the setting, a
/// 503.
#[must_use]
pub fn dashboard(settings: &Settings) -> impl App + use<> {
    let upstream = settings.upstream_url.clone().map(|url| {
        let upstream = Upstream::new(url);
        match settings.upstream_timeout {
            Some(timeout) => upstream.timeout(timeout),
            None => upstream,
        }
    });
    let routes = Router::new()
        .route("/proxy/{item_id}", get(proxy))
        .route("/dashboard", get(overview))
        .route("/dashboard/", get(overview))
        .with_state(AppState(upstream));
    api::app(routes, INDEX)
}

/// JSON that is passed on byte for byte, so that no number loses a digit.
type RawJson = Box<RawValue>;

#[derive(Clone)]
struct AppState(Option<Upstream>);

impl AppState {
    fn upstream(&self) -> Result<&Upstream, ApiError> {
        let setting = "--upstream-url or UPSTREAM_URL";
        self.0.as_ref().ok_or_else(|| ApiError::not_set(setting))
    }

    /// Fetches a list of the upstream service.
    async fn list(&self, name: &'static str) -> Result<RawJson, ApiError> {
        let response = self.upstream()?.get(&[name]).await;
        response.map_err(|error| error.into_api_error(&format!("the upstream service's {name}")))
    }
}

async fn proxy(
    State(service): State<AppState>,
    Path(item_id): Path<String>,
) -> Result<Json<RawJson>, ApiError> {
    let response = service.upstream()?.get(&["items", &item_id]).await;
    let is_missing = match &response {
        Err(Error::UnexpectedStatus { status, .. }) => *status == StatusCode::NOT_FOUND,
        Err(Error::InvalidPath) => true,
        _ => false,
    };
    if is_missing {
        let message = format!("there is no item `{item_id}`");
        return Err(ApiError::new(StatusCode::NOT_FOUND, message));
    }
    response
        .map(Json)
        .map_err(|error| error.into_api_error("the upstream service"))
}

#[derive(Serialize)]
struct Overview {
    users: RawJson,
    products: RawJson,
    sales: RawJson,
}

/// Fetches the three lists concurrently. When one fails, the requests for the others are dropped.
async fn overview(State(service): State<AppState>) -> Result<Json<Overview>, ApiError> {
    let (users, products, sales) = tokio::try_join!(
        service.list("users"),
        service.list("products"),
        service.list("sales"),
    )?;
    Ok(Json(Overview {
        users,
        products,
        sales,
    }))
}
