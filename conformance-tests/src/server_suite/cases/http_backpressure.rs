//! `http.md`: content that nobody takes, and clients that go on sending.

use callgate::HttpResponseStart;

use super::steps::{WAIT, WAITS, respond};
use crate::probe::Step;
use crate::server_suite::bench::Bench;
use crate::server_suite::case::{Asgi::Differs, Case, Outcome, case, must};
use crate::server_suite::exchange::{Exchange, Over};
use crate::server_suite::request::Request;

/// No server and no system holds this much of one exchange without being set to, in bytes.
const BOUND: usize = 48 << 20;
/// How much is sent at once, in bytes.
const PART: usize = 64 << 10;

const INTAKE: &str = "ASGI leaves open how much a server takes in";
const DRAINING: &str = "ASGI does not say what becomes of content that was not received";

pub(super) const CASES: &[Case] = &[
    case!(
        content_that_is_not_received: REQUEST_BACKPRESSURE, Differs(INTAKE),
        "Sends content without end, of which the application receives nothing.",
        "The server stops taking it in, before it has taken 48 MiB."
    ),
    case!(
        content_that_is_not_received_over_http2: REQUEST_BACKPRESSURE, Differs(INTAKE),
        "Sends content without end, of which the application receives nothing.",
        "The server stops making room for it, before it has taken 48 MiB."
    ),
    case!(
        a_client_that_goes_on_sending: ABSENT_BODY_IS_DRAINED, Differs(DRAINING),
        "Goes on sending content while the application answers without receiving.",
        "The client can read the whole response."
    ),
    case!(
        a_client_that_goes_on_sending_over_http2: ABSENT_BODY_IS_DRAINED, Differs(DRAINING),
        "Leaves the stream open while the application answers without receiving.",
        "The client can read the whole response."
    ),
];

async fn content_that_is_not_received(bench: &mut Bench<'_>) -> Outcome {
    nobody_receives(bench, Over::Http1).await
}

async fn content_that_is_not_received_over_http2(bench: &mut Bench<'_>) -> Outcome {
    nobody_receives(bench, Over::Http2).await
}

async fn nobody_receives(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let server = bench.server().await?;
    let request = Request::new("POST", "/");
    let mut exchange = Exchange::begin_content(server, over, request, 1_000_000_000).await?;
    let app = server.call().await?;
    let part = vec![b'x'; PART];
    let (mut taken, mut waits) = (0, 0);
    while waits < WAITS {
        match exchange.send_within(WAIT, &part).await? {
            0 => {
                waits += 1;
                exchange.fence(server).await?;
            }
            more => {
                waits = 0;
                taken += more;
            }
        }
        must!(taken <= BOUND, "the server has taken in {taken} bytes");
    }
    let _connection = exchange.reset();
    app.finish(Step::Decline).await
}

async fn a_client_that_goes_on_sending(bench: &mut Bench<'_>) -> Outcome {
    // More than the system takes from a server at once.
    const LENGTH: usize = 8 << 20;
    let server = bench.server().await?;
    let mut client = server.connect().await?;
    let request = Request::new("POST", "/").field("content-length", "1000000000");
    client.send(request.http1()).await?;
    let mut app = server.call().await?;
    // Little at a time: a server may give up on a client that has not read all for seconds.
    let part = [b'x'; 1024];
    // Whether the server ends the connection shows in what is read.
    let _ = client.try_send(&part);
    let start = HttpResponseStart::ok().header("content-length", LENGTH.to_string());
    app.begin(Step::Send(start.into()));
    app.begin(Step::SendLast(LENGTH));
    client.head().await?;
    // It does not read at once: the server has to hold what the system does not take.
    server.settle().await?;
    let mut read = 0;
    while read < LENGTH {
        let _ = client.try_send(&part);
        match client.some(LENGTH - read).await? {
            Some(content) => read += content.len(),
            None => must!(false, "the response was cut after {read} bytes"),
        }
    }
    client.reset();
    app.finish(Step::Return).await
}

async fn a_client_that_goes_on_sending_over_http2(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let request = Request::new("POST", "/");
    let mut exchange = Exchange::begin_content(server, Over::Http2, request, 10).await?;
    exchange.send("first", false).await?;
    let mut app = server.call().await?;
    respond(&mut app, "enough").await?;
    let response = exchange.response().await?;
    must!(
        response.body == b"enough",
        "the content is `{}`",
        response.text()
    );
    app.finish(Step::Return).await
}
