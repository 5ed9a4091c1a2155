//! The settings of HTTP/2.

use super::kind::{One, Parsed};
use super::setting::settings;
use super::values::size;

settings! {
    /// HTTP/2.
    http2: Http2 {
        /// The largest number of streams that a client may have open on a connection at a time.
        http2_max_concurrent_streams => max_concurrent_streams: (u32) = "100" as STREAM_COUNT;

        /// The largest number of control frames of a client in a second, averaged over 10 s.
        ///
        /// Frames that carry neither a request nor content are counted: PING, SETTINGS, RST_STREAM, PRIORITY,
        /// CONTINUATION, DATA without content, WINDOW_UPDATE beyond two for each data frame that the client
        /// gets, and frames of unknown types. A client that sends more is closed with GOAWAY
        /// (ENHANCE_YOUR_CALM).
        http2_max_control_frames => max_control_frames: (u32) = "1000" as FRAME_COUNT;

        /// The largest number of streams that a client has reset before the server has taken them.
        ///
        /// A client that resets more of them is closed with GOAWAY (ENHANCE_YOUR_CALM).
        http2_max_pending_resets => max_pending_resets: (usize) = "20" as RESET_COUNT;

        /// The largest number of streams of a connection that the server has reset because they broke the
        /// protocol or were too many.
        ///
        /// They are counted as long as the connection lives. A client that begins more of them is closed with
        /// GOAWAY (ENHANCE_YOUR_CALM). Requests with a malformed field or a second authority do not count,
        /// although their streams are reset: the application is not called for them, and each holds its place
        /// among the concurrent streams until its reset has been written.
        http2_max_stream_errors => max_stream_errors: (usize) = "1024" as RESET_COUNT;

        /// The content of one stream that a client may send before the application receives, from 65535.
        ///
        /// A larger window makes uploads over slow paths faster.
        http2_stream_window => stream_window: (u32) = "524288" as WINDOW;

        /// The content of all streams of a connection that a client may send before the applications receive,
        /// from 65535.
        ///
        /// With twice the window of a stream, a stream whose application does not receive leaves the others room.
        http2_connection_window => connection_window: (u32) = "1048576" as WINDOW;

        /// The content of all responses of a connection that the server holds while the client does not take it.
        ///
        /// Beyond this, each stream may hold one data frame of at most 64 KiB.
        http2_max_unwritten => max_unwritten: (usize) = "1048576" as UNWRITTEN;

        /// The content of all responses of a connection, sent by applications and not taken by the client, at
        /// which further requests of the connection wait.
        ///
        /// The application is called for them when the client has taken some. An application that sends its
        /// content in one event hands over all of it at once: a connection holds this much, and one event more
        /// for each response that has begun.
        http2_response_backlog => response_backlog: (usize) = "8388608" as UNWRITTEN;
    }
}

const STREAM_COUNT: One<u32> = One::number("NUMBER", stream_count);

const FRAME_COUNT: One<u32> =
    One::number("NUMBER", |text| text.parse().map_err(|_| "give a number"));

const RESET_COUNT: One<usize> =
    One::number("NUMBER", |text| text.parse().map_err(|_| "give a number"));

const WINDOW: One<u32> = One::number("BYTES", |text| {
    (size(text).and_then(|bytes| u32::try_from(bytes).ok()))
        .filter(|bytes| (65_535..1 << 31).contains(bytes))
        .ok_or("give a number of bytes from 65535 to 2147483647, such as 1MiB")
});

const UNWRITTEN: One<usize> = One::number("BYTES", |text| {
    size(text).ok_or("give a number of bytes, such as 65536 or 64KiB")
});

fn stream_count(text: &str) -> Parsed<u32> {
    text.parse()
        .ok()
        .filter(|count| *count >= 1)
        .ok_or("give a number from 1 to 4294967295")
}
