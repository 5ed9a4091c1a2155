//! Futures that are dropped when the client goes away.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll};

use callgate::SendError;

/// Watches for a disconnect of the client.
pub(super) trait DisconnectWatch: Send {
    /// Returns ready once the client is gone.
    fn poll_disconnected(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Returns the output of `future`. When the client goes away first, drops `future` and returns
    /// [`SendError::Disconnected`].
    fn unless_disconnected<F>(
        &mut self,
        future: F,
    ) -> impl Future<Output = Result<F::Output, SendError>> + Send
    where
        F: Future + Send,
    {
        async {
            let mut future = pin!(future);
            poll_fn(|cx| match future.as_mut().poll(cx) {
                Poll::Ready(output) => Poll::Ready(Ok(output)),
                Poll::Pending => self
                    .poll_disconnected(cx)
                    .map(|()| Err(SendError::Disconnected)),
            })
            .await
        }
    }
}
