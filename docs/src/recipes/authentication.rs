//! Authentication as a middleware: the application inside is called for known users alone, and finds the
//! user in the extensions of its scope.

use callgate::{App, AppError, Receiver, Scope, Sender};
use callgate_toolkit::middleware::{Next, from_fn};
use callgate_toolkit::respond;
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};

/// The user whom a request comes from.
#[derive(Clone, Debug)]
struct User(&'static str);

/// Returns the user of a token. A real application looks for the hash of the token in a database.
fn user(headers: &HeaderMap) -> Option<User> {
    let token = headers
        .get(AUTHORIZATION)?
        .to_str()
        .ok()?
        .strip_prefix("Bearer ")?;
    (token == "secret").then_some(User("Ada"))
}

async fn authenticate(
    mut scope: Scope,
    receiver: Receiver,
    sender: Sender,
    next: Next,
) -> Result<(), AppError> {
    let request = match &mut scope {
        Scope::Http(scope) => &mut scope.request,
        Scope::WebSocket(scope) => &mut scope.request,
        // Start-up and shutdown have no user.
        _ => return next.call(scope, receiver, sender).await,
    };
    if let Some(user) = user(&request.headers) {
        request.extensions.insert(user);
        return next.call(scope, receiver, sender).await;
    }
    let refusal = respond::text("Who are you?\n")
        .status(StatusCode::UNAUTHORIZED)
        .header("www-authenticate", "Bearer");
    match scope {
        Scope::WebSocket(_) => refusal.deny(&sender).await,
        _ => refusal.send(&sender).await,
    }
}

async fn profile(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    let scope = scope.into_http()?;
    let User(name) = scope
        .extensions
        .get()
        .ok_or_else(|| AppError::failed("no user"))?;
    respond::text(format!("This is {name}.\n"))
        .send(&sender)
        .await
}

/// The application with the middleware around it.
pub fn app() -> impl App {
    from_fn(profile, authenticate)
}

#[cfg(test)]
mod tests {
    use callgate_toolkit::test_client::{ResponseExt, TestClient};

    #[tokio::test]
    async fn the_application_is_called_for_known_users_alone() {
        let client = TestClient::new(super::app());
        let response = client.get("/").send().await.unwrap();
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers()["www-authenticate"], "Bearer");

        let request = client.get("/").header("authorization", "Bearer guessed");
        assert_eq!(request.send().await.unwrap().status(), 401);

        let request = client.get("/").header("authorization", "Bearer secret");
        assert_eq!(request.send().await.unwrap().text(), "This is Ada.\n");
    }

    #[tokio::test]
    async fn a_websocket_without_a_user_is_refused() {
        let client = TestClient::new(super::app());
        let error = client.websocket("/").connect().await.unwrap_err();
        assert_eq!(error.response().unwrap().status(), 401);
    }
}
