//! WebSockets: the rules of `websocket.md`.

use callgate::rule;

use crate::app_suite::case::{Case, keeps};
use crate::app_suite::play::Play;

const DOES: &str = "Opens WebSockets over HTTP/1.1 and 2, with and without subprotocols, sends messages, and closes, goes away or stops reading before, between and after all events.";

pub(super) const CASES: &[Case] = &[
    keeps(
        rule::ACCEPT_FIRST,
        "accept_first",
        DOES,
        "No message comes before `websocket.accept`.",
        Play::WEBSOCKET,
    ),
    keeps(
        rule::ACCEPT_ONCE,
        "accept_once",
        DOES,
        "`websocket.accept` comes once.",
        Play::WEBSOCKET,
    ),
    keeps(
        rule::OFFERED_SUBPROTOCOL,
        "offered_subprotocol",
        DOES,
        "The subprotocol is one that the client offered, or none.",
        Play::WEBSOCKET,
    ),
    keeps(
        rule::NO_HANDSHAKE_HEADERS,
        "no_handshake_headers",
        DOES,
        "No field of the answer belongs to the handshake or to the connection.",
        Play::WEBSOCKET,
    ),
    keeps(
        rule::ANSWER_BEFORE_RETURN,
        "answer_before_return",
        DOES,
        "The call does not return successfully before the handshake is answered.",
        Play::WEBSOCKET,
    ),
    keeps(
        rule::NOTHING_AFTER_CLOSE,
        "nothing_after_close",
        DOES,
        "Nothing comes after `websocket.close`, or after a denial response.",
        Play::WEBSOCKET,
    ),
    keeps(
        rule::VALID_CLOSE_CODE,
        "valid_close_code",
        DOES,
        "The close code is one that may be sent.",
        Play::WEBSOCKET,
    ),
    keeps(
        rule::CLOSE_REASON_LENGTH,
        "close_reason_length",
        DOES,
        "The close reason has at most 123 bytes.",
        Play::WEBSOCKET,
    ),
];
