//! Cookies and sessions: the cookie has a random ID, and the session itself stays in the server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use callgate::{App, AppError, HttpScope, Receiver, Scope, Sender};
use callgate_toolkit::cookies::{Cookie, CookieBuilder, SameSite, time};
use callgate_toolkit::{read, respond};
use http::{Method, StatusCode};
use serde::Deserialize;

const COOKIE: &str = "session";

/// The users who are logged in, by the ID of their session. A table of a database takes its place as soon as
/// there are several processes.
#[derive(Clone, Default)]
struct Sessions(Arc<Mutex<HashMap<String, String>>>);

impl Sessions {
    /// Begins a session with a new ID that nobody can guess.
    fn begin(&self, user: String) -> String {
        let id = format!("{:032x}", rand::random::<u128>());
        self.0.lock().unwrap().insert(id.clone(), user);
        id
    }

    fn user(&self, id: &str) -> Option<String> {
        self.0.lock().unwrap().get(id).cloned()
    }

    fn end(&self, id: &str) {
        self.0.lock().unwrap().remove(id);
    }
}

fn cookie(id: String) -> CookieBuilder<'static> {
    Cookie::build((COOKIE, id))
        .path("/")
        .http_only(true)
        .secure(true)
        .same_site(SameSite::Lax)
        .max_age(time::Duration::days(7))
}

fn session_id(scope: &HttpScope) -> Option<String> {
    let cookies = read::cookies(scope);
    cookies.get(COOKIE).map(|cookie| cookie.value().to_owned())
}

#[derive(Deserialize)]
struct Login {
    user: String,
}

/// The application: `POST /login` with a form, `GET /` for the user, `POST /logout`.
pub fn app() -> impl App {
    let sessions = Sessions::default();
    move |scope: Scope, receiver: Receiver, sender: Sender| {
        call(scope, receiver, sender, sessions.clone())
    }
}

async fn call(
    scope: Scope,
    mut receiver: Receiver,
    sender: Sender,
    sessions: Sessions,
) -> Result<(), AppError> {
    let scope = scope.into_http()?;
    let id = session_id(&scope);
    let user = id.as_deref().and_then(|id| sessions.user(id));
    let response = match (&scope.method, scope.path().as_ref()) {
        (&Method::GET, "/") => match user {
            Some(user) => respond::text(format!("Hello, {user}!\n")),
            None => respond::text("Who are you?\n").status(StatusCode::UNAUTHORIZED),
        },
        (&Method::POST, "/login") => {
            // A real application checks a password here.
            let Login { user } = read::form(&scope, &mut receiver, 4096).await?;
            // The ID from before the login is not used again, so nobody else can have planted it.
            respond::see_other("/").cookie(cookie(sessions.begin(user)))
        }
        (&Method::POST, "/logout") => {
            if let Some(id) = id {
                sessions.end(&id);
            }
            respond::see_other("/").remove_cookie(cookie(String::new()))
        }
        _ => respond::status(StatusCode::NOT_FOUND),
    };
    response.send(&sender).await
}

#[cfg(test)]
mod tests {
    use callgate::Scheme;
    use callgate_toolkit::test_client::{ResponseExt, TestClient};

    #[tokio::test]
    async fn a_user_stays_logged_in_until_the_logout() {
        // The cookie is `secure`: the client keeps it over HTTPS.
        let client = TestClient::new(super::app()).scheme(Scheme::Https);
        assert_eq!(client.get("/").send().await.unwrap().status(), 401);

        let login = client.post("/login").form(&[("user", "Ada")]);
        assert_eq!(login.send().await.unwrap().status(), 303);
        assert_eq!(
            client.get("/").send().await.unwrap().text(),
            "Hello, Ada!\n"
        );

        let cookie = client.cookies().get("session").unwrap();
        client.post("/logout").send().await.unwrap();
        assert_eq!(client.get("/").send().await.unwrap().status(), 401);

        // A copy of the cookie is worth nothing after the logout.
        let copy = client
            .get("/")
            .header("cookie", format!("session={cookie}"));
        assert_eq!(copy.send().await.unwrap().status(), 401);
    }
}
