//! A minimal WebSocket server: tokio-tungstenite on bare sockets.

use std::io;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};

/// Serves every connection to `listener` with the library's defaults, but for the size of the read buffer,
/// in bytes, where one is given. The library zeroes as much before each read.
///
/// # Errors
///
/// Returns the error of the first accept that fails.
pub async fn serve(listener: TcpListener, read_buffer: Option<usize>) -> io::Result<()> {
    let mut config = WebSocketConfig::default();
    if let Some(size) = read_buffer {
        config.read_buffer_size = size;
    }
    let broadcast = broadcast::Sender::new(16);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let broadcast = broadcast.clone();
        tokio::spawn(async move {
            // A client that goes away is no failure.
            let _ = serve_connection(stream, config, broadcast).await;
        });
    }
}

async fn serve_connection(
    stream: TcpStream,
    config: WebSocketConfig,
    broadcast: broadcast::Sender<Message>,
) -> Result<(), Error> {
    let mut is_broadcast = false;
    // The type is that of the library.
    #[allow(clippy::result_large_err)]
    let read_path = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        is_broadcast = request.uri().path() == "/broadcast";
        Ok(response)
    };
    let websocket =
        tokio_tungstenite::accept_hdr_async_with_config(stream, read_path, Some(config)).await?;
    if is_broadcast {
        join_broadcast(websocket, &broadcast).await
    } else {
        echo(websocket).await
    }
}

async fn echo(mut websocket: WebSocketStream<TcpStream>) -> Result<(), Error> {
    while let Some(message) = websocket.next().await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            websocket.send(message).await?;
        }
    }
    Ok(())
}

async fn join_broadcast(
    mut websocket: WebSocketStream<TcpStream>,
    broadcast: &broadcast::Sender<Message>,
) -> Result<(), Error> {
    let mut messages = broadcast.subscribe();
    loop {
        tokio::select! {
            received = websocket.next() => match received {
                Some(Ok(message)) if message.is_text() || message.is_binary() => {
                    // This WebSocket is subscribed, so the send succeeds.
                    let _ = broadcast.send(message);
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
                None => return Ok(()),
            },
            message = messages.recv() => match message {
                Ok(message) => websocket.send(message).await?,
                Err(_) => return Ok(()),
            },
        }
    }
}
