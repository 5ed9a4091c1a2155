//! Figures of an upstream service: a route that passes on one item, and a route that fetches three lists
//! concurrently and combines them.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use callgate::App;
use http::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::api::{self, ApiError, Index, Path};
use crate::stand_in::shop;
use crate::upstream::{Error, Upstream};
use crate::{Entry, Group, Service, Settings};

/// The entry of `dashboard` in the list of applications.
pub const ENTRY: Entry = Entry {
    name: "dashboard",
    group: Group::Services,
    summary: "Fetches an item of an upstream service (a shop), or three lists concurrently.",
    try_it: &["curl -i {http}dashboard", "curl -i {http}proxy/42"],
    service: Some(&SHOP),
    source: include_str!("dashboard.rs"),
    app: |settings| SHOP.require_client(dashboard(settings), settings),
};

const INDEX: Index = Index {
    summary: ENTRY.summary,
    routes: &["GET /proxy/{item_id}", "GET /dashboard"],
};

static SHOP: Service = Service {
    name: "the upstream service (a shop)",
    setting: "`--upstream-url` or `UPSTREAM_URL`",
    is_set: |settings| settings.upstream_url.is_some(),
};

/// Creates the application, with two routes for the service at [`Settings::upstream_url`]. Without the
/// setting, a stand-in answers.
///
/// When that service fails, the response is a 502; when it is too slow, a 504.
#[must_use]
pub fn dashboard(settings: &Settings) -> impl App + use<> {
    let upstream = match settings.upstream_url.clone() {
        Some(url) => Upstream::at(url),
        None => Upstream::stand_in(&SHOP, shop::app()),
    };
    let routes = Router::new()
        .route("/proxy/{item_id}", get(proxy))
        .route("/dashboard", get(overview))
        .route("/dashboard/", get(overview))
        .with_state(AppState(upstream.timeout(settings.upstream_timeout)));
    api::app_of_service(routes, INDEX, &SHOP, settings)
}

/// JSON that is passed on byte for byte, so that no number loses a digit.
type RawJson = Box<RawValue>;

#[derive(Clone)]
struct AppState(Upstream);

impl AppState {
    /// Fetches a list of the upstream service.
    async fn list(&self, name: &'static str) -> Result<RawJson, ApiError> {
        let response = self.0.get(&[name]).await;
        let subject = format!("the list `{name}` of {}", SHOP.name);
        response.map_err(|error| error.into_http_error(&subject).into())
    }
}

async fn proxy(
    State(service): State<AppState>,
    Path(item_id): Path<String>,
) -> Result<Json<RawJson>, ApiError> {
    let response = service.0.get(&["items", &item_id]).await;
    let is_missing = match &response {
        Err(Error::UnexpectedStatus(response)) => response.status() == StatusCode::NOT_FOUND,
        Err(Error::InvalidPath) => true,
        _ => false,
    };
    if is_missing {
        let message = format!("there is no item `{item_id}`");
        return Err(ApiError::new(StatusCode::NOT_FOUND, message));
    }
    response
        .map(Json)
        .map_err(|error| error.into_api_error(&SHOP))
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
