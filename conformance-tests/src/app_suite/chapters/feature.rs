//! The rules of `features.md`: optional features.

use callgate::transcript::Entry;
use callgate::{ReceiveEvent, SendEvent, rule};

use crate::app_suite::case::{Case, FeatureUse};
use crate::app_suite::scenario::Scenario;
use crate::driver::Observation;

const OFFERS: &str = "Makes requests over HTTP/1.1 and 2 with every feature offered.";
const OFFERS_DENIAL: &str = "Opens a WebSocket with denial responses offered.";

fn is_http_with_features(scenario: Scenario) -> bool {
    scenario.is_http() && scenario.offers_features()
}

fn is_websocket_with_features(scenario: Scenario) -> bool {
    scenario.is_websocket() && scenario.offers_features()
}

pub(super) const CASES: &[Case] = &[
    Case::model(
        rule::NOT_OFFERED,
        "http_with_nothing_offered",
        "Makes requests with no feature offered.",
        "The application uses no feature.",
        |it| it.is_http() && it.is_ordinary() && !it.offers_features(),
    ),
    Case::model(
        rule::NOT_OFFERED,
        "websocket_with_nothing_offered",
        "Opens WebSockets with no feature offered.",
        "The application uses no feature.",
        |it| it.is_websocket() && it.is_ordinary() && !it.offers_features(),
    ),
    Case::model(
        rule::TRAILERS_ANNOUNCED,
        "trailers_announced",
        OFFERS,
        "The application sends trailer fields after the last body event if it has announced them, and only then.",
        is_http_with_features,
    )
    .if_used(TRAILERS),
    Case::model(
        rule::TRAILER_FIELDS,
        "trailer_fields",
        OFFERS,
        "The trailer fields contain no field of the head.",
        is_http_with_features,
    )
    .if_used(TRAILERS),
    Case::model(
        rule::TRAILERS_NAMED,
        "trailers_named",
        OFFERS,
        "Each trailer field in HTTP/1.1 is named in `trailer`.",
        is_http_with_features,
    )
    .if_used(TRAILERS),
    Case::model(
        rule::PATH_SEND_ABSOLUTE,
        "path_send_absolute",
        OFFERS,
        "The path of a path send is absolute.",
        is_http_with_features,
    )
    .if_used(PATH_SEND),
    Case::model(
        rule::PATH_SEND_ALONE,
        "path_send_alone",
        OFFERS,
        "A response with a path send has no body events.",
        is_http_with_features,
    )
    .if_used(PATH_SEND),
    Case::model(
        rule::EARLY_HINTS_BEFORE_START,
        "early_hints_before_start",
        OFFERS,
        "The application sends early hints before `http.response.start`.",
        is_http_with_features,
    )
    .if_used(FeatureUse {
        is_used: |observation| has_sent(observation, |it| matches!(it, SendEvent::HttpResponseEarlyHint(_))),
        otherwise: "the application sends no early hints",
    }),
    Case::model(
        rule::DENIAL_BEFORE_ACCEPT,
        "denial_before_accept",
        OFFERS_DENIAL,
        "The application does not deny a WebSocket that it has accepted.",
        is_websocket_with_features,
    )
    .if_used(DENIAL),
    Case::model(
        rule::DENIAL_IS_A_RESPONSE,
        "denial_is_a_response",
        OFFERS_DENIAL,
        "The denial keeps the rules of an HTTP response.",
        is_websocket_with_features,
    )
    .if_used(DENIAL),
    Case::model(
        rule::TRAILERS_WITHOUT_LENGTH,
        "trailers_without_length",
        OFFERS,
        "An HTTP/1.1 response with trailer fields has no `content-length`.",
        is_http_with_features,
    )
    .if_used(TRAILERS),
    Case::model(
        rule::SHUTDOWN_ENDS_RESPONSE,
        "shutdown_ends_response",
        "Makes a request and shuts the server down, while the client waits for the response.",
        "The application ends its response before the timeout.",
        |it| it == Scenario::GetWithShutdown,
    )
    .if_used(FeatureUse {
        is_used: |observation| {
            let mut events = observation.transcript.received();
            events.any(|event| matches!(event, ReceiveEvent::HttpShutdown))
        },
        otherwise: "the application receives no event after the content of the request",
    }),
];

const TRAILERS: FeatureUse = FeatureUse {
    is_used: |observation| {
        has_sent(observation, |it| match it {
            SendEvent::HttpResponseStart(start) => start.trailers,
            other => matches!(other, SendEvent::HttpResponseTrailers(_)),
        })
    },
    otherwise: "the application sends no trailer fields",
};

const PATH_SEND: FeatureUse = FeatureUse {
    is_used: |observation| {
        has_sent(observation, |it| {
            matches!(it, SendEvent::HttpResponsePathSend(_))
        })
    },
    otherwise: "the application sends no file by its path",
};

const DENIAL: FeatureUse = FeatureUse {
    is_used: |observation| {
        has_sent(observation, |it| {
            matches!(
                it,
                SendEvent::DenialResponseStart(_) | SendEvent::DenialResponseBody(_)
            )
        })
    },
    otherwise: "the application denies no WebSocket",
};

fn has_sent(observation: &Observation, is_it: fn(&SendEvent) -> bool) -> bool {
    let mut entries = observation.transcript.entries().iter();
    entries.any(|entry| matches!(entry, Entry::Sent(event, _) if is_it(event)))
}
