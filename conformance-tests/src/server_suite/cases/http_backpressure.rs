//! `http.md`: content that is not received, and clients that go on sending.

use callgate::{HttpResponseStart, rule};

use super::steps::{WAIT, WAITS, respond};
use crate::basis::Basis;
use crate::probe::Step;
use crate::server_suite::case::{Case, HTTP1, HTTP1_AND_HTTP2, HTTP2, steps};
use crate::server_suite::client_exchange::{ClientExchange, Transport};
use crate::server_suite::request::Request;
use crate::server_suite::result::must;

/// No server and no system holds this much of one exchange without being set to, in bytes.
const BOUND: usize = 48 << 20;
/// The size of one part, in bytes.
const PART: usize = 64 << 10;

pub(super) const CASES: &[&[Case]] = &[REQUEST_BACKPRESSURE, ABSENT_BODY_IS_DRAINED];

const REQUEST_BACKPRESSURE: &[Case] = &[Case {
    rule: rule::REQUEST_BACKPRESSURE,
    name: "content_that_is_not_received",
    transports: HTTP1_AND_HTTP2,
    does: "Sends content without end, of which the application receives nothing.",
    must: "The server stops taking it in, before it has taken 48 MiB.",
    basis: Basis::CallgateOnly("ASGI leaves it to the server how much it buffers"),
    steps: steps!(async |fixture, transport| {
        let server = fixture.server().await?;
        let request = Request::new("POST", "/");
        let mut exchange =
            ClientExchange::begin_content(server, transport, request, 1_000_000_000).await?;
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
    }),
}];

const ABSENT_BODY_IS_DRAINED_BASIS: Basis =
    Basis::CallgateOnly("ASGI does not say what becomes of content that was not received");

const ABSENT_BODY_IS_DRAINED: &[Case] = &[
    Case {
        rule: rule::ABSENT_BODY_IS_DRAINED,
        name: "a_client_that_goes_on_sending",
        transports: HTTP1,
        does: "Goes on sending content while the application answers without receiving.",
        must: "The client can read the whole response.",
        basis: ABSENT_BODY_IS_DRAINED_BASIS,
        steps: steps!(async |fixture| {
            // More than the system takes from a server at once.
            const LENGTH: usize = 8 << 20;
            let server = fixture.server().await?;
            let mut client = server.connect().await?;
            let request = Request::new("POST", "/").field("content-length", "1000000000");
            client.send(request.http1()).await?;
            let mut app = server.call().await?;
            // Little at a time: a server may give up on a client that has not read all for seconds.
            let part = [b'x'; 1024];
            // The later read shows whether the server has ended the connection.
            let _ = client.try_send(&part);
            let start = HttpResponseStart::ok().header("content-length", LENGTH.to_string());
            app.begin(Step::Send(start.into()));
            app.begin(Step::SendLast(LENGTH));
            client.head().await?;
            // The client does not read at once, so the server has to hold the bytes that the system
            // does not take.
            server.settle().await?;
            let mut read = 0;
            while read < LENGTH {
                let _ = client.try_send(&part);
                match client.read_up_to(LENGTH - read).await? {
                    Some(content) => read += content.len(),
                    None => must!(false, "the response was cut after {read} bytes"),
                }
            }
            client.reset();
            app.finish(Step::Return).await
        }),
    },
    Case {
        rule: rule::ABSENT_BODY_IS_DRAINED,
        name: "a_client_that_goes_on_sending",
        transports: HTTP2,
        does: "Leaves the stream open while the application answers without receiving.",
        must: "The client can read the whole response.",
        basis: ABSENT_BODY_IS_DRAINED_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let request = Request::new("POST", "/");
            let mut exchange =
                ClientExchange::begin_content(server, Transport::Http2, request, 10).await?;
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
        }),
    },
];
