//! Orders of t-shirts, which are approved or out of stock: an events application for CloudBlue Connect.
//!
//! This file has the handlers. The folder `src/events/` has how events, schedules and variables reach
//! them.

mod app;
mod context;
mod http;
mod job;
mod lifespan;
mod message;
mod registry;
mod response;
#[cfg(test)]
mod tests;
mod variables;
mod websocket;

use callgate::App;
use serde::Deserialize;
use serde_json::{Value, json};

use self::app::EventsApp;
use self::context::Context;
use self::registry::Registry;
use self::response::{
    BackgroundResponse, HandlerError, InteractiveResponse, ScheduledExecutionResponse,
};
use crate::connect::{CONNECT, Filter};
use crate::{Entry, Group, Settings, http_errors};

/// The entry of `events` in the list of applications.
pub const ENTRY: Entry = Entry {
    name: "events",
    group: Group::Services,
    summary: "Handles the orders of a marketplace (CloudBlue Connect), and runs a task on a schedule.",
    try_it: &[
        "curl {http}",
        "curl --json '{\"event_type\": \"asset_purchase_request_validation\", \"data\": {\"status\": \"draft\", \"asset\": {\"params\": [{\"value\": \"m\"}]}}}' {http}events",
        "curl --json '{\"event_type\": \"asset_purchase_request_processing\", \"object_id\": \"PR-1\"}' {http}events",
        "curl -X POST {http}schedules/update_stock/run",
        "curl {http}variables",
        "python -m websockets {ws}ws",
    ],
    service: Some(&CONNECT),
    source: include_str!("events.rs"),
    app: |settings| CONNECT.require_client(events(settings), settings),
};

const SIZES: [&str; 5] = ["xs", "s", "m", "l", "xl"];

const OUT_OF_STOCK_SIZE: &str = "OUT_OF_STOCK_SIZE";

/// Creates the application for the API at [`Settings::connect_url`]. Without the setting, a stand-in answers.
///
/// - `POST /events` receives an event. The response to an interactive event is that of its handler. A
///   background event is answered with 202, and handled after that.
/// - `/ws` is a WebSocket that receives tasks, in the messages of Connect, and sends their results.
/// - `POST /schedules/NAME/run` runs a schedulable now, which otherwise runs at the interval of
///   [`Settings::events_schedule`].
/// - `GET /variables` returns the variables, and `GET /` all that is registered.
#[must_use]
pub fn events(settings: &Settings) -> impl App + use<> {
    http_errors::handle(EventsApp::new(t_shirts(), settings))
}

fn t_shirts() -> Registry {
    Registry::new()
        .variable(OUT_OF_STOCK_SIZE, "m")
        .schedulable(
            "update_stock",
            "Update stock",
            "Sets the variable OUT_OF_STOCK_SIZE to a random size, which is then out of stock",
            update_stock,
        )
        .interactive(
            "asset_purchase_request_validation",
            &["draft"],
            validate_tshirt_size,
        )
        .background(
            "asset_purchase_request_processing",
            &["pending"],
            approve_purchase_request,
        )
}

async fn update_stock(
    context: Context,
    _schedule: Value,
) -> Result<ScheduledExecutionResponse, HandlerError> {
    let size = SIZES[rand::random_range(..SIZES.len())];
    context.variables.set(OUT_OF_STOCK_SIZE, size).await?;
    Ok(ScheduledExecutionResponse::done())
}

async fn validate_tshirt_size(
    context: Context,
    mut request: Value,
) -> Result<InteractiveResponse, HandlerError> {
    let out_of_stock = context.variables.get(OUT_OF_STOCK_SIZE);
    let is_out_of_stock = text(&request, "/asset/params/0/value")? == out_of_stock;
    // A JSON pointer also matches an object with a field `0`.
    let params = request.pointer_mut("/asset/params");
    let Some(params) = params.and_then(Value::as_array_mut) else {
        let reason = "there is no list at /asset/params".to_owned();
        return Err(HandlerError::Invalid(reason));
    };
    if is_out_of_stock {
        let error = format!("Sorry, the size {out_of_stock} is out of stock");
        params[0]["value_error"] = error.into();
    }
    Ok(InteractiveResponse::done(request))
}

async fn approve_purchase_request(
    context: Context,
    request: Value,
) -> Result<BackgroundResponse, HandlerError> {
    #[derive(Deserialize)]
    struct Template {
        id: String,
    }
    let id = text(&request, "/id")?;
    let product = text(&request, "/asset/product/id")?;
    let connect = context.connect()?;
    let templates = connect
        .collection("products")
        .resource(product)
        .collection("templates")
        .filter(Filter::eq("scope", "asset") & Filter::eq("type", "fulfillment"));
    let Some(template) = templates.first::<Template>().await? else {
        let reason = format!("product {product} has no template for fulfillment");
        return Ok(BackgroundResponse::fail(reason));
    };
    let approve = connect
        .collection("requests")
        .resource(id)
        .action("approve");
    approve.post(&json!({ "template_id": template.id })).await?;
    Ok(BackgroundResponse::done())
}

/// Returns the text at a JSON pointer of the object that an event is about.
fn text<'a>(object: &'a Value, pointer: &str) -> Result<&'a str, HandlerError> {
    let text = object.pointer(pointer).and_then(Value::as_str);
    text.ok_or_else(|| HandlerError::Invalid(format!("there is no text at {pointer}")))
}
