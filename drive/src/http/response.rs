//! The response that an exchange gives its server.

use callgate::HttpResponseStart;
use http::{HeaderValue, StatusCode};

use crate::ResponseBody;

/// The response of the server.
#[derive(Debug)]
pub enum Response {
    /// A `103 Early Hints` with these values of `link`, before the response. The exchange is polled
    /// again. Only exchanges whose scope offers [`Feature::EarlyHints`](callgate::Feature::EarlyHints)
    /// have them.
    EarlyHints(Vec<HeaderValue>),
    /// The application's response: its head and its content. The content is empty where the client
    /// takes none (HEAD) or the status allows none.
    Started(HttpResponseStart, ResponseBody),
    /// A response that the server creates, with this status.
    Replacement(StatusCode),
    /// No response, because the client is gone.
    Disconnected,
}
