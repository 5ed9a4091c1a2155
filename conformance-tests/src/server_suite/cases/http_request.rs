//! `http.md`: the request and its content.

use callgate::{HttpRequest, HttpResponseBody, HttpResponseStart, ReceiveEvent};

use crate::probe::Step;
use crate::server_suite::bench::Bench;
use crate::server_suite::case::{Asgi::Shared, Case, Outcome, case, must};
use crate::server_suite::request::Request;

pub(super) const CASES: &[Case] = &[
    case!(
        a_request_without_content: EMPTY_REQUEST_BODY, Shared,
        "Sends a request without content.",
        "The application receives one `http.request` event, empty and the last."
    ),
    case!(
        the_client_goes_away: DISCONNECT_IS_TOLD, Shared,
        "Resets the connection while the application waits to receive.",
        "The application receives `http.disconnect`."
    ),
];

async fn a_request_without_content(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let mut client = server.connect().await?;
    client.send(Request::get("/").http1()).await?;
    let mut app = server.call().await?;
    let event = app.receive().await?;
    let empty = ReceiveEvent::HttpRequest(HttpRequest::last(""));
    must!(event == empty, "received {event:?}");
    app.send(HttpResponseStart::ok()).await?;
    app.send(HttpResponseBody::end()).await?;
    app.finish(Step::Return).await?;
    client.response().await.map(|_| ())
}

async fn the_client_goes_away(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let mut client = server.connect().await?;
    client.send(Request::get("/").http1()).await?;
    let mut app = server.call().await?;
    app.receive().await?;
    let waiting = app.begin(Step::Receive);
    must!(
        app.is_pending(waiting).await?,
        "a receive after the content is not pending"
    );
    client.reset();
    let event = app.received(Some(waiting)).await?;
    must!(event == ReceiveEvent::HttpDisconnect, "received {event:?}");
    app.finish(Step::Return).await
}
