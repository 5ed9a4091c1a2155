//! Messages in both directions, and the end of a session by its client.

use callgate::{AppError, Message, ReceiveEvent, Receiver, Sender};
use callgate_drive::websocket::SessionConfig;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message as Frame;

use crate::support::{Opened, SECOND, open, unknown, without_pings};

/// Sends each message back. Reports the code of the disconnect.
pub(crate) async fn echo(
    mut receiver: Receiver,
    sender: Sender,
    report: mpsc::UnboundedSender<u16>,
) -> Result<(), AppError> {
    loop {
        match receiver.receive().await {
            ReceiveEvent::WebSocketReceive(message) => sender.send(message).await?,
            ReceiveEvent::WebSocketDisconnect(end) => {
                // The test may have failed.
                let _ = report.send(end.code);
                return Ok(());
            }
            _ => {}
        }
    }
}

async fn open_echo(config: SessionConfig) -> (Opened, mpsc::UnboundedReceiver<u16>) {
    let (report, reported) = mpsc::unbounded_channel();
    let app = move |receiver, sender| echo(receiver, sender, report.clone());
    (open(config, unknown, app).await, reported)
}

/// Returns a client's frame with this first octet. The masking key is zero.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    assert!(length < 126);
    [&[first, 0x80 | length, 0, 0, 0, 0], payload].concat()
}

/// Sends these octets at once. Returns all that the session sends before the connection ends.
async fn exchange(octets: &[u8]) -> (Vec<u8>, u16) {
    exchange_over(open_echo(without_pings()).await, octets).await
}

/// Sends these octets at once over a WebSocket whose application reports the code of the disconnect.
/// Returns all that the session sends before the connection ends, and that code.
pub(crate) async fn exchange_over(
    (opened, mut reported): (Opened, mpsc::UnboundedReceiver<u16>),
    octets: &[u8],
) -> (Vec<u8>, u16) {
    let mut stream = opened.client.into_inner();
    stream.write_all(octets).await.unwrap();
    let mut sent = Vec::new();
    stream.read_to_end(&mut sent).await.unwrap();
    drop(stream);
    opened.session.await.unwrap();
    (sent, reported.recv().await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_message_before_an_invalid_frame_in_one_read_is_answered_before_the_close() {
    for (invalid, code) in [
        (frame(0xc1, b"reserved bit"), 1002_u16),
        (frame(0x81, b"\xff"), 1007),
        (vec![0x82, 0xff, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0], 1009),
    ] {
        let octets = [frame(0x81, b"one"), frame(0x82, b"two"), invalid].concat();
        let (sent, disconnect) = exchange(&octets).await;
        let [high, low] = code.to_be_bytes();
        let close = [0x88, 2, high, low];
        assert_eq!(sent, [&b"\x81\x03one\x82\x03two"[..], &close].concat());
        assert_eq!(disconnect, code);
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_before_a_close_frame_in_one_read_is_answered_before_the_close() {
    let octets = [
        frame(0x81, b"one"),
        frame(0x89, b"ping"),
        frame(0x88, b"\x03\xf6bye"),
        frame(0x81, b"after"),
    ];
    let (sent, disconnect) = exchange(&octets.concat()).await;
    // The pong comes first: the session answers pings itself, while it reads.
    assert_eq!(sent, b"\x8a\x04ping\x81\x03one\x88\x05\x03\xf6bye");
    assert_eq!(disconnect, 1014);
}

#[tokio::test(start_paused = true)]
async fn a_close_frame_without_a_code_is_answered_with_one_without_a_code() {
    let (sent, disconnect) = exchange(&frame(0x88, b"")).await;
    assert_eq!(sent, b"\x88\0");
    assert_eq!(disconnect, 1005);
}

#[tokio::test(start_paused = true)]
async fn messages_of_all_sizes_come_back() {
    let (mut opened, _reported) = open_echo(without_pings()).await;
    for length in [0, 1, 125, 126, 4096, 4097, 20_000, 65_535, 65_536, 1 << 20] {
        for message in [
            Frame::text("ä".repeat(length / 2)),
            Frame::binary(vec![0xfe; length]),
        ] {
            // The connection holds less than the message, so both directions go on at once.
            let (mut sink, mut stream) = opened.client.split();
            let (sent, got) = tokio::join!(sink.send(message.clone()), stream.next());
            sent.unwrap();
            assert!(got.unwrap().unwrap() == message, "{length}");
            opened.client = sink.reunite(stream).unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn messages_that_are_sent_by_a_task_are_sent_in_order() {
    const COUNT: usize = 1000;
    let mut opened = open(
        without_pings(),
        unknown,
        |mut receiver, sender| async move {
            let task = tokio::spawn(async move {
                for n in 0..COUNT {
                    sender.send(Message::text(n.to_string())).await?;
                }
                Ok::<_, AppError>(())
            });
            while !matches!(
                receiver.receive().await,
                ReceiveEvent::WebSocketDisconnect(_)
            ) {}
            task.await?
        },
    )
    .await;
    for n in 0..COUNT {
        let message = opened.client.next().await.unwrap().unwrap();
        assert_eq!(message, Frame::text(n.to_string()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_a_header_closes_the_websocket_before_the_header_is_complete() {
    for (what, header, code) in [
        ("a reserved bit", &[0xc1][..], 1002),
        ("a reserved opcode", &[0x83], 1002),
        ("a fragmented ping", &[0x09], 1002),
        ("a continuation of nothing", &[0x80], 1002),
        ("no mask", &[0x81, 5], 1002),
        ("a long ping", &[0x89, 0xfe], 1002),
        ("a length of 65 bits", &[0x82, 0xff, 0x80], 1002),
        (
            "a length that is not the shortest",
            &[0x82, 0xff, 0, 0, 0, 0, 0, 0],
            1002,
        ),
        (
            "a length over the limit",
            &[0x82, 0xff, 0, 0, 0, 1],
            1009_u16,
        ),
    ] {
        let (opened, mut reported) = open_echo(without_pings()).await;
        let mut stream = opened.client.into_inner();
        for octet in header {
            stream.write_all(&[*octet]).await.unwrap();
            tokio::task::yield_now().await;
        }
        let mut sent = Vec::new();
        // Nothing more comes, so the session has all the time there is.
        let read = timeout(SECOND, stream.read_to_end(&mut sent)).await;
        read.expect(what).unwrap();
        let [high, low] = code.to_be_bytes();
        assert_eq!(sent, [0x88, 2, high, low], "{what}");
        assert_eq!(reported.recv().await, Some(code), "{what}");
    }
}
