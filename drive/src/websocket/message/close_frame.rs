//! The payload of close frames (RFC 6455, 5.5.1).

use bytes::{BufMut as _, Bytes, BytesMut};
use callgate::{ByteString, WebSocketClose, WebSocketDisconnect};

use super::error::{FramingError, MessageError};

/// Reads the payload of a close frame. Returns `None` if it is empty.
pub(super) fn decode(payload: &Bytes) -> Result<Option<WebSocketClose>, MessageError> {
    let code = match **payload {
        [] => return Ok(None),
        [_] => return Err(FramingError::CloseOfOneOctet.into()),
        [high, low, ..] => u16::from_be_bytes([high, low]),
    };
    if !WebSocketClose::is_valid_code(code) {
        return Err(FramingError::CloseCode.into());
    }
    let reason = ByteString::try_from(payload.slice(2..)).map_err(|_| MessageError::NotUtf8)?;
    Ok(Some(WebSocketClose::new(code).reason(reason)))
}

/// Returns the payload of a close frame.
pub(super) fn encode(close: Option<&WebSocketClose>) -> Bytes {
    let Some(close) = close else {
        return Bytes::new();
    };
    let mut payload = BytesMut::with_capacity(2 + close.reason.len());
    payload.put_u16(close.code);
    payload.put_slice(close.reason.as_bytes());
    payload.freeze()
}

/// Converts a close frame of the client to a disconnect. The code is 1005 where the frame has none
/// (rule `WS-20`).
#[must_use]
pub fn to_disconnect(close: Option<WebSocketClose>) -> WebSocketDisconnect {
    close.map_or_else(WebSocketDisconnect::default, |close| {
        WebSocketDisconnect::new(close.code).reason(close.reason)
    })
}

/// Converts a disconnect to a close frame. The frame has no code where the disconnect has 1005,
/// which is never sent.
#[must_use]
pub fn to_close(disconnect: &WebSocketDisconnect) -> Option<WebSocketClose> {
    (disconnect.code != 1005)
        .then(|| WebSocketClose::new(disconnect.code).reason(disconnect.reason.clone()))
}

#[cfg(all(test, not(callgate_loom)))]
mod tests {
    use super::*;

    fn decode_code(code: u16) -> Result<Option<WebSocketClose>, MessageError> {
        decode(&Bytes::copy_from_slice(&code.to_be_bytes()))
    }

    #[test]
    fn codes_that_iana_has_registered_for_the_wire_are_taken() {
        // RFC 6455, 7.4, and the registry that 11.7 creates.
        for code in (1000..=1003)
            .chain(1007..=1014)
            .chain([3000, 3999, 4000, 4999])
        {
            assert_eq!(decode_code(code), Ok(Some(WebSocketClose::new(code))));
        }
    }

    #[test]
    fn codes_that_must_not_be_sent_are_refused() {
        for code in [
            0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
        ] {
            assert_eq!(
                decode_code(code),
                Err(FramingError::CloseCode.into()),
                "{code}"
            );
        }
    }

    #[test]
    fn a_payload_is_empty_or_begins_with_a_code() {
        assert_eq!(decode(&Bytes::new()), Ok(None));
        assert_eq!(
            decode(&Bytes::from_static(b"\x03")),
            Err(FramingError::CloseOfOneOctet.into())
        );
    }

    #[test]
    fn a_reason_is_utf8() {
        let close = WebSocketClose::new(1000).reason("tschüss");
        assert_eq!(decode(&encode(Some(&close))), Ok(Some(close)));
        assert_eq!(
            decode(&Bytes::from_static(b"\x03\xe8\xff")),
            Err(MessageError::NotUtf8)
        );
    }
}
