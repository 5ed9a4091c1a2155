//! WebSockets over HTTP/2 (RFC 8441).

use callgate::{Message, ReceiveEvent, WebSocketAccept};
use h2::Reason;

use crate::support::frames::{CLOSE, FIN, TEXT, close, frame};
use crate::support::http2::{Client, octets, open};
#[cfg(feature = "tls")]
use crate::support::tls::{Authority, connect};
use crate::support::{Server, tell, websocket, within};

#[tokio::test]
async fn ws_29_a_websocket_over_extended_connect() {
    let (teller, mut told) = tell();
    let server = Server::start(websocket(
        teller,
        async |teller, scope, mut receiver, sender| {
            if scope.raw_path() == "/refused" {
                sender.send(callgate::WebSocketClose::default()).await?;
                return Ok(());
            }
            teller.tell(format!("{:?} {:?}", scope.version, scope.subprotocols));
            let accept = WebSocketAccept::new()
                .subprotocol("two")
                .header("x-more", "1");
            sender.send(accept).await?;
            loop {
                match receiver.receive().await {
                    ReceiveEvent::WebSocketReceive(Message::Text(text)) => {
                        sender.send(Message::text(format!("{text}!"))).await?;
                    }
                    ReceiveEvent::WebSocketDisconnect(end) => {
                        teller.tell(end.code.to_string());
                        return Ok(());
                    }
                    _ => {}
                }
            }
        },
    ));
    let mut client = Client::connect(&server).await;
    let (response, stream) = open(&mut client, "/refused").await;
    assert_eq!(response.status(), 403);
    drop((response, stream));

    let (response, mut stream) = open(&mut client, "/").await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["sec-websocket-protocol"], "two");
    assert_eq!(response.headers()["x-more"], "1");
    assert_eq!(told.next().await, r#"HTTP/2.0 ["one", "two"]"#);
    let mut body = response.into_body();
    for text in ["hello", "again"] {
        stream
            .send_data(frame(FIN | TEXT, text).into(), false)
            .unwrap();
        let expected = format!("{text}!");
        let data = octets(&mut body, 2 + expected.len()).await;
        assert_eq!(data[..2], [FIN | TEXT, expected.len() as u8]);
        assert_eq!(data[2..], *expected.as_bytes());
    }
    stream.send_data(close(1000, "").into(), false).unwrap();
    let data = within(body.data()).await.unwrap().unwrap();
    assert_eq!(data[0], FIN | CLOSE);
    assert_eq!(told.next().await, "1000");
    drop((stream, body));

    // A stream that is reset is a client that is lost.
    let (response, mut stream) = open(&mut client, "/").await;
    assert_eq!(response.status(), 200);
    told.next().await;
    stream.send_reset(Reason::CANCEL);
    assert_eq!(told.next().await, "1006");
    drop((client, response, stream));
    server.finish().await;
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn a_websocket_over_http2_is_carried_over_tls() {
    let authority = Authority::new();
    let app = websocket((), async |(), _, mut receiver, sender| {
        receiver.receive().await;
        sender.send(WebSocketAccept::new()).await?;
        while let ReceiveEvent::WebSocketReceive(message) = receiver.receive().await {
            sender.send(message).await?;
        }
        Ok(())
    });
    let server = Server::with(authority.config("a.test"), app);
    let mut config = authority.client();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = connect(&server, config, "a.test").await.unwrap();
    let mut client = Client::over(stream, &h2::client::Builder::new()).await;
    let (response, mut stream) = open(&mut client, "/").await;
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    for text in ["a".to_owned(), "b".repeat(200_000)] {
        let sent = frame(FIN | TEXT, &text);
        stream.send_data(sent.into(), false).unwrap();
        // The server does not mask: its frame is that of the client without the mask.
        let head = if text.len() < 126 { 2 } else { 10 };
        let data = octets(&mut body, head + text.len()).await;
        assert_eq!(data[0], FIN | TEXT);
        assert!(data[head..] == *text.as_bytes());
    }
    stream.send_data(close(1000, "").into(), false).unwrap();
    let data = within(body.data()).await.unwrap().unwrap();
    assert_eq!(data[0], FIN | CLOSE);
}
