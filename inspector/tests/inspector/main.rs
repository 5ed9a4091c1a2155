//! The inspector around applications that a test client calls.

mod exports;
mod keeping;
mod page;
mod replaying;

use std::sync::Arc;

use callgate::{AppError, Receiver, Scope, Sender};
use callgate_inspector::{Exchange, Inspector};
use callgate_toolkit::test_client::{Error, ResponseExt as _, TestClient};
use callgate_toolkit::{read, respond};

/// Responds with the content of the request, and with a cookie.
async fn echo(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    scope.into_http()?;
    let content = read::text(&mut receiver, 1024 * 1024).await?;
    respond::text(content)
        .header("set-cookie", "session=secret")
        .send(&sender)
        .await
}

/// Returns the last exchange.
fn last(inspector: &Inspector) -> Exchange {
    let exchange = (1..1000)
        .map_while(|number| inspector.exchange(number))
        .last();
    exchange.expect("an exchange is kept")
}

/// Returns the names of what happened in an exchange, such as `sent http.response.start`.
fn names(exchange: &Exchange) -> Vec<String> {
    let lines = exchange.lines();
    lines
        .map(|line| match (&line.called, &line.received, &line.sent) {
            (Some(scope), ..) => format!("called {}", scope.type_name()),
            (_, Some(event), _) => format!("received {}", event.type_name()),
            (_, _, Some(event)) => format!("sent {}", event.type_name()),
            _ => format!("ended {:?}", line.ended.expect("the end")),
        })
        .collect()
}

async fn post(client: &TestClient, content: &str) -> Result<String, Error> {
    let response = client.post("/").body(content.to_owned()).send().await?;
    Ok(response.text().to_owned())
}

fn strong_count<T>(value: &Arc<T>) -> usize {
    Arc::strong_count(value)
}
