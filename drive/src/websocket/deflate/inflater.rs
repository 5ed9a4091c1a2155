//! The inflation of messages (RFC 7692, 7.2.2).

use std::cell::RefCell;

use flate2::{Decompress, FlushDecompress, Status};

use super::negotiation::ContextParameters;
use super::{FLUSH_TAIL, MAX_WINDOW_BITS, MIN_WINDOW_BITS};

/// An empty block that is the last of its stream. If the stream has no end after these octets, the
/// message before them was cut within a block.
const LAST_BLOCK: [u8; 5] = [1, 0, 0, 0xff, 0xff];
/// Empty blocks, which do not change a context that is between two blocks. A context within a block
/// takes them for a part of that block, and fails or adds to the message: these are 300 octets, and the
/// longest header of a block has 286, and one symbol 6.
const EMPTY_BLOCKS: &[u8] = [[0, 0, 0, 0xff, 0xff]; 60].as_flattened();
/// The most inflaters that a thread keeps for contexts that are not kept.
const MAX_IDLE: usize = 4;
/// The least and the most room for the output of one call, in bytes. The room is set to zero before the
/// call, so a small frame must not be given much.
const MIN_ROOM: usize = 1024;
const MAX_ROOM: usize = 16 * 1024;

thread_local! {
    /// Inflaters with the largest window, for the contexts of this thread that are not kept.
    static IDLE: RefCell<[Option<Box<Decompress>>; MAX_IDLE]> =
        const { RefCell::new([const { None }; MAX_IDLE]) };
}

/// Why a payload cannot be inflated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InflateError {
    /// The payload is not a message in the format of RFC 7692.
    Invalid,
    /// The message is larger than the limit.
    TooLarge,
}

/// Inflates the messages of the peer. A message comes in pieces, and ends with
/// [`Self::finish`].
#[derive(Debug)]
pub(crate) struct Inflater {
    window_bits: u8,
    keeps_context: bool,
    /// The state within a message, and between messages if the context is kept.
    pub(super) context: Option<Box<Decompress>>,
    /// Whether octets of the message have come.
    has_input: bool,
}

impl Inflater {
    pub(crate) fn new(parameters: ContextParameters) -> Self {
        let window_bits = match parameters.no_takeover {
            true => MAX_WINDOW_BITS,
            false => parameters.max_window_bits.unwrap_or(MAX_WINDOW_BITS),
        };
        Self {
            window_bits: window_bits.max(MIN_WINDOW_BITS),
            keeps_context: !parameters.no_takeover,
            context: None,
            has_input: false,
        }
    }

    /// Inflates the next octets of a message. `payload` is the inflated message, which has at
    /// most `limit` bytes. `check` is called with each part that has been added.
    pub(crate) fn inflate<E: From<InflateError>>(
        &mut self,
        octets: &[u8],
        payload: &mut Vec<u8>,
        limit: usize,
        mut check: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.has_input |= !octets.is_empty();
        let mut rest = octets;
        while !rest.is_empty() {
            rest = match self.step(rest, payload, limit, &mut check)? {
                Step::Done => break,
                // A block was marked as the last of its stream (7.2.3.4). The context ends with it.
                Step::StreamEnd(rest) => {
                    self.context().reset(false);
                    rest
                }
            };
        }
        Ok(())
    }

    /// Inflates the end of a message.
    pub(crate) fn finish<E: From<InflateError>>(
        &mut self,
        payload: &mut Vec<u8>,
        limit: usize,
        mut check: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        // Some clients send an empty message without any octet (7.2.3.6 has one).
        if !std::mem::take(&mut self.has_input) {
            return Ok(());
        }
        let length = payload.len();
        self.inflate(&FLUSH_TAIL, payload, limit, &mut check)?;
        self.has_input = false;
        let probe: &[u8] = match self.keeps_context {
            true => EMPTY_BLOCKS,
            false => &LAST_BLOCK,
        };
        let step = self.step(probe, payload, limit, &mut check)?;
        let is_between_blocks = matches!(
            (step, self.keeps_context),
            (Step::Done, true) | (Step::StreamEnd([]), false)
        );
        // The whole message comes before its tail, which is the end of an empty block.
        if payload.len() > length || !is_between_blocks {
            return Err(InflateError::Invalid.into());
        }
        if self.keeps_context {
            return Ok(());
        }
        if let Some(mut context) = self.context.take() {
            context.reset(false);
            IDLE.with_borrow_mut(|idle| {
                if let Some(place) = idle.iter_mut().find(|place| place.is_none()) {
                    *place = Some(context);
                }
            });
        }
        Ok(())
    }

    /// Inflates octets up to their end, or to the end of the stream.
    fn step<'a, E: From<InflateError>>(
        &mut self,
        octets: &'a [u8],
        payload: &mut Vec<u8>,
        limit: usize,
        check: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Step<'a>, E> {
        let context = self.context();
        let mut rest = octets;
        loop {
            let start = payload.len();
            // One byte more shows that a message is too large.
            let most = limit.saturating_add(1).saturating_sub(start);
            let room = (4 * rest.len()).clamp(MIN_ROOM, MAX_ROOM).min(most);
            if payload.capacity() - start < room {
                payload.reserve_exact(start.max(room).min(most));
            }
            payload.resize(start + room, 0);
            let before = (context.total_in(), context.total_out());
            let status = context.decompress(rest, &mut payload[start..], FlushDecompress::Sync);
            let used = usize::try_from(context.total_in() - before.0).unwrap_or(rest.len());
            let added = usize::try_from(context.total_out() - before.1).unwrap_or(room);
            payload.truncate(start + added);
            let status = status.map_err(|_| InflateError::Invalid)?;
            rest = &rest[used..];
            if payload.len() > limit {
                return Err(InflateError::TooLarge.into());
            }
            check(&payload[start..])?;
            if status == Status::StreamEnd {
                return Ok(Step::StreamEnd(rest));
            }
            let is_stuck = used == 0 && added == 0;
            if rest.is_empty() && (is_stuck || added < room) {
                return Ok(Step::Done);
            }
            if is_stuck {
                return Err(InflateError::Invalid.into());
            }
        }
    }

    fn context(&mut self) -> &mut Decompress {
        self.context.get_or_insert_with(|| {
            let idle = match self.keeps_context {
                true => None,
                false => IDLE.with_borrow_mut(|idle| idle.iter_mut().find_map(Option::take)),
            };
            idle.unwrap_or_else(|| {
                Box::new(Decompress::new_with_window_bits(false, self.window_bits))
            })
        })
    }
}

/// How far a step has come.
enum Step<'a> {
    /// All octets have been used.
    Done,
    /// The stream has ended before these octets.
    StreamEnd(&'a [u8]),
}
