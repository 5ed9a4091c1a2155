//! Interruptions of an exchange: the client's disconnect and the server's shutdown.

use callgate::{ReceiveEvent, Receiver};

/// The reason for an application to come to an end, as [`interruption`] returns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Interruption {
    /// The client is gone, or the exchange is over. Sends fail.
    Disconnected,
    /// The server is shutting down. Sends go on working.
    Shutdown,
}

/// Waits until the client is gone or the server shuts down. Content of the request that has not been
/// read is dropped.
///
/// A shutdown is returned once; after that the function waits for the disconnect. Cancel safe.
///
/// This is for an application that waits without reading or sending, such as a long poll:
///
/// ```
/// use std::future::Future;
/// use callgate::{AppError, Receiver, SendError, Sender};
/// use callgate_toolkit::read::{self, Interruption};
/// use callgate_toolkit::respond;
/// use futures_util::future::{Either, select};
/// use http::StatusCode;
/// use std::pin::pin;
///
/// async fn poll(
///     news: impl Future<Output = String>,
///     receiver: &mut Receiver,
///     sender: &Sender,
/// ) -> Result<(), AppError> {
///     match select(pin!(news), pin!(read::interruption(receiver))).await {
///         Either::Left((news, _)) => respond::text(news).send(sender).await,
///         Either::Right((Interruption::Disconnected, _)) => Err(SendError::Disconnected.into()),
///         // The client asks again, and is answered by the next server.
///         Either::Right(_) => respond::status(StatusCode::NO_CONTENT).send(sender).await,
///     }
/// }
/// ```
pub async fn interruption(receiver: &mut Receiver) -> Interruption {
    loop {
        match receiver.receive().await {
            ReceiveEvent::HttpDisconnect | ReceiveEvent::WebSocketDisconnect(_) => {
                return Interruption::Disconnected;
            }
            ReceiveEvent::HttpShutdown => return Interruption::Shutdown,
            _ => {}
        }
    }
}

/// Waits until the client is gone or the exchange is over, whether or not the server shuts down.
/// Content of the request that has not been read is dropped.
///
/// This is for work that a shutdown must not interrupt. Cancel safe.
pub async fn disconnected(receiver: &mut Receiver) {
    while interruption(receiver).await != Interruption::Disconnected {}
}
