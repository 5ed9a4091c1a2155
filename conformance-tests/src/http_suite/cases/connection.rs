//! RFC 9112, 9: the life of a connection.

use super::super::case::{Case, steps};
use super::super::target::expect_end;
use crate::Verdict;
use crate::basis::Document::Rfc;
use crate::basis::{demands, recommends};
use crate::server_suite::result::must;

const CLOSE: &str = "connection: close\r\n";

/// A path that the application does not have, most likely.
const OTHER_PATH: &str = "/callgate-no-such-path";

pub(super) const CASES: &[Case] = &[
    Case {
        name: "the_connection_is_used_again",
        basis: recommends(Rfc(9112), "9.3"),
        sentence: "HTTP implementations SHOULD support persistent connections.",
        does: "Sends GET, reads the response, and sends GET over the same connection.",
        must: "Both are answered.",
        steps: steps!(async |target| {
            let mut client = target.connect().await?;
            client.send(target.get("")).await?;
            client.response().await?;
            // Fails at the end of the connection.
            client.send_some(target.get(CLOSE).as_bytes()).await?;
            client.response().await.map(|_| ())
        }),
    },
    Case {
        name: "pipelined_requests",
        basis: demands(Rfc(9112), "9.3.2"),
        sentence: "A server MAY process a sequence of pipelined requests in parallel if they all have safe methods (Section \
                   9.2.1 of [HTTP]), but it MUST send the corresponding responses in the same order that the requests were \
                   received.",
        does: "Sends GET of two paths at once, whose responses differ in their status.",
        must: "The responses come in the order of the requests.",
        steps: steps!(async |target| {
            let usual = target.response_of(target.path()).await?.status;
            let other = target.response_of(OTHER_PATH).await?.status;
            if usual == other {
                let why = "each path is answered with the same status";
                return Err(Verdict::NotApplicable(why.into()));
            }
            let mut client = target.connect().await?;
            let second = target.request("GET", OTHER_PATH, "");
            client.send(format!("{}{second}", target.get(""))).await?;
            let first = client.response().await?.status;
            if client.is_at_end().await? && first == usual {
                let why = "the server closes the connection after the first response";
                return Err(Verdict::NotApplicable(why.into()));
            }
            let second = client.response().await?.status;
            must!(
                (first, second) == (usual, other),
                "the statuses are {first} and {second}"
            );
            Ok(())
        }),
    },
    Case {
        name: "close_is_honoured",
        basis: demands(Rfc(9112), "9.6"),
        sentence: "A server that receives a \"close\" connection option MUST initiate closure of the connection (see below) \
                   after it sends the final response to the request that contained the \"close\" connection option.",
        does: "Sends GET with `connection: close`.",
        must: "The server closes the connection after the response.",
        steps: steps!(async |target| {
            let mut client = target.connect().await?;
            client.send(target.get(CLOSE)).await?;
            client.response().await?;
            expect_end(&mut client).await
        }),
    },
    Case {
        name: "close_is_announced",
        basis: recommends(Rfc(9112), "9.6"),
        sentence: "The server SHOULD send a \"close\" connection option in its final response on that connection.",
        does: "Sends GET with `connection: close`.",
        must: "The response has `connection: close`.",
        steps: steps!(async |target| {
            let mut client = target.connect().await?;
            client.send(target.get(CLOSE)).await?;
            let response = client.response().await?;
            must!(
                response.lists("connection", "close"),
                "`connection` is {:?}",
                response.field("connection")
            );
            Ok(())
        }),
    },
    Case {
        name: "nothing_is_answered_after_close",
        basis: demands(Rfc(9112), "9.6"),
        sentence: "The server MUST NOT process any further requests received on that connection.",
        does: "Sends GET with `connection: close` and a further request at once.",
        must: "There is one answer.",
        steps: steps!(async |target| {
            let mut client = target.connect().await?;
            client.send(target.get(CLOSE) + &target.get("")).await?;
            client.response().await?;
            expect_end(&mut client).await
        }),
    },
];
