//! The compression of messages (RFC 7692, 7.2.1).

use std::cell::RefCell;

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress};

use super::negotiation::ContextParameters;
use super::{FLUSH_TAIL, MAX_WINDOW_BITS, MIN_WINDOW_BITS};

/// The sizes of the messages that are compressed, in bytes. A smaller message gains nothing that
/// outweighs the work. A larger one would keep the other tasks of its thread waiting for too long.
/// Other messages are sent uncompressed, and do not enter the context.
pub(crate) const MIN_COMPRESSED: usize = 128;
const MAX_COMPRESSED: usize = 1 << 20;

/// The least room for output, in bytes. zlib repeats the end of a flush when there is less than 7.
const MIN_ROOM: usize = 64;

thread_local! {
    /// A compressor for each size of window, for the contexts of this thread that are not kept.
    static IDLE: RefCell<[Option<Box<Compress>>; WINDOWS]> = const { RefCell::new([const { None }; WINDOWS]) };
}

const WINDOWS: usize = (MAX_WINDOW_BITS - MIN_WINDOW_BITS + 1) as usize;

/// Compresses the messages of one side.
#[derive(Debug)]
pub(crate) struct Compressor {
    window_bits: u8,
    /// The context of the last messages. `None` before the first one, and when no context is kept.
    context: Option<Box<Compress>>,
    keeps_context: bool,
}

impl Compressor {
    pub(crate) fn new(parameters: ContextParameters) -> Self {
        let window_bits = parameters.max_window_bits.unwrap_or(MAX_WINDOW_BITS);
        Self {
            window_bits: window_bits.max(MIN_WINDOW_BITS),
            context: None,
            keeps_context: !parameters.no_takeover,
        }
    }

    /// Returns the compressed payload of a message, or `None` if the message is sent uncompressed.
    pub(crate) fn compress(&mut self, payload: &[u8]) -> Option<Bytes> {
        if !(MIN_COMPRESSED..=MAX_COMPRESSED).contains(&payload.len()) {
            return None;
        }
        let mut context = self.context.take().unwrap_or_else(|| self.new_context());
        let compressed = compress(&mut context, payload);
        if self.keeps_context {
            self.context = compressed.is_some().then_some(context);
            return compressed;
        }
        context.reset();
        IDLE.with_borrow_mut(|idle| idle[self.index()] = Some(context));
        compressed.filter(|compressed| compressed.len() < payload.len())
    }

    fn new_context(&self) -> Box<Compress> {
        let idle = match self.keeps_context {
            true => None,
            false => IDLE.with_borrow_mut(|idle| idle[self.index()].take()),
        };
        idle.unwrap_or_else(|| {
            let level = Compression::fast();
            Box::new(Compress::new_with_window_bits(
                level,
                false,
                self.window_bits,
            ))
        })
    }

    fn index(&self) -> usize {
        usize::from(self.window_bits - MIN_WINDOW_BITS)
    }
}

/// Compresses with a sync flush, whose tail is removed. Returns `None` if the library fails, which
/// it does not for a state that it has created.
fn compress(context: &mut Compress, mut payload: &[u8]) -> Option<Bytes> {
    let mut compressed = Vec::with_capacity(payload.len() / 2 + MIN_ROOM);
    loop {
        let before = context.total_in();
        context
            .compress_vec(payload, &mut compressed, FlushCompress::Sync)
            .ok()?;
        let used = usize::try_from(context.total_in() - before).ok()?;
        payload = &payload[used..];
        if payload.is_empty() && compressed.len() < compressed.capacity() {
            break;
        }
        compressed.reserve(MIN_ROOM.max(payload.len()));
    }
    if !compressed.ends_with(&FLUSH_TAIL) {
        return None;
    }
    compressed.truncate(compressed.len() - FLUSH_TAIL.len());
    compressed.shrink_to_fit();
    Some(compressed.into())
}

#[cfg(all(test, not(callgate_loom)))]
mod tests {
    use super::*;

    fn new_compressor(no_takeover: bool) -> Compressor {
        Compressor::new(ContextParameters {
            no_takeover,
            max_window_bits: None,
        })
    }

    #[test]
    fn small_and_very_large_messages_are_sent_as_they_are() {
        let mut compressor = new_compressor(false);
        assert_eq!(compressor.compress(&[b'x'; MIN_COMPRESSED - 1]), None);
        assert_eq!(compressor.compress(&vec![b'x'; MAX_COMPRESSED + 1]), None);
        assert!(compressor.context.is_none(), "they enter no context");
        assert!(compressor.compress(&[b'x'; MIN_COMPRESSED]).is_some());
        assert!(compressor.compress(&vec![b'x'; MAX_COMPRESSED]).is_some());
    }

    #[test]
    fn a_context_that_is_kept_makes_a_repeated_message_smaller() {
        let message: Vec<u8> = (0..2000_u32).flat_map(|n| (n * n).to_le_bytes()).collect();
        let sizes = |no_context_takeover| {
            let mut compressor = new_compressor(no_context_takeover);
            [(); 3].map(|()| compressor.compress(&message).unwrap().len())
        };
        let [first, second, third] = sizes(false);
        assert!(
            second < first / 4 && third < first / 4,
            "{first} {second} {third}"
        );
        let [first, second, third] = sizes(true);
        assert_eq!((first, first), (second, third));
    }

    #[test]
    fn a_message_that_does_not_become_smaller_is_sent_as_it_is_without_a_context() {
        let mut seed = 1_u64;
        let random: Vec<u8> = std::iter::repeat_with(|| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed.to_le_bytes()[0]
        })
        .take(1000)
        .collect();
        let mut compressor = new_compressor(true);
        assert_eq!(compressor.compress(&random), None);
        // With a context the peer must see it, as later messages may refer to it.
        let mut compressor = new_compressor(false);
        assert!(compressor.compress(&random).is_some());
    }

    #[test]
    fn no_memory_is_held_where_no_context_is_kept() {
        let mut compressor = new_compressor(true);
        compressor.compress(&[b'x'; 1000]).unwrap();
        assert!(compressor.context.is_none());
    }
}
