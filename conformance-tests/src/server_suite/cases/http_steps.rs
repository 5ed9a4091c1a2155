//! Steps that the cases of `http.md` have in common.

use callgate::{HttpResponseBody, HttpResponseStart, ReceiveEvent};

use crate::probe::Step;
use crate::server_suite::bench::Bench;
use crate::server_suite::case::{Outcome, must};
use crate::server_suite::remote::Remote;
use crate::server_suite::request::Request;

/// A request to which the application answers this text at once.
pub(super) fn answered(request: Request, text: &'static str) -> Request {
    request
        .sends(HttpResponseStart::ok())
        .sends(HttpResponseBody::last(text))
        .step(Step::Return)
}

/// Has the application answer this text in one piece.
pub(super) async fn respond(app: &mut Remote, text: &'static str) -> Outcome {
    app.send(HttpResponseStart::ok()).await?;
    app.send(HttpResponseBody::last(text)).await
}

/// Waits for the events of a [`Step::ReceiveBody`], of which the last has `more_body` unset or is
/// no `http.request`.
pub(super) async fn events(app: &mut Remote, step: u64) -> Outcome<Vec<ReceiveEvent>> {
    let mut events = Vec::new();
    loop {
        let event = app.received(Some(step)).await?;
        let is_last = !matches!(&event, ReceiveEvent::HttpRequest(request) if request.more_body);
        events.push(event);
        if is_last {
            return Ok(events);
        }
    }
}

/// Has the application receive the whole content.
pub(super) async fn content(app: &mut Remote) -> Outcome<Vec<u8>> {
    let step = app.begin(Step::ReceiveBody);
    let mut content = Vec::new();
    for event in events(app, step).await? {
        match event {
            ReceiveEvent::HttpRequest(part) => content.extend_from_slice(&part.body),
            other => must!(false, "received {other:?} in place of the rest"),
        }
    }
    Ok(content)
}

/// Has the application receive until it is told of a disconnect.
pub(super) async fn disconnect(app: &mut Remote) -> Outcome {
    while app.receive().await? != ReceiveEvent::HttpDisconnect {}
    Ok(())
}

/// Sends octets on a connection of their own, which the server must answer with `status` and then
/// close, without calling the application.
pub(super) async fn refused(bench: &mut Bench<'_>, octets: &str, status: u16) -> Outcome {
    let server = bench.server().await?;
    let mut client = server.connect().await?;
    client.send(octets).await?;
    let answer = client.response().await?;
    must!(
        answer.status == status,
        "the answer is {} in place of {status}",
        answer.status
    );
    client.is_closed().await?;
    server.was_not_called().await
}
