//! Sends the response of a service as events.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use callgate::message::{forbids_content, is_forbidden_trailer, is_hop_by_hop};
use callgate::{
    AppError, Feature, HttpResponseBody, HttpResponseStart, HttpResponseTrailers, HttpScope,
    SendError, SendEvent, Sender,
};
use callgate_drive::head::remove_fields;
use http::header::{self, HeaderMap, HeaderName, HeaderValue, TRAILER};
use http::{Method, Response, StatusCode, Version};
use http_body::{Body, Frame};

use super::disconnect::DisconnectWatch;
use crate::BoxError;

/// Sends one response, as far as the request and the server allow it.
#[derive(Debug)]
pub(super) struct ResponseSender {
    is_head_request: bool,
    version: Version,
    offers_trailers: bool,
    /// Whether the response denies a WebSocket.
    is_denial: bool,
}

impl ResponseSender {
    /// Creates the sender of the response to an HTTP request.
    pub(super) fn for_request(scope: &HttpScope) -> Self {
        Self {
            is_head_request: scope.method == Method::HEAD,
            version: scope.version,
            offers_trailers: scope.features.contains(Feature::ResponseTrailers),
            is_denial: false,
        }
    }

    /// Creates the sender of a response that denies a WebSocket over this version of HTTP.
    pub(super) fn for_denial(version: Version) -> Self {
        Self {
            is_head_request: false,
            version,
            offers_trailers: false,
            is_denial: true,
        }
    }

    /// Sends the whole response.
    pub(super) async fn send<B>(
        &self,
        response: Response<B>,
        watch: &mut impl DisconnectWatch,
        sender: &Sender,
    ) -> Result<(), AppError>
    where
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let (parts, body) = response.into_parts();
        let mut start = HttpResponseStart::new(parts.status);
        start.headers = parts.headers;
        remove_connection_fields(&mut start.headers);
        if self.is_head_request || forbids_content(start.status) {
            self.fit_length_without_content(&mut start, body.size_hint().exact());
            drop(body);
            self.start(sender, start).await?;
            self.body(sender, HttpResponseBody::end()).await?;
            return Ok(());
        }

        let length = body.size_hint().exact();
        let mut body = pin!(body);
        // The first frame shows whether the response can be sent whole. The head does not wait for
        // a frame that is not ready.
        let first = match poll_fn(|cx| Poll::Ready(poll_part(body.as_mut(), cx))).await {
            Poll::Pending => Some(Part::Data(Bytes::new())),
            Poll::Ready(part) => part?,
        };
        let first = match first {
            None => Part::Last(Bytes::new()),
            Some(part) => part,
        };
        if let Part::Last(content) = first {
            self.start(sender, start).await?;
            self.body(sender, HttpResponseBody::last(content)).await?;
            return Ok(());
        }
        let trailers = self.announce_trailers(&mut start);
        if trailers.is_none()
            && let Some(length) = length
        {
            set_length(&mut start.headers, length);
        }
        self.start(sender, start).await?;
        let mut part = first;
        loop {
            match part {
                Part::Data(content) => self.body(sender, HttpResponseBody::part(content)).await?,
                Part::Last(content) => {
                    self.body(sender, HttpResponseBody::last(content)).await?;
                    if trailers.is_some() {
                        sender.send(HttpResponseTrailers::default()).await?;
                    }
                    return Ok(());
                }
                Part::Trailers(fields) => {
                    self.body(sender, HttpResponseBody::end()).await?;
                    if let Some(trailers) = trailers {
                        let fields = trailers.select(fields);
                        sender.send(HttpResponseTrailers::last(fields)).await?;
                    }
                    return Ok(());
                }
            }
            let next = watch
                .unless_disconnected(poll_fn(|cx| poll_part(body.as_mut(), cx)))
                .await?;
            part = next?.unwrap_or(Part::Last(Bytes::new()));
        }
    }

    async fn start(&self, sender: &Sender, start: HttpResponseStart) -> Result<(), SendError> {
        let event = if self.is_denial {
            SendEvent::DenialResponseStart(start)
        } else {
            SendEvent::HttpResponseStart(start)
        };
        sender.send(event).await
    }

    async fn body(&self, sender: &Sender, body: HttpResponseBody) -> Result<(), SendError> {
        let event = if self.is_denial {
            SendEvent::DenialResponseBody(body)
        } else {
            SendEvent::HttpResponseBody(body)
        };
        sender.send(event).await
    }

    /// Keeps the length of a response without content only where it is the length of the content that
    /// another request would get (rules `HTTP-21`, `HTTP-23`).
    fn fit_length_without_content(&self, start: &mut HttpResponseStart, length: Option<u64>) {
        match start.status {
            StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT => {
                start.headers.remove(header::CONTENT_LENGTH);
            }
            StatusCode::NOT_MODIFIED => {}
            // The body may be empty because the service has left the content out.
            _ => {
                if let Some(length) = length.filter(|&length| length > 0) {
                    set_length(&mut start.headers, length);
                }
            }
        }
    }

    /// Announces trailer fields where they can be sent, and returns which can be. Whether there are
    /// any is known at the end of the body.
    fn announce_trailers(&self, start: &mut HttpResponseStart) -> Option<TrailerFields> {
        if !self.offers_trailers {
            return None;
        }
        let trailers = if self.version <= Version::HTTP_11 {
            let named: Vec<_> = start.headers.get_all(TRAILER).iter().cloned().collect();
            if named.is_empty() {
                return None;
            }
            // An HTTP/1.1 response has either a length or trailer fields.
            start.headers.remove(header::CONTENT_LENGTH);
            TrailerFields::Named(named)
        } else {
            TrailerFields::All
        };
        start.trailers = true;
        Some(trailers)
    }
}

