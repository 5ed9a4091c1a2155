//! Servers that break the rules checked in `cases/feature.rs`.

use callgate::{Channel, Feature, HttpResponseBody, Scope, SendError, SendEvent, SendProgress};
use http::{HeaderMap, StatusCode, Version};

use super::{mutants, with_changed_events, with_changed_results, with_interceptor};
use crate::in_process::InProcess;
use crate::interceptor::Interceptor;

mutants! {
    ext_02_an_event_that_is_not_offered_is_taken_and_dropped: NOT_OFFERED_FAILS [
        "an_http_feature_that_is_not_offered",
        "an_http_feature_that_is_not_offered_over_http2",
    ],
    ext_04_only_the_last_trailer_fields_are_sent: TRAILERS_SENT ["trailers", "trailers_over_http2"],
    ext_08_a_missing_file_is_reported_as_a_disconnect: PATH_SEND_FAILS [
        "a_file_that_is_not_there",
        "a_file_that_is_not_there_over_http2",
    ],
    ext_09_of_a_file_only_the_beginning_is_sent: PATH_SEND_IS_WHOLE ["a_file", "a_file_over_http2"],
    ext_14_a_denial_response_is_a_403: DENIAL_IS_SENT [
        "a_denial_response",
        "a_denial_response_over_http2",
        "a_streamed_denial_response",
        "a_streamed_denial_response_over_http2",
    ],
    ext_26_only_one_link_of_early_hints_is_sent: EARLY_HINTS_ARE_SENT ["early_hints"],
    ext_15_trailers_are_offered_on_every_exchange_of_http11: TRAILERS_OFFERED [
        "trailers_that_are_not_asked_for",
    ],
}

fn ext_02_an_event_that_is_not_offered_is_taken_and_dropped() -> InProcess {
    with_changed_results(|sent| match sent {
        Err(SendError::NotOffered(_)) => Ok(SendProgress::Sent),
        sent => sent,
    })
}

fn ext_04_only_the_last_trailer_fields_are_sent() -> InProcess {
    with_changed_events(|event| {
        if let SendEvent::HttpResponseTrailers(trailers) = event
            && trailers.more_trailers
        {
            trailers.headers = HeaderMap::new();
        }
    })
}

fn ext_08_a_missing_file_is_reported_as_a_disconnect() -> InProcess {
    struct Vague;
    impl Interceptor for Vague {
        fn start_send(
            &self,
            server: &dyn Channel,
            event: SendEvent,
        ) -> Result<SendProgress, SendError> {
            let vague = |error| match error {
                SendError::File { .. } => SendError::Disconnected,
                error => error,
            };
            match server.start_send(event).map_err(vague)? {
                SendProgress::Pending(pending) => {
                    let vague_later = async move { pending.await.map_err(vague) };
                    Ok(SendProgress::Pending(Box::pin(vague_later)))
                }
                SendProgress::Sent => Ok(SendProgress::Sent),
            }
        }
    }
    with_interceptor(|| Vague)
}

fn ext_09_of_a_file_only_the_beginning_is_sent() -> InProcess {
    const BEGINNING: usize = 64 << 10;
    with_changed_events(|event| {
        if let SendEvent::HttpResponsePathSend(file) = event
            && let Ok(mut content) = std::fs::read(&file.path)
        {
            content.truncate(BEGINNING);
            *event = HttpResponseBody::last(content).into();
        }
    })
}

fn ext_14_a_denial_response_is_a_403() -> InProcess {
    with_changed_events(|event| {
        if let SendEvent::DenialResponseStart(start) = event {
            start.status = StatusCode::FORBIDDEN;
        }
    })
}

fn ext_26_only_one_link_of_early_hints_is_sent() -> InProcess {
    with_changed_events(|event| {
        if let SendEvent::HttpResponseEarlyHint(hint) = event {
            hint.links.truncate(1);
        }
    })
}

fn ext_15_trailers_are_offered_on_every_exchange_of_http11() -> InProcess {
    struct Always;
    impl Interceptor for Always {
        fn scope(&self, scope: &mut Scope) {
            if let Scope::Http(http) = scope
                && http.version == Version::HTTP_11
            {
                http.features = http.features.with(Feature::ResponseTrailers);
            }
        }
    }
    with_interceptor(|| Always)
}
