//! The toolkit on the reference server, over real sockets.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::served::{Served, rest};
use callgate::{AppError, HttpResponseBody, HttpResponseStart, Receiver, Scope, SendEvent, Sender};
use callgate_toolkit::lifespan::with_resource;
use callgate_toolkit::middleware::wrap;
use callgate_toolkit::respond;
use callgate_toolkit::sse::Event;
use futures_util::{StreamExt as _, poll, stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;

/// The length of each part of a content, in bytes.
const PART: usize = 64 * 1024;

/// The number of parts: far more than all buffers between an application and a client hold.
const PARTS: usize = 512;

#[tokio::test]
async fn a_middleware_sees_each_event_once_while_a_client_does_not_read() {
    let (waits, mut waiting) = watch::channel(0_usize);
    let app = move |scope: Scope, _: Receiver, sender: Sender| {
        let waits = waits.clone();
        async move {
            scope.into_http()?;
            let start = HttpResponseStart::ok().header("content-length", PART * PARTS);
            sender.send(start).await?;
            for _ in 0..PARTS {
                let mut sending = pin!(sender.send(HttpResponseBody::part(vec![b'x'; PART])));
                match poll!(&mut sending) {
                    std::task::Poll::Ready(sent) => sent?,
                    std::task::Poll::Pending => {
                        waits.send_modify(|waits| *waits += 1);
                        sending.await?;
                    }
                }
            }
            sender.send(HttpResponseBody::end()).await?;
            Ok::<_, AppError>(())
        }
    };
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    let app = wrap(app, move |_: &mut Scope| {
        let count = count.clone();
        Some(move |event: &mut SendEvent| {
            if let SendEvent::HttpResponseBody(part) = event {
                // Numbers the parts, so that a part that is seen again gets a second number.
                let number = count.fetch_add(1, Ordering::Relaxed);
                let rest = part.body.get(8..).unwrap_or_default();
                if !rest.is_empty() {
                    part.body = [&number.to_be_bytes()[..], rest].concat().into();
                }
            }
        })
    });
    let served = Served::start(app);
    let mut client = served.request("GET /").await;
    client.write_all(b"\r\n").await.unwrap();
    waiting.wait_for(|waits| *waits > 0).await.unwrap();
    assert!(seen.load(Ordering::Relaxed) < PARTS);
    let mut response = Vec::new();
    client.read_to_end(&mut response).await.unwrap();
    let content = response.split_off(response.len() - PART * PARTS);
    let numbers = content
        .chunks(PART)
        .map(|part| usize::from_be_bytes(part[..8].try_into().unwrap()));
    assert!(numbers.eq(0..PARTS));
    assert_eq!(seen.load(Ordering::Relaxed), PARTS + 1);
    served.stop().await;
}

#[tokio::test]
async fn server_sent_events_end_at_shutdown_and_the_resource_is_closed_after_them() {
    async fn events(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        let scope = scope.into_http()?;
        let events = stream::iter([Event::new("one")]).chain(stream::pending());
        respond::events(&mut receiver, events)
            .on_shutdown(Event::reconnect_after(Duration::from_secs(2)))
            .send(&sender)
            .await?;
        let log = scope.state.get::<Log>().unwrap();
        log.lock().unwrap().push("the response has ended");
        Ok(())
    }
    type Log = Arc<Mutex<Vec<&'static str>>>;
    let log = Log::default();
    let opened = log.clone();
    let app = with_resource(
        events,
        move || {
            let log = opened.clone();
            async { Ok::<_, AppError>(log) }
        },
        |log: Log| async move {
            log.lock().unwrap().push("the resource is closed");
            Ok::<_, AppError>(())
        },
    );
    let served = Served::start(app);
    let mut client = served.request("GET /").await;
    client.write_all(b"\r\n").await.unwrap();
    let mut response = String::new();
    while !response.contains("data: one\n\n") {
        let mut buffer = [0; 1024];
        let length = client.read(&mut buffer).await.unwrap();
        response.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
    }
    served.stop().await;
    let end = rest(client).await;
    assert!(end.contains("retry: 2000\n\n"), "{end}");
    assert_eq!(
        *log.lock().unwrap(),
        ["the response has ended", "the resource is closed"]
    );
}
