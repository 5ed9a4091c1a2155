//! From the octets of the peer to messages: frames, and the order in which they may come.

use bytes::Bytes;
use bytes::buf::Limit;

use super::assembler::{self, Assembler, Following};
use super::error::MessageError;
use super::frame_header::{FrameKind, Header, HeaderContext, Incomplete, MAX_HEADER};
use super::mask::apply_mask;
use super::{Received, Role, close_frame};
use crate::websocket::deflate::{DeflateParameters, Inflater};

/// Decodes the octets of the peer, in pieces of any size. Nothing is decoded after an error or a
/// close frame.
#[derive(Debug)]
pub(super) struct Decoder {
    role: Role,
    max_message_size: usize,
    max_message_frames: usize,
    /// Set if permessage-deflate was agreed to.
    inflater: Option<Inflater>,
    /// The octets of an incomplete header.
    header: [u8; MAX_HEADER],
    header_length: usize,
    /// The frame whose payload is arriving.
    frame: Option<Frame>,
    /// The message whose frames are arriving.
    message: Option<Assembler>,
    /// The payload of an incomplete control frame.
    control: Vec<u8>,
}

/// A frame whose payload is arriving.
#[derive(Clone, Copy, Debug)]
struct Frame {
    kind: FrameKind,
    is_compressed: bool,
    is_final: bool,
    key: [u8; 4],
    /// The octets of the payload that have arrived.
    arrived: usize,
    /// The octets of the payload that have not arrived.
    to_come: usize,
}

impl Frame {
    fn new(header: &Header) -> Self {
        Self {
            kind: header.kind,
            is_compressed: header.is_compressed,
            is_final: header.is_final,
            key: header.key,
            arrived: 0,
            to_come: header.length,
        }
    }

    fn advance(&mut self, count: usize) {
        self.arrived += count;
        self.to_come -= count;
    }

    fn following(&self) -> Following {
        Following {
            in_frame: self.to_come,
            is_final: self.is_final,
        }
    }
}

impl Decoder {
    pub(super) fn new(
        role: Role,
        max_message_size: usize,
        max_message_frames: usize,
        deflate: Option<&DeflateParameters>,
    ) -> Self {
        let context = deflate.map(|parameters| match role {
            Role::Server => parameters.client(),
            Role::InProcessClient => parameters.server(),
        });
        Self {
            role,
            max_message_size,
            max_message_frames,
            inflater: context.map(Inflater::new),
            header: [0; MAX_HEADER],
            header_length: 0,
            frame: None,
            message: None,
            control: Vec::new(),
        }
    }

    /// Decodes octets up to the end of the first message or control frame. Returns the number of
    /// octets that have been used, which are all if nothing is complete. Payload is unmasked in
    /// place.
    pub(super) fn decode(
        &mut self,
        octets: &mut [u8],
    ) -> Result<(usize, Option<Received>), MessageError> {
        let mut used = 0;
        loop {
            let Some(frame) = &mut self.frame else {
                match self.read_header(&octets[used..])? {
                    Some((header, size)) => {
                        used += size;
                        self.frame = Some(Frame::new(&header));
                        continue;
                    }
                    None => return Ok((octets.len(), None)),
                }
            };
            let rest = &mut octets[used..];
            let count = frame.to_come.min(rest.len());
            let payload = &mut rest[..count];
            apply_mask(payload, frame.key, frame.arrived);
            frame.advance(count);
            used += count;
            let frame = *frame;
            let received = self.read_payload(frame, payload)?;
            if frame.to_come > 0 {
                return Ok((used, None));
            }
            self.frame = None;
            if received.is_some() {
                return Ok((used, received));
            }
        }
    }

    /// Returns the place into which the rest of a frame with at least `min` octets to come may be
    /// read directly. [`Self::filled`] must be called after that.
    pub(super) fn buffer(&mut self, min: usize) -> Option<Limit<&mut Vec<u8>>> {
        let (Some(frame), Some(message)) = (&self.frame, &mut self.message) else {
            return None;
        };
        let is_direct = !frame.kind.is_control() && !message.is_compressed();
        (is_direct && frame.to_come >= min).then(|| message.buffer(frame.following()))
    }

