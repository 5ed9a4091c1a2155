//! What a server responds with.

use callgate::HttpResponseStart;
use http::StatusCode;

use crate::ResponseBody;

/// The response of the server.
#[derive(Debug)]
pub enum Response {
    /// The application's response: its head and its content. The content is empty where the client
    /// takes none (HEAD) or the status allows none.
    Started(HttpResponseStart, ResponseBody),
    /// A response that the server creates, with this status.
    Replacement(StatusCode),
    /// No response, because the client is gone.
    Disconnected,
}
