//! Data frames of responses, which record what hyper has written of them.

use std::io::IoSlice;
use std::sync::Arc;

use bytes::{Buf, Bytes};

use super::finished::Period;
use super::stream_state::StreamState;

/// The payload of one data frame of a response.
///
/// hyper advances the payload as its octets are written to the socket, and drops the payload when all
/// of them are, or when the stream is reset.
#[derive(Debug)]
pub(super) struct ResponseData {
    octets: Bytes,
    stream: Arc<StreamState>,
    /// The period of the last progress, if the frame is the last of its response.
    period: Option<Period>,
}

impl ResponseData {
    /// Creates a data frame. `is_last`: the response ends with the frame.
    pub(super) fn new(octets: Bytes, stream: Arc<StreamState>, is_last: bool) -> Self {
        stream.frame_begins(octets.len());
        let period = is_last.then(|| stream.load().finished.add());
        Self {
            octets,
            stream,
            period,
        }
    }
}

impl Buf for ResponseData {
    fn remaining(&self) -> usize {
        self.octets.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.octets
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.octets.chunks_vectored(slices)
    }

    fn advance(&mut self, count: usize) {
        self.octets.advance(count);
        let is_progress = self.stream.frame_advances(count);
        if let Some(period) = &mut self.period
            && is_progress
        {
            self.stream.load().finished.renew(period);
        }
    }
}

impl Drop for ResponseData {
    fn drop(&mut self) {
        if let Some(period) = &self.period {
            self.stream.load().finished.remove(period);
        }
        self.stream.frame_ends(self.octets.len());
    }
}
