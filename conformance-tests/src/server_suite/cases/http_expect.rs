//! `http.md`: `Expect: 100-continue`.

use super::steps::{answered, respond};
use crate::probe::Step;
use crate::server_suite::bench::Bench;
use crate::server_suite::case::{Asgi::Differs, Case, Outcome, case, must};
use crate::server_suite::request::Request;

const EXPECT: &str = "ASGI does not connect `100 Continue` with the first receive";

pub(super) const CASES: &[Case] = &[
    case!(
        continue_when_receiving: CONTINUE_ON_RECEIVE, Differs(EXPECT),
        "Sends a head with `expect: 100-continue`, and has the application receive after a while.",
        "Nothing is sent before; then the client is sent `100 Continue`."
    ),
    case!(
        an_answer_without_receiving: NO_CONTINUE_WITHOUT_RECEIVE, Differs(EXPECT),
        "Sends a head with `expect: 100-continue`, to which the application answers at once.",
        "The first that the client is sent is the answer."
    ),
    case!(
        a_receive_after_the_answer: NO_CONTINUE_WITHOUT_RECEIVE, Differs(EXPECT),
        "Has the application answer first, and receive after that.",
        "The client is sent the answer and nothing else."
    ),
];

fn expecting() -> Request {
    Request::new("POST", "/")
        .field("expect", "100-continue")
        .field("content-length", "5")
}

async fn continue_when_receiving(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
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
}

async fn an_answer_without_receiving(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let mut client = server.connect().await?;
    let request = answered(expecting(), "no, thanks");
    client.send(request.http1()).await?;
    let answer = client.head().await?;
    must!(answer.status == 200, "the client is sent {}", answer.status);
    server.call().await?.ended().await.map(|_| ())
}

async fn a_receive_after_the_answer(bench: &mut Bench<'_>) -> Outcome {
    let server = bench.server().await?;
    let mut client = server.connect().await?;
    let request = expecting().field("connection", "close");
    client.send(request.http1()).await?;
    let mut app = server.call().await?;
    respond(&mut app, "no, thanks").await?;
    app.receive().await?;
    let (sent, _) = client.any_rest().await?;
    let continues = sent.windows(13).any(|octets| octets == b"HTTP/1.1 100 ");
    must!(!continues, "the client was sent `{}`", sent.escape_ascii());
    app.finish(Step::Return).await
}
