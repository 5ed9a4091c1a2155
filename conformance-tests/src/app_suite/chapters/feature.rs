//! Optional features: the rules of `features.md`.

use callgate::{SendEvent, rule};

use crate::app_suite::case::{Case, Use, keeps};
use crate::app_suite::play::Play;
use crate::driver::Played;
use callgate::transcript::Entry;

const OFFERED: &[Play] = &[Play::Offered, Play::OfferedPost, Play::Http2];
const DENIABLE: &[Play] = &[Play::SocketOffered];

const OFFERS: &str = "Makes requests in HTTP/1.1 and 2 to which every feature is offered.";
const OFFERS_DENIAL: &str = "Opens a WebSocket on which denial responses are offered.";

pub(super) const CASES: &[Case] = &[
    keeps(
        rule::NOT_OFFERED,
        "http_with_nothing_offered",
        "Makes requests to which no feature is offered.",
        "No feature is used.",
        &[
            Play::Get,
            Play::Head,
            Play::Http10,
            Play::Whole,
            Play::Split,
            Play::Empty,
        ],
    ),
    keeps(
        rule::NOT_OFFERED,
        "websocket_with_nothing_offered",
        "Opens WebSockets on which no feature is offered.",
        "No feature is used.",
        &[Play::Socket, Play::SocketPlain],
    ),
    keeps(
        rule::TRAILERS_ANNOUNCED,
        "trailers_announced",
        OFFERS,
        "Trailer fields come after the last body event if they were announced, and only then.",
        OFFERED,
    )
    .if_used(TRAILERS),
    keeps(
        rule::TRAILER_FIELDS,
        "trailer_fields",
        OFFERS,
        "No trailer field is one that belongs to the head.",
        OFFERED,
    )
    .if_used(TRAILERS),
    keeps(
        rule::TRAILERS_NAMED,
        "trailers_named",
        OFFERS,
        "Each trailer field in HTTP/1.1 is named in `trailer`.",
        OFFERED,
    )
    .if_used(TRAILERS),
    keeps(
        rule::PATH_SEND_ABSOLUTE,
        "path_send_absolute",
        OFFERS,
        "The path of a path send is absolute.",
        OFFERED,
    )
    .if_used(PATH_SEND),
    keeps(
        rule::PATH_SEND_ALONE,
        "path_send_alone",
        OFFERS,
        "There are no body events beside a path send.",
        OFFERED,
    )
    .if_used(PATH_SEND),
    keeps(
        rule::EARLY_HINTS_BEFORE_START,
        "early_hints_before_start",
        OFFERS,
        "Early hints come before `http.response.start`.",
        OFFERED,
    )
    .if_used(Use {
        is_made: |played| {
            has_sent(played, |it| {
                matches!(it, SendEvent::HttpResponseEarlyHint(_))
            })
        },
        otherwise: "the application sends no early hints",
    }),
    keeps(
        rule::DENIAL_BEFORE_ACCEPT,
        "denial_before_accept",
        OFFERS_DENIAL,
        "A WebSocket that is accepted is not denied.",
        DENIABLE,
    )
    .if_used(DENIAL),
    keeps(
        rule::DENIAL_IS_A_RESPONSE,
        "denial_is_a_response",
        OFFERS_DENIAL,
        "The denial keeps the rules of an HTTP response.",
        DENIABLE,
    )
    .if_used(DENIAL),
    keeps(
        rule::TRAILERS_WITHOUT_LENGTH,
        "trailers_without_length",
        OFFERS,
        "There is no `content-length` in an HTTP/1.1 response that trailer fields follow.",
        OFFERED,
    )
    .if_used(TRAILERS),
];

const TRAILERS: Use = Use {
    is_made: |played| {
        has_sent(played, |it| match it {
            SendEvent::HttpResponseStart(start) => start.trailers,
            other => matches!(other, SendEvent::HttpResponseTrailers(_)),
        })
    },
    otherwise: "the application sends no trailer fields",
};

const PATH_SEND: Use = Use {
    is_made: |played| {
        has_sent(played, |it| {
            matches!(it, SendEvent::HttpResponsePathSend(_))
        })
    },
    otherwise: "the application sends no file by its path",
};

const DENIAL: Use = Use {
    is_made: |played| {
        has_sent(played, |it| {
            matches!(
                it,
                SendEvent::DenialResponseStart(_) | SendEvent::DenialResponseBody(_)
            )
        })
    },
    otherwise: "the application denies no WebSocket",
};

fn has_sent(played: &Played, is_it: fn(&SendEvent) -> bool) -> bool {
    let mut entries = played.transcript.entries().iter();
    entries.any(|entry| matches!(entry, Entry::Sent(event, _) if is_it(event)))
}
