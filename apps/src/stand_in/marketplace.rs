//! A stand-in for the marketplace that `chart` and `events` call: what they use of the API of CloudBlue
//! Connect.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use callgate::App;
use callgate_tower::ServiceApp;
use http::StatusCode;
use http::header::CONTENT_RANGE;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

/// The installation of `chart` that the stand-in has.
pub(crate) const INSTALLATION: &str = "EIN-1";

/// The marketplaces: the ID, the name, and the numbers of active and of ended subscriptions.
const MARKETPLACES: [(&str, &str, usize, usize); 5] = [
    ("MP-1", "Austria", 84, 9),
    ("MP-2", "Brazil", 131, 17),
    ("MP-3", "Canada", 57, 4),
    ("MP-4", "Denmark", 22, 11),
    ("MP-5", "Egypt", 103, 6),
];

/// The product that has a template.
const PRODUCT: &str = "PRD-1";

/// The settings of the installation, which `chart` saves.
type Settings = Arc<Mutex<Value>>;

/// Creates the marketplace.
pub(crate) fn app() -> impl App {
    let settings = Settings::new(Mutex::new(json!({ "marketplaces": marketplaces() })));
    let routes = Router::new()
        .route("/marketplaces", get(list_marketplaces))
        .route("/subscriptions/assets", get(list_assets))
        .route(
            "/devops/installations/{id}",
            get(installation).put(update_installation),
        )
        .route("/products/{id}/templates", get(list_templates))
        .route("/requests/{id}", get(request))
        .route("/requests/{id}/approve", post(approve))
        .with_state(settings);
    ServiceApp::new(routes)
}

fn marketplaces() -> Vec<Value> {
    let marketplaces = MARKETPLACES
        .map(|(id, name, _, _)| json!({"id": id, "name": name, "description": "", "icon": null}));
    marketplaces.to_vec()
}

fn assets() -> impl Iterator<Item = Value> {
    MARKETPLACES.into_iter().flat_map(|(id, _, active, ended)| {
        (0..active + ended).map(move |number| {
            let status = if number < active {
                "active"
            } else {
                "terminated"
            };
            json!({"id": format!("AS-{id}-{number}"), "status": status, "marketplace": {"id": id}})
        })
    })
}

async fn list_marketplaces(RawQuery(query): RawQuery) -> Response {
    page(marketplaces(), query)
}

async fn list_assets(RawQuery(query): RawQuery) -> Response {
    page(assets(), query)
}

async fn list_templates(
    Path(product): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, StatusCode> {
    if product != PRODUCT {
        return Err(StatusCode::NOT_FOUND);
    }
    let template = json!({"id": "TL-1", "scope": "asset", "type": "fulfillment"});
    Ok(page([template], query))
}

async fn installation(
    State(settings): State<Settings>,
    Path(id): Path<String>,
) -> Result<Json<Value>, StatusCode> {
    if id != INSTALLATION {
        return Err(StatusCode::NOT_FOUND);
    }
    let settings = settings.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Json(json!({"id": id, "settings": *settings})))
}

async fn update_installation(
    State(settings): State<Settings>,
    Path(id): Path<String>,
    Json(mut installation): Json<Value>,
) -> Result<Json<Value>, StatusCode> {
    if id != INSTALLATION {
        return Err(StatusCode::NOT_FOUND);
    }
    let saved = installation["settings"].take();
    let mut settings = settings.lock().unwrap_or_else(PoisonError::into_inner);
    settings.clone_from(&saved);
    Ok(Json(json!({"id": id, "settings": saved})))
}

async fn request(Path(id): Path<String>) -> Json<Value> {
    Json(json!({"id": id, "status": "pending", "asset": {"product": {"id": PRODUCT}}}))
}

async fn approve(Path(id): Path<String>) -> Json<Value> {
    Json(json!({"id": id, "status": "approved"}))
}

/// Returns the part of a list that a query asks for: `eq(FIELD,VALUE)` or `and(eq(..),eq(..))`, then
/// `limit=NUMBER` and `offset=NUMBER`.
fn page(resources: impl IntoIterator<Item = Value>, query: Option<String>) -> Response {
    let query = query.unwrap_or_default();
    let number = |name: &str, default: usize| {
        let mut parts = query.split('&');
        let number = parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        number.and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (limit, offset) = (number("limit", 100), number("offset", 0));
    let filter = query.split('&').next().unwrap_or_default();
    let conditions = conditions(filter);
    let mut found: Vec<_> = resources
        .into_iter()
        .filter(|resource| {
            conditions
                .iter()
                .all(|condition| condition.is_met(resource))
        })
        .collect();
    let total = found.len();
    found = found.into_iter().skip(offset).take(limit).collect();
    let last = (offset + found.len()).saturating_sub(1);
    let range = format!("items {offset}-{last}/{total}");
    ([(CONTENT_RANGE, range)], Json(found)).into_response()
}

/// A condition of a filter: a field has a value.
struct Condition {
    /// The field as a JSON pointer.
    pointer: String,
    value: String,
}

impl Condition {
    fn is_met(&self, resource: &Value) -> bool {
        let value = resource.pointer(&self.pointer).and_then(Value::as_str);
        value == Some(&self.value)
    }
}

fn conditions(filter: &str) -> Vec<Condition> {
    let conditions = filter.split("eq(").skip(1).filter_map(|rest| {
        let (field, value) = rest.split_once(')')?.0.split_once(',')?;
        let value = percent_decode_str(value).decode_utf8_lossy();
        Some(Condition {
            pointer: format!("/{}", field.replace('.', "/")),
            value: value.into_owned(),
        })
    });
    conditions.collect()
}
