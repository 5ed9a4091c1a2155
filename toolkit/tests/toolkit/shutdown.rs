//! Responses that have no end of their own, when the server shuts down.

use std::sync::Arc;
use std::time::Duration;

use callgate::{AppError, HttpRequestBody, ReceiveEvent};
use callgate_toolkit::read::{self, Interruption};
use callgate_toolkit::respond;
use callgate_toolkit::sse::Event;
use futures_util::{Stream, stream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, yield_now};

use crate::scripted::Scripted;

/// Returns a source of items, and the items as a stream.
fn source<T: Send + 'static>() -> (UnboundedSender<T>, impl Stream<Item = T> + Send) {
    let (sender, receiver) = unbounded_channel();
    let items = stream::unfold(receiver, |mut receiver: UnboundedReceiver<T>| async {
        Some((receiver.recv().await?, receiver))
    });
    (sender, items)
}

/// Waits until this content has been sent.
async fn sent(channel: &Scripted, content: &str) {
    while channel.content() != (content.to_owned(), false) {
        yield_now().await;
    }
}

type Items = UnboundedSender<Result<&'static str, std::io::Error>>;

/// Streams a response, and returns the source of its items.
fn streaming(
    waits: usize,
    is_ignored: bool,
    has_length: bool,
) -> (Arc<Scripted>, Items, JoinHandle<Result<(), AppError>>) {
    let channel = Scripted::new(waits);
    let (mut receiver, sender) = channel.pair();
    let (items, stream) = source();
    let task = tokio::spawn(async move {
        let mut response = respond::stream(&mut receiver, stream);
        if is_ignored {
            response = response.ignore_shutdown();
        }
        if has_length {
            response = response.header("content-length", 3);
        }
        response.send(&sender).await
    });
    (channel, items, task)
}

#[tokio::test]
async fn a_stream_ends_at_shutdown_after_the_item_in_hand() {
    let (channel, items, task) = streaming(0, false, false);
    items.send(Ok("one")).unwrap();
    sent(&channel, "one").await;
    channel.push(ReceiveEvent::HttpShutdown);
    task.await.unwrap().unwrap();
    assert_eq!(channel.content(), ("one".into(), true));
}

#[tokio::test]
async fn an_item_that_waits_for_room_is_sent_before_the_end() {
    let (channel, items, task) = streaming(3, false, false);
    sent(&channel, "").await;
    items.send(Ok("one")).unwrap();
    // The item is in hand, and waits for the first time.
    yield_now().await;
    channel.push(ReceiveEvent::HttpShutdown);
    task.await.unwrap().unwrap();
    assert_eq!(channel.content(), ("one".into(), true));
}

#[tokio::test]
async fn a_stream_goes_on_after_a_shutdown_where_it_must_be_whole() {
    for (is_ignored, has_length) in [(true, false), (false, true)] {
        let (channel, items, task) = streaming(0, is_ignored, has_length);
        channel.push(ReceiveEvent::HttpShutdown);
        while channel.unreceived() > 0 {
            yield_now().await;
        }
        items.send(Ok("two")).unwrap();
        sent(&channel, "two").await;
        drop(items);
        task.await.unwrap().unwrap();
        assert_eq!(channel.content(), ("two".into(), true));
    }
}

#[tokio::test]
async fn a_stream_that_goes_on_after_a_shutdown_ends_when_the_client_goes_away() {
    let (channel, items, task) = streaming(0, true, false);
    channel.push(ReceiveEvent::HttpShutdown);
    channel.push(ReceiveEvent::HttpDisconnect);
    let error = task.await.unwrap().unwrap_err();
    assert!(error.is_disconnected());
    assert!(!channel.content().1);
    drop(items);
}

#[tokio::test]
async fn a_stream_that_always_has_an_item_sees_the_shutdown() {
    let channel = Scripted::new(0);
    let (mut receiver, sender) = channel.pair();
    channel.push(ReceiveEvent::HttpRequestBody(HttpRequestBody::last("x")));
    channel.push(ReceiveEvent::HttpShutdown);
    let items = stream::iter(std::iter::repeat_n(Ok::<_, AppErrorText>("x"), 1000));
    let response = respond::stream(&mut receiver, items);
    response.send(&sender).await.unwrap();
    assert_eq!(channel.content(), (String::new(), true));
}

type AppErrorText = &'static str;

#[tokio::test]
async fn server_sent_events_end_at_shutdown_with_the_event_that_the_author_chose() {
    let reconnect = Event::reconnect_after(Duration::from_secs(2));
    for (last, text) in [(None, ""), (Some(reconnect), "retry: 2000\n\n")] {
        let channel = Scripted::new(0);
        let (mut receiver, sender) = channel.pair();
        let (events, stream) = source();
        let task = tokio::spawn(async move {
            let mut response = respond::events(&mut receiver, stream);
            if let Some(last) = last {
                response = response.on_shutdown(last);
            }
            response.send(&sender).await
        });
        events.send(Event::new("one")).unwrap();
        sent(&channel, "data: one\n\n").await;
        channel.push(ReceiveEvent::HttpShutdown);
        task.await.unwrap().unwrap();
        assert_eq!(channel.content(), (format!("data: one\n\n{text}"), true));
    }
}

#[tokio::test]
async fn a_shutdown_interrupts_once_and_a_disconnect_always() {
    let channel = Scripted::new(0);
    let (mut receiver, _) = channel.pair();
    channel.push(ReceiveEvent::HttpRequestBody(HttpRequestBody::last("x")));
    channel.push(ReceiveEvent::HttpShutdown);
    let first = read::interruption(&mut receiver).await;
    assert_eq!(first, Interruption::Shutdown);
    channel.push(ReceiveEvent::HttpShutdown);
    channel.push(ReceiveEvent::HttpDisconnect);
    read::disconnected(&mut receiver).await;
    assert_eq!(channel.unreceived(), 0);
}
