//! Compressed WebSockets, by the setting of the server.

use callgate::Feature;
use callgate_server::PerMessageDeflate;

use crate::support::frames::{FIN, TEXT, ask, close, frame};
use crate::support::websocket::echo;
use crate::support::{Server, config, tell, websocket};

/// Set in the first byte of a compressed message (RFC 7692, 6).
const COMPRESSED: u8 = 0x40;
const OFFER: &str =
    "sec-websocket-extensions: permessage-deflate; client_max_window_bits, x-other\r\n";

#[tokio::test]
async fn the_setting_decides_whether_an_offer_is_accepted() {
    for (setting, answer) in [
        (PerMessageDeflate::Off, None),
        (
            PerMessageDeflate::On,
            Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
        ),
        (
            PerMessageDeflate::ContextTakeover,
            Some("permessage-deflate"),
        ),
    ] {
        let mut config = config();
        config.websocket.per_message_deflate = setting;
        let (teller, mut told) = tell();
        let app = websocket(teller, async |teller, scope, receiver, sender| {
            teller.tell(scope.features.contains(Feature::PerMessageDeflate));
            echo(tell().0, scope, receiver, sender).await
        });
        let server = Server::with(config, app);
        let (mut client, response) = ask(&server, "/", OFFER).await;
        assert_eq!(response.status, 101);
        assert_eq!(response.field("sec-websocket-extensions"), answer);
        assert_eq!(told.next().await, answer.is_some());
        match answer {
            // The bit has no meaning without the extension.
            None => {
                client.send(frame(FIN | COMPRESSED | TEXT, "")).await;
                client.closed_with(1002).await;
            }
            Some(_) => {
                // `Hello` in RFC 7692, 7.2.3.1.
                let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
                client.send(frame(FIN | COMPRESSED | TEXT, hello)).await;
                assert_eq!(client.message().await, "Hello");
                let long = "Hello ".repeat(100);
                client.send(frame(FIN | TEXT, &long)).await;
                let (first, payload) = client.frame().await;
                assert_eq!(first, FIN | COMPRESSED | TEXT);
                assert!(payload.len() < 100, "{payload:?}");
                client.send(close(1000, "")).await;
                assert_eq!(client.close_frame().await.0, 1000);
            }
        }
        drop(client);
        server.finish().await;
    }
}

#[tokio::test]
async fn a_handshake_that_offers_nothing_acceptable_opens_the_websocket_without_compression() {
    let (teller, _told) = tell();
    let server = Server::start(websocket(teller, echo));
    let offer = "sec-websocket-extensions: permessage-deflate; server_max_window_bits=8\r\n";
    let (mut client, response) = ask(&server, "/", offer).await;
    assert_eq!(response.status, 101);
    assert_eq!(response.field("sec-websocket-extensions"), None);
    let long = "Hello ".repeat(100);
    client.send(frame(FIN | TEXT, &long)).await;
    assert_eq!(client.message().await, long);
    client.send(close(1000, "")).await;
    assert_eq!(client.close_frame().await.0, 1000);
    drop(client);
    server.finish().await;
}
