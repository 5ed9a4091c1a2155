//! `http.md`: `Expect: 100-continue`.

use callgate::rule;

use super::steps::{answered, respond};
use crate::basis::Basis;
use crate::probe::Step;
use crate::server_suite::case::{Case, HTTP1, steps};
use crate::server_suite::request::Request;
use crate::server_suite::result::must;

pub(super) const CASES: &[&[Case]] = &[CONTINUE_ON_RECEIVE, NO_CONTINUE_WITHOUT_RECEIVE];

const CONTINUE_ON_RECEIVE: &[Case] = &[Case {
    rule: rule::CONTINUE_ON_RECEIVE,
    name: "continue_when_receiving",
    transports: HTTP1,
    does: "Sends a head with `expect: 100-continue`, and has the application receive after a while.",
    must: "Nothing is sent before; then the client is sent `100 Continue`.",
    basis: Basis::CallgateOnly("ASGI does not connect `100 Continue` with the first receive"),
    steps: steps!(async |fixture| {
        let server = fixture.server().await?;
        let mut client = server.connect().await?;
        client.send(expecting().http1()).await?;
        let mut app = server.call().await?;
        server.fence().await?;
        let early = client.unread_now();
        must!(
            early.is_empty(),
            "before the application receives, the client is sent `{}`",
            early.escape_ascii()
        );
        app.begin(Step::ReceiveBody);
        let interim = client.head().await?;
        must!(
            interim.status == 100,
            "the client is sent {}",
            interim.status
        );
        client.send("hello").await?;
        app.finish(Step::Decline).await
    }),
}];

fn expecting() -> Request {
    Request::new("POST", "/")
        .field("expect", "100-continue")
        .field("content-length", "5")
}

const NO_CONTINUE_WITHOUT_RECEIVE_BASIS: Basis =
    Basis::CallgateOnly("ASGI does not connect `100 Continue` with the first receive");

const NO_CONTINUE_WITHOUT_RECEIVE: &[Case] = &[
    Case {
        rule: rule::NO_CONTINUE_WITHOUT_RECEIVE,
        name: "an_answer_without_receiving",
        transports: HTTP1,
        does: "Sends a head with `expect: 100-continue`, to which the application answers at once.",
        must: "The first that the client is sent is the answer.",
        basis: NO_CONTINUE_WITHOUT_RECEIVE_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let mut client = server.connect().await?;
            let request = answered(expecting(), "no, thanks");
            client.send(request.http1()).await?;
            let answer = client.head().await?;
            must!(answer.status == 200, "the client is sent {}", answer.status);
            server.call().await?.ended().await.map(|_| ())
        }),
    },
    Case {
        rule: rule::NO_CONTINUE_WITHOUT_RECEIVE,
        name: "a_receive_after_the_answer",
        transports: HTTP1,
        does: "Has the application answer first, and receive after that.",
        must: "The client is sent the answer and nothing else.",
        basis: NO_CONTINUE_WITHOUT_RECEIVE_BASIS,
        steps: steps!(async |fixture| {
            let server = fixture.server().await?;
            let mut client = server.connect().await?;
            let request = expecting().field("connection", "close");
            client.send(request.http1()).await?;
            let mut app = server.call().await?;
            respond(&mut app, "no, thanks").await?;
            app.receive().await?;
            let (sent, _) = client.read_to_any_end().await?;
            let continues = memchr::memmem::find(&sent, b"HTTP/1.1 100 ").is_some();
            must!(!continues, "the client was sent `{}`", sent.escape_ascii());
            app.finish(Step::Return).await
        }),
    },
];
