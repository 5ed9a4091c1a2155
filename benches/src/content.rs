//! The content that every server of the measurements sends.
//!
//! | path | response |
//! | --- | --- |
//! | `/` | [`HELLO`], as text |
//! | `/echo` | the content of the request, as it arrives |
//! | `/large` | [`large`] |
//! | `/chunks` | [`CHUNKS`] times [`chunk`], as a stream without a length |
//! | `/wait` | [`HELLO`], after [`WAIT`] |
//! | `/no-content` | 204, for the suite for HTTP |
//! | `/file/NAME` | a file of the directory |
//! | `/messages` | a WebSocket, which sends each message back |
//! | `/broadcast` | a WebSocket, which sends each message to all WebSockets here |

use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;

/// The content of a short response.
pub const HELLO: &str = "Hello, world!\n";

/// The `content-type` of [`HELLO`].
pub const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// The `content-type` of every other response.
pub const BINARY: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// The number of parts of a stream.
pub const CHUNKS: usize = 64;

/// The time before a response that waits.
pub const WAIT: Duration = Duration::from_millis(10);

static LARGE: [u8; 100 * 1024] = [b'x'; 100 * 1024];

/// Returns the content of a large response: 100 KB.
#[must_use]
pub fn large() -> Bytes {
    Bytes::from_static(&LARGE)
}

/// Returns one part of a stream: 1 KB.
#[must_use]
pub fn chunk() -> Bytes {
    Bytes::from_static(&LARGE[..1024])
}
