//! The rules of `websocket.md`.

use callgate::rule;

use crate::app_suite::case::Case;
use crate::app_suite::scenario::Scenario;

const DOES: &str = "Opens WebSockets over HTTP/1.1 and 2, with and without subprotocols, sends messages, and closes, disconnects or stops reading before, between and after all events.";

fn is_selected(scenario: Scenario) -> bool {
    scenario.is_websocket() && scenario.is_ordinary()
}

pub(super) const CASES: &[Case] = &[
    Case::model(
        rule::ACCEPT_FIRST,
        "accept_first",
        DOES,
        "The application sends no message before `websocket.accept`.",
        is_selected,
    ),
    Case::model(
        rule::ACCEPT_ONCE,
        "accept_once",
        DOES,
        "The application sends `websocket.accept` once.",
        is_selected,
    ),
    Case::model(
        rule::OFFERED_SUBPROTOCOL,
        "offered_subprotocol",
        DOES,
        "The client offered the subprotocol, if there is one.",
        is_selected,
    ),
    Case::model(
        rule::NO_HANDSHAKE_HEADERS,
        "no_handshake_headers",
        DOES,
        "The accept event has no header field of the handshake or of the connection.",
        is_selected,
    ),
    Case::model(
        rule::ANSWER_BEFORE_RETURN,
        "answer_before_return",
        DOES,
        "The call does not return `Ok` before the handshake is answered.",
        is_selected,
    ),
    Case::model(
        rule::NOTHING_AFTER_CLOSE,
        "nothing_after_close",
        DOES,
        "The application sends nothing after `websocket.close` or after a denial response.",
        is_selected,
    ),
    Case::model(
        rule::VALID_CLOSE_CODE,
        "valid_close_code",
        DOES,
        "The close code may be sent.",
        is_selected,
    ),
    Case::model(
        rule::CLOSE_REASON_LENGTH,
        "close_reason_length",
        DOES,
        "The close reason has at most 123 bytes.",
        is_selected,
    ),
];
