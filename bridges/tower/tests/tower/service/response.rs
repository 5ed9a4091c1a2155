//! Content and responses.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use bytes::Bytes;
use callgate::{
    HttpResponseBody, HttpResponseStart, HttpResponseTrailers, ReceiveEvent, Receiver, SendError,
    Sender,
};
use callgate_toolkit::{read, respond};
use futures_util::StreamExt as _;
use http::{HeaderMap, Method, StatusCode, Version};
use http_body_util::{BodyExt as _, Channel, Full, Limited};

use super::{ask, http, post, text, to};
use crate::support::{settled, within};

#[tokio::test]
async fn an_application_is_called_in_place_and_its_response_is_whole() {
    let service = http(async |_, mut receiver, sender: Sender| {
        let content = read::bytes(&mut receiver, 100).await?;
        assert!(tokio::task::try_id().is_none(), "it runs on a task");
        respond::text(format!("{} bytes", content.len()))
            .send(&sender)
            .await?;
        Ok(())
    });
    let request = post(Body::from("content"));
    let response = ask(service, request).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(http_body::Body::size_hint(response.body()).exact(), Some(7));
    assert_eq!(text(response).await, "7 bytes");
}

#[tokio::test]
async fn content_is_read_when_the_application_receives() {
    let service = http(async |_, mut receiver: Receiver, sender| {
        let ReceiveEvent::HttpRequestBody(first) = receiver.receive().await else {
            panic!("it is content");
        };
        respond::bytes(first.body).send(&sender).await?;
        Ok(())
    });
    let read = Arc::new(AtomicUsize::new(0));
    let count = read.clone();
    let parts = futures_util::stream::iter(["one", "two"]).map(move |part| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok::<_, std::io::Error>(part)
    });
    let request = post(Body::from_stream(parts));
    assert_eq!(text(ask(service, request).await).await, "one");
    assert_eq!(read.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_reader_that_does_not_read_makes_the_application_wait() {
    const PARTS: usize = 16;
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    let service = http(move |_, _, sender: Sender| {
        let count = count.clone();
        async move {
            sender.send(HttpResponseStart::ok()).await?;
            for _ in 0..PARTS {
                sender.send(HttpResponseBody::part("part")).await?;
                count.fetch_add(1, Ordering::Relaxed);
            }
            sender.send(HttpResponseBody::end()).await?;
            Ok(())
        }
    });
    let mut body = ask(service, to("/")).await.into_body();
    for received in 0..PARTS {
        settled().await;
        let ahead = sent.load(Ordering::Relaxed) - received;
        assert!(ahead <= 1, "{ahead} parts are held");
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "part");
    }
    assert_eq!(body.collect().await.unwrap().to_bytes(), "");
}

#[tokio::test]
async fn trailer_fields_go_both_ways() {
    let service = http(async |_, mut receiver: Receiver, sender: Sender| {
        let fields = loop {
            if let ReceiveEvent::HttpRequestBody(event) = receiver.receive().await
                && !event.more_body
            {
                break *event.trailers.unwrap();
            }
        };
        sender.send(HttpResponseStart::ok().with_trailers()).await?;
        sender.send(HttpResponseBody::last("content")).await?;
        sender.send(HttpResponseTrailers::last(fields)).await?;
        Ok(())
    });
    let mut fields = HeaderMap::new();
    fields.insert("checksum", "abc".parse().unwrap());
    let body = Full::new(Bytes::from("content"))
        .with_trailers(std::future::ready(Some(Ok(fields.clone()))));
    let mut request = post(Body::new(body));
    *request.version_mut() = Version::HTTP_2;
    let collected = ask(service, request)
        .await
        .into_body()
        .collect()
        .await
        .unwrap();
    assert_eq!(collected.trailers(), Some(&fields));
    assert_eq!(collected.to_bytes(), "content");
}

#[tokio::test]
async fn the_application_decides_between_whole_streamed_and_head_alone() {
    let service = http(async |scope, _, sender: Sender| {
        if scope.path() == "/none" {
            sender
                .send(HttpResponseStart::new(StatusCode::NO_CONTENT))
                .await?;
            sender.send(HttpResponseBody::end()).await?;
            return Ok(());
        }
        sender.send(HttpResponseStart::ok()).await?;
        sender.send(HttpResponseBody::last("content")).await?;
        Ok(())
    });
    let response = ask(service.clone(), to("/none")).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(text(response).await, "");
    let mut head = to("/");
    *head.method_mut() = Method::HEAD;
    let response = ask(service, head).await;
    assert_eq!(response.headers()["content-length"], "7");
    assert_eq!(text(response).await, "");
}

#[tokio::test]
async fn trailer_fields_that_turn_out_to_be_none_are_left_out() {
    let service = http(async |_, _, sender: Sender| {
        sender.send(HttpResponseStart::ok().with_trailers()).await?;
        sender.send(HttpResponseBody::last("content")).await?;
        sender.send(HttpResponseTrailers::default()).await?;
        Ok(())
    });
    let mut request = to("/");
    *request.version_mut() = Version::HTTP_2;
    let body = ask(service, request).await.into_body();
    assert_eq!(body.collect().await.unwrap().trailers(), None);
}

#[tokio::test]
async fn trailer_fields_beyond_the_limit_are_refused_and_the_exchange_goes_on() {
    let service = http(async |_, _, sender: Sender| {
        sender.send(HttpResponseStart::ok().with_trailers()).await?;
        sender.send(HttpResponseBody::last("content")).await?;
        let mut large = HeaderMap::new();
        large.insert("large", "x".repeat(40_000).parse()?);
        let mut part = HttpResponseTrailers::last(large);
        part.more_trailers = true;
        sender.send(part.clone()).await?;
        let refused = sender.send(part).await;
        assert!(matches!(refused, Err(SendError::TrailersTooLarge { .. })));
        sender.send(HttpResponseTrailers::default()).await?;
        Ok(())
    });
    let mut request = to("/");
    *request.version_mut() = Version::HTTP_2;
    let body = ask(service, request).await.into_body();
    let collected = within(body.collect()).await.unwrap();
    assert_eq!(collected.trailers().unwrap()["large"].len(), 40_000);
}

#[tokio::test]
async fn content_beyond_a_layer_s_limit_is_answered_with_413_and_other_errors_with_400() {
    let service = http(async |_, mut receiver, sender| {
        let content = read::bytes(&mut receiver, 1000).await?;
        respond::bytes(content).send(&sender).await?;
        Ok(())
    });
    let limited = Body::new(Limited::new(Body::from("too long"), 3));
    let request = post(limited);
    let response = ask(service.clone(), request).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);

    let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(1);
    sender.send_data("part".into()).await.unwrap();
    sender.abort(std::io::Error::other("cut"));
    let request = post(Body::new(body));
    assert_eq!(
        ask(service, request).await.status(),
        StatusCode::BAD_REQUEST
    );
}
