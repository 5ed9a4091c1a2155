//! Templates: minijinja has the syntax of Jinja2, and escapes values in HTML.

use std::sync::Arc;

use callgate::{App, AppError, Receiver, Scope, Sender};
use callgate_toolkit::{read, respond};
use minijinja::{Environment, context};
use serde::Deserialize;

const GREETING: &str = "<!doctype html><title>Hello</title><p>Hello, {{ name }}!</p>";

#[derive(Deserialize)]
struct Greeting {
    name: String,
}

/// Creates the application.
///
/// # Errors
///
/// A template is malformed. So the program ends at its start, and not with the first request.
pub fn app() -> Result<impl App, minijinja::Error> {
    let mut templates = Environment::new();
    // The name ends in `.html`, so values are escaped. `include_str!` takes a template from a file.
    templates.add_template("greeting.html", GREETING)?;
    let templates = Arc::new(templates);
    Ok(move |scope: Scope, _: Receiver, sender: Sender| {
        let templates = Arc::clone(&templates);
        async move { greet(scope, sender, &templates).await }
    })
}

async fn greet(scope: Scope, sender: Sender, templates: &Environment<'_>) -> Result<(), AppError> {
    let scope = scope.into_http()?;
    let Greeting { name } = read::query(&scope)?;
    let page = templates
        .get_template("greeting.html")?
        .render(context! { name })?;
    respond::html(page).send(&sender).await
}

#[cfg(test)]
mod tests {
    use callgate_toolkit::test_client::{ResponseExt, TestClient};

    #[tokio::test]
    async fn a_value_is_escaped() {
        let client = TestClient::new(super::app().unwrap());
        let response = client.get("/?name=%3Cb%3EAda").send().await.unwrap();
        assert_eq!(
            response.headers()["content-type"],
            "text/html; charset=utf-8"
        );
        assert!(
            response.text().contains("Hello, &lt;b&gt;Ada!"),
            "{}",
            response.text()
        );
    }
}
