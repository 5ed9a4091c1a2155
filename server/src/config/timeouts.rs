//! The settings of time-outs.

use std::time::Duration;

use super::setting::settings;
use super::values::{SECONDS, SECONDS_ABOVE_0, SECONDS_OR_NEVER, SECONDS_OR_NONE};

settings! {
    /// How long the server waits for a client or for the application.
    ///
    /// Progress since the last check counts as if it had been made just then, so a time-out may be
    /// exceeded by an eighth of it, or by 0.1 s.
    timeouts: Timeouts {
        /// Close a connection that is idle between requests for this long.
        ///
        /// A proxy in front must close its idle connections earlier, or it sends a request on a connection
        /// that is being closed, and responds with 502. The default is longer than the 60 s of nginx and
        /// of most load balancers.
        timeout_keep_alive => keep_alive: (Duration) = "75" as SECONDS;

        /// Close a connection whose TLS handshake takes longer.
        timeout_tls_handshake => tls_handshake: (Duration) = "10" as SECONDS_ABOVE_0;

        /// Close a connection whose client takes longer to send the head of a request.
        ///
        /// A client that has sent a part of a head gets 408. A client that has sent nothing is closed
        /// without a response.
        timeout_request_head => request_head: (Duration) = "30" as SECONDS_ABOVE_0;

        /// Give up a client that makes no progress with its content for this long.
        ///
        /// The time counts while the application waits for the content, and the client takes nothing
        /// of its response either. The request is then answered with 408, or its response is cut. An
        /// exchange that may be silent in both directions needs a longer time.
        timeout_request_content => request_content: (Duration) = "60" as SECONDS_ABOVE_0;

        /// Refuse an exchange with 503 that has waited for this long, because `limit-concurrency` is reached.
        timeout_concurrency_queue => concurrency_queue: (Duration) = "5" as SECONDS_ABOVE_0;

        /// End an exchange whose application has not sent its whole response for this long after the head of
        /// the request; `none` or 0 for never.
        ///
        /// The application receives a disconnect. A client whose response has not started gets 504; a
        /// response that has started is cut. Streams without end need `none`.
        timeout_request => request: (Option<Duration>) = "none" as SECONDS_OR_NEVER;

        /// Refuse a WebSocket with 504 whose application does not answer the handshake for this long; `none` or
        /// 0 for never.
        ///
        /// The application receives a disconnect.
        timeout_websocket_handshake => websocket_handshake: (Option<Duration>) = "60" as SECONDS_OR_NEVER;

        /// Give up a client that takes nothing of its response for this long.
        ///
        /// The connection is then reset; over HTTP/2, the stream.
        timeout_write => write: (Duration) = "60" as SECONDS_ABOVE_0;

        /// Let a client that has closed its sending side wait for its response for this long.
        ///
        /// The time counts while the response to a client of HTTP/1 makes no progress. After that, the
        /// client is regarded as gone (rule `HTTP-12`). With 0 such a client is gone at once.
        timeout_half_close => half_close: (Duration) = "2" as SECONDS;

        /// Let the application go on for this long after its client is gone.
        ///
        /// The same holds for an application whose client has the whole response (HEAD; all that
        /// `content-length` announced). Then the call is dropped.
        timeout_disconnect => disconnect: (Duration) = "30" as SECONDS;

        /// Drop what still runs this long after being told to stop; `none` to wait for it.
        ///
        /// A shutdown waits so long for exchanges and background work. The lifespan has the same time
        /// after that, and at least a second.
        timeout_graceful_shutdown => graceful_shutdown: (Option<Duration>) = "30" as SECONDS_OR_NONE;

        /// Kill a successor that is not ready to serve after this time; `none` or 0 to wait for it.
        ///
        /// The process that was to be replaced then goes on.
        timeout_upgrade => upgrade: (Option<Duration>) = "none" as SECONDS_OR_NEVER;
    }
}
