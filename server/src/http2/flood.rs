//! Floods of frames that carry no content, and the end of a connection that sends one.

use std::time::Duration;

use tokio::time::Instant;

use super::windows::FrameReader;

/// The time over which the rate of control frames is averaged.
const PERIOD: Duration = Duration::from_secs(10);

/// The WINDOW_UPDATE frames that a client may send for each data frame that it gets: one for the stream, and
/// one for the connection.
const WINDOW_UPDATES: u64 = 2;

/// The type of GOAWAY frames, and the error of a peer that causes too much load (RFC 9113, 6.8 and 7).
const GOAWAY: u8 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

/// Notices a client that sends too many control frames: those that carry neither a request nor content.
///
/// The clock is read once in so many frames as are allowed in a period.
#[derive(Debug)]
pub(super) struct FloodGuard {
    /// The control frames that are allowed in a period.
    most: u64,
    /// The control frames until the beginning of the period.
    before: u64,
    since: Instant,
}

impl FloodGuard {
    /// Creates the guard of a connection that may send so many control frames in a second.
    pub(super) fn new(rate: u32) -> Self {
        Self {
            most: u64::from(rate) * PERIOD.as_secs(),
            before: 0,
            since: Instant::now(),
        }
    }

    /// Returns whether the client sends too many control frames.
    #[inline]
    pub(super) fn is_flooded(&mut self, client: &FrameReader, server: &FrameReader) -> bool {
        let window_updates = client.window_updates();
        let needed = WINDOW_UPDATES * server.data_frames();
        let frames = client.control_frames() + window_updates.saturating_sub(needed);
        frames.saturating_sub(self.before) > self.most && self.is_period_too_short(frames)
    }

    fn is_period_too_short(&mut self, frames: u64) -> bool {
        let now = Instant::now();
        let is_too_short = now - self.since < PERIOD;
        self.before = frames;
        self.since = now;
        is_too_short
    }
}

/// Returns the GOAWAY frame for a client that sends a flood. `last_stream` is the last stream that the client has
/// begun.
pub(super) fn goaway(last_stream: u32) -> Vec<u8> {
    let mut frame = vec![0, 0, 8, GOAWAY, 0, 0, 0, 0, 0];
    frame.extend_from_slice(&last_stream.to_be_bytes());
    frame.extend_from_slice(&ENHANCE_YOUR_CALM.to_be_bytes());
    frame
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::super::windows::Window;
    use super::*;

    const PING: u8 = 6;
    const WINDOW_UPDATE: u8 = 8;
    const DATA: u8 = 0;

    fn read(reader: &mut FrameReader, kind: u8, payload: &[u8], count: usize) {
        let mut frame = vec![0, 0, payload.len() as u8, kind, 0, 0, 0, 0, 1];
        frame.extend_from_slice(payload);
        let (own, other) = (Window::new(), Window::new());
        reader.read(&frame.repeat(count), &own, &other);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_averaged_over_a_period_and_a_burst_is_no_flood() {
        let (mut client, server) = (FrameReader::of_server(), FrameReader::of_server());
        let mut guard = FloodGuard::new(10);
        for _ in 0..5 {
            read(&mut client, PING, &[0; 8], 100);
            assert!(!guard.is_flooded(&client, &server));
            advance(PERIOD).await;
        }
        read(&mut client, PING, &[0; 8], 201);
        assert!(!guard.is_flooded(&client, &server));
        read(&mut client, PING, &[0; 8], 101);
        assert!(guard.is_flooded(&client, &server));
    }

    #[tokio::test(start_paused = true)]
    async fn windows_may_be_extended_as_often_as_data_is_sent() {
        let (mut client, mut server) = (FrameReader::of_server(), FrameReader::of_server());
        let mut guard = FloodGuard::new(10);
        read(&mut server, DATA, &[0; 100], 1000);
        read(&mut client, WINDOW_UPDATE, &[0, 0, 0, 100], 2100);
        assert!(!guard.is_flooded(&client, &server));
        read(&mut client, WINDOW_UPDATE, &[0, 0, 0, 100], 1);
        assert!(guard.is_flooded(&client, &server));
    }
}
