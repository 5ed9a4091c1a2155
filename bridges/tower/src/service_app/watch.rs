//! Work that ends when the client goes away.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll};

use callgate::SendError;

/// Where it is seen that the client is gone.
pub(super) trait Watch: Send {
    /// Ready once it is.
    fn poll_disconnect(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// What comes out of `future`; or the disconnect that came first, and `future` is dropped.
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
                    .poll_disconnect(cx)
                    .map(|()| Err(SendError::Disconnected)),
            })
            .await
        }
    }
}
