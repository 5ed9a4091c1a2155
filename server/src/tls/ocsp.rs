//! OCSP responses, which the server presents with its certificate (RFC 6960; RFC 6066, 8).

use std::path::Path;
use std::time::SystemTime;

use x509_cert::der::asn1::{AnyRef, GeneralizedTime};
use x509_cert::der::{Decode as _, Reader as _, SliceReader, Tag, Tagged as _};

use super::error::TlsError;
use super::files;

/// The `responseStatus` of a response that has a body.
const SUCCESSFUL: &[u8] = &[0];

/// The part of a response about one certificate.
#[derive(Debug)]
struct SingleResponse<'a> {
    /// The serial number of the certificate, as in DER.
    serial: &'a [u8],
    /// The time from which on there is a newer response.
    next_update: Option<GeneralizedTime>,
}

/// Reads the response for the certificate in `certfile`, which has this serial number. Returns `None` for a
/// response that is out of date: clients refuse it, and accept a certificate without a response. The
/// signature is left to the clients.
pub(super) fn read(
    path: &Path,
    certfile: &Path,
    serial: &[u8],
) -> Result<Option<Vec<u8>>, TlsError> {
    let response = files::read(path)?;
    let parts = parse(&response).ok_or_else(|| TlsError::NoOcspResponse(path.into()))?;
    let part = parts.into_iter().find(|part| part.serial == serial);
    let part = part.ok_or_else(|| TlsError::OcspMismatch {
        ocspfile: path.into(),
        certfile: certfile.into(),
    })?;
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    if let Some(end) = part.next_update
        && end.to_unix_duration() < now
    {
        tracing::warn!(
            "the OCSP response in {} is out of date since {} and is not sent; fetch a new one",
            path.display(),
            end.to_date_time()
        );
        return Ok(None);
    }
    Ok(Some(response))
}

/// Returns the parts of a response; `None` if the response is malformed, or has an error in place of them.
fn parse(response: &[u8]) -> Option<Vec<SingleResponse<'_>>> {
    let [status, body] = elements(AnyRef::from_der(response).ok()?)?[..] else {
        return None;
    };
    let [body] = elements(body)?[..] else {
        return None;
    };
    let [_type, basic] = elements(body)?[..] else {
        return None;
    };
    let basic = AnyRef::from_der(basic.value()).ok()?;
    let signed = elements(*elements(basic)?.first()?)?;
    // The version, the responder and the extensions have tags of their own.
    let parts = signed.iter().find(|part| part.tag() == Tag::Sequence)?;
    let is_complete = status.tag() == Tag::Enumerated && status.value() == SUCCESSFUL;
    elements(*parts)?
        .into_iter()
        .map(single_response)
        .collect::<Option<_>>()
        .filter(|_| is_complete)
}

fn single_response(part: AnyRef<'_>) -> Option<SingleResponse<'_>> {
    let part = elements(part)?;
    let [certificate, _status, _this_update, rest @ ..] = &part[..] else {
        return None;
    };
    let serial = elements(*certificate)?.last()?.value();
    let next_update = rest
        .iter()
        .find_map(|element| GeneralizedTime::from_der(element.value()).ok());
    Some(SingleResponse {
        serial,
        next_update,
    })
}

/// Returns the elements of a constructed value.
fn elements(value: AnyRef<'_>) -> Option<Vec<AnyRef<'_>>> {
    let mut reader = SliceReader::new(value.value()).ok()?;
    let mut elements = Vec::new();
    while !reader.is_finished() {
        elements.push(reader.decode().ok()?);
    }
    Some(elements)
}