    /// Decodes octets that have been read into [`Self::buffer`].
    pub(super) fn filled(&mut self, count: usize) -> Result<Option<Received>, MessageError> {
        let (Some(frame), Some(message)) = (&mut self.frame, &mut self.message) else {
            return Ok(None);
        };
        message.filled(count, frame.key, frame.arrived)?;
        frame.advance(count);
        if frame.to_come > 0 {
            return Ok(None);
        }
        let is_final = frame.is_final;
        self.frame = None;
        if is_final {
            return self.finish_message();
        }
        message.end_frame();
        Ok(None)
    }

    /// Reads a header from the octets before and these. Returns the number of these octets that
    /// belong to the header. Returns `None` if the header is incomplete: then all are kept.
    fn read_header(&mut self, octets: &[u8]) -> Result<Option<(Header, usize)>, MessageError> {
        let context = self.header_context();
        if self.header_length == 0
            && let Some(parsed) = context.parse(octets)?
        {
            return Ok(Some(parsed));
        }
        let before = self.header_length;
        let taken = octets.len().min(MAX_HEADER - before);
        self.header[before..before + taken].copy_from_slice(&octets[..taken]);
        self.header_length += taken;
        let Some((header, size)) = context.parse(&self.header[..self.header_length])? else {
            return Ok(None);
        };
        self.header_length = 0;
        Ok(Some((header, size - before)))
    }

    fn header_context(&self) -> HeaderContext {
        HeaderContext {
            role: self.role,
            has_deflate: self.inflater.is_some(),
            max_message_size: self.max_message_size,
            max_message_frames: self.max_message_frames,
            message: self.message.as_ref().map(|message| Incomplete {
                is_compressed: message.is_compressed(),
                length: message.len(),
                frames: message.frames(),
            }),
        }
    }

    /// Takes the next octets of a payload. Returns the message or the control frame that they
    /// complete.
    fn read_payload(
        &mut self,
        frame: Frame,
        payload: &[u8],
    ) -> Result<Option<Received>, MessageError> {
        if frame.kind.is_control() {
            return self.read_control(frame, payload);
        }
        let is_text = frame.kind == FrameKind::Text;
        let is_whole = frame.arrived == payload.len() && frame.to_come == 0 && frame.is_final;
        if is_whole && self.message.is_none() && !frame.is_compressed {
            // Most messages. They take no more memory than their payload.
            let message = assembler::message(is_text, Bytes::copy_from_slice(payload))?;
            return Ok(Some(Received::Message(message)));
        }
        let message = self
            .message
            .get_or_insert_with(|| Assembler::new(is_text, frame.is_compressed));
        match &mut self.inflater {
            Some(inflater) if message.is_compressed() => {
                message.inflate(inflater, payload, self.max_message_size)?;
            }
            _ => message.push(payload, frame.following())?,
        }
        match (frame.to_come, frame.is_final) {
            (1.., _) => Ok(None),
            (0, false) => {
                message.end_frame();
                Ok(None)
            }
            (0, true) => self.finish_message(),
        }
    }

    fn finish_message(&mut self) -> Result<Option<Received>, MessageError> {
        let Some(mut message) = self.message.take() else {
            return Ok(None);
        };
        if message.is_compressed()
            && let Some(inflater) = &mut self.inflater
        {
            message.finish_inflation(inflater, self.max_message_size)?;
        }
        Ok(Some(Received::Message(message.finish()?)))
    }

    fn read_control(
        &mut self,
        frame: Frame,
        payload: &[u8],
    ) -> Result<Option<Received>, MessageError> {
        self.control.extend_from_slice(payload);
        if frame.to_come > 0 {
            return Ok(None);
        }
        let payload = Bytes::from(std::mem::take(&mut self.control));
        Ok(Some(match frame.kind {
            FrameKind::Close => Received::Close(close_frame::decode(&payload)?),
            FrameKind::Ping => Received::Ping(payload),
            _ => Received::Pong,
        }))
    }
}

#[cfg(all(test, not(callgate_loom)))]
mod tests;