/// The trailer fields that can be sent.
#[derive(Debug)]
enum TrailerFields {
    All,
    /// The fields that these values of `trailer` list.
    Named(Vec<HeaderValue>),
}

impl TrailerFields {
    /// Removes the fields that cannot be sent (rules `EXT-05`, `EXT-06`).
    fn select(&self, mut fields: HeaderMap) -> HeaderMap {
        remove_fields(&mut fields, |name| {
            is_forbidden_trailer(name) || !self.includes(name)
        });
        fields
    }

    fn includes(&self, name: &HeaderName) -> bool {
        let Self::Named(lists) = self else {
            return true;
        };
        lists
            .iter()
            .filter_map(|list| list.to_str().ok())
            .flat_map(|list| list.split(','))
            .any(|listed| listed.trim().eq_ignore_ascii_case(name.as_str()))
    }
}

/// A piece of a response.
enum Part {
    Data(Bytes),
    /// The last of the content.
    Last(Bytes),
    Trailers(HeaderMap),
}

/// Returns the next piece; `None` at the end.
fn poll_part<B>(mut body: Pin<&mut B>, cx: &mut Context<'_>) -> Poll<Result<Option<Part>, AppError>>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    loop {
        let frame = std::task::ready!(body.as_mut().poll_frame(cx));
        let Some(frame) = frame.transpose().map_err(AppError::failed)? else {
            return Poll::Ready(Ok(None));
        };
        let part = match into_data(frame) {
            Ok(content) if body.is_end_stream() => Part::Last(content),
            Ok(content) => Part::Data(content),
            Err(Some(trailers)) => Part::Trailers(trailers),
            // An unknown kind of frame.
            Err(None) => continue,
        };
        return Poll::Ready(Ok(Some(part)));
    }
}

fn into_data<D: Buf>(frame: Frame<D>) -> Result<Bytes, Option<HeaderMap>> {
    match frame.into_data() {
        Ok(mut data) => Ok(data.copy_to_bytes(data.remaining())),
        Err(frame) => Err(frame.into_trailers().ok()),
    }
}

fn set_length(headers: &mut HeaderMap, length: u64) {
    headers
        .entry(header::CONTENT_LENGTH)
        .or_insert_with(|| HeaderValue::from(length));
}

/// Removes the fields that belong to the connection and not to the message (rule `HTTP-18`).
pub(super) fn remove_connection_fields(headers: &mut HeaderMap) {
    remove_fields(headers, is_hop_by_hop);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_cannot_be_trailer_fields_are_left_out() {
        let mut fields = HeaderMap::new();
        for name in [
            header::CONTENT_LENGTH,
            header::SET_COOKIE,
            header::CONNECTION,
        ] {
            fields.insert(name, HeaderValue::from_static("1"));
        }
        fields.insert("x-checksum", HeaderValue::from_static("9a03"));
        let selected = TrailerFields::All.select(fields);
        assert_eq!(selected.len(), 1);
        assert_eq!(selected["x-checksum"], "9a03");
    }
}
