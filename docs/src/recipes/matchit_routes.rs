//! Routes without a framework: `matchit` finds the handler, and the application calls it.

use std::sync::Arc;

use callgate::{App, AppError, HttpScope, Receiver, Scope, Sender};
use callgate_toolkit::respond;
use http::{Method, StatusCode};
use matchit::{Params, Router};

#[derive(Clone, Copy)]
enum Route {
    List,
    Item,
}

fn routes() -> Result<Router<Route>, matchit::InsertError> {
    let mut routes = Router::new();
    routes.insert("/items", Route::List)?;
    routes.insert("/items/{id}", Route::Item)?;
    Ok(routes)
}

/// Creates the application.
///
/// # Errors
///
/// Two routes are in conflict.
pub fn app() -> Result<impl App, matchit::InsertError> {
    let routes = Arc::new(routes()?);
    Ok(move |scope: Scope, _: Receiver, sender: Sender| {
        let routes = Arc::clone(&routes);
        async move {
            let scope = scope.into_http()?;
            respond(&routes, &scope, &sender).await
        }
    })
}

async fn respond(
    routes: &Router<Route>,
    scope: &HttpScope,
    sender: &Sender,
) -> Result<(), AppError> {
    // The path below a mount, decoded.
    let path = scope.route_path();
    let Ok(found) = routes.at(&path) else {
        let response = respond::text("There is no such page.\n").status(StatusCode::NOT_FOUND);
        return response.send(sender).await;
    };
    if scope.method != Method::GET {
        return respond::method_not_allowed("GET").send(sender).await;
    }
    let response = match found.value {
        Route::List => respond::text("items\n"),
        Route::Item => item(&found.params),
    };
    response.send(sender).await
}

fn item(params: &Params<'_, '_>) -> respond::Response {
    let id = params.get("id").unwrap_or_default();
    match id.parse::<u64>() {
        Ok(id) => respond::text(format!("item {id}\n")),
        Err(_) => respond::text("An ID is a number.\n").status(StatusCode::BAD_REQUEST),
    }
}

#[cfg(test)]
mod tests {
    use callgate_toolkit::test_client::{ResponseExt, TestClient};

    #[tokio::test]
    async fn each_path_and_method_has_its_handler() {
        let client = TestClient::new(super::app().unwrap());
        let response = client.get("/items/7").send().await.unwrap();
        assert_eq!(response.text(), "item 7\n");
        let response = client.get("/items").send().await.unwrap();
        assert_eq!(response.text(), "items\n");
        for (target, status) in [("/items/seven", 400), ("/orders", 404)] {
            let response = client.get(target).send().await.unwrap();
            assert_eq!(response.status(), status, "{target}");
        }
        let response = client.post("/items").send().await.unwrap();
        assert_eq!(response.status(), 405);
        assert_eq!(response.headers()["allow"], "GET");
    }
}
