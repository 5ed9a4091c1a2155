//! Masks the credentials in a recording, and recognises masked values.

use callgate::{ReceiveEvent, Scope, SendEvent};
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The value that a [`Recorder`](crate::Recorder) writes in place of a credential.
pub const MASKED: &str = "<masked>";

const CREDENTIAL_FIELDS: [HeaderName; 4] = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE];

/// Masks the credentials in the head of a request.
pub(super) fn mask_scope(scope: &mut Scope) {
    if let Some(request) = scope.request_mut() {
        mask_fields(&mut request.headers);
    }
}

/// Masks the credentials in the trailer fields of a request.
pub(super) fn mask_received(event: &mut ReceiveEvent) {
    if let ReceiveEvent::HttpRequestBody(request) = event
        && let Some(trailers) = &mut request.trailers
    {
        mask_fields(trailers);
    }
}

/// Masks the credentials in the head or in the trailer fields of a response.
pub(super) fn mask_sent(event: &mut SendEvent) {
    if let Some(fields) = sent_fields_mut(event) {
        mask_fields(fields);
    }
}

fn mask_fields(fields: &mut HeaderMap) {
    for (name, value) in fields.iter_mut() {
        if CREDENTIAL_FIELDS.contains(name) || value.is_sensitive() {
            *value = HeaderValue::from_static(MASKED);
        }
    }
}

fn sent_fields_mut(event: &mut SendEvent) -> Option<&mut HeaderMap> {
    match event {
        SendEvent::HttpResponseStart(start) | SendEvent::DenialResponseStart(start) => {
            Some(&mut start.headers)
        }
        SendEvent::HttpResponseTrailers(trailers) => Some(&mut trailers.headers),
        SendEvent::WebSocketAccept(accept) => Some(&mut accept.headers),
        _ => None,
    }
}

/// Returns the header or trailer fields of a sent event, if it has some.
pub(crate) fn sent_fields(event: &SendEvent) -> Option<&HeaderMap> {
    match event {
        SendEvent::HttpResponseStart(start) | SendEvent::DenialResponseStart(start) => {
            Some(&start.headers)
        }
        SendEvent::HttpResponseTrailers(trailers) => Some(&trailers.headers),
        SendEvent::WebSocketAccept(accept) => Some(&accept.headers),
        _ => None,
    }
}

/// Returns the names of the fields that have a masked value.
pub(crate) fn masked_names(fields: &HeaderMap) -> impl Iterator<Item = &HeaderName> {
    fields
        .iter()
        .filter(|(_, value)| *value == MASKED)
        .map(|(name, _)| name)
}

/// Masks every value of these fields.
pub(crate) fn mask_named(fields: &mut HeaderMap, names: &[HeaderName]) {
    for (name, value) in fields.iter_mut() {
        if names.contains(name) {
            *value = HeaderValue::from_static(MASKED);
        }
    }
}
