//! The negotiation of the parameters (RFC 7692, 7.1).

use callgate::{Feature, WebSocketScope};
use http::header::{HeaderValue, SEC_WEBSOCKET_EXTENSIONS};

use super::{MAX_WINDOW_BITS, MIN_WINDOW_BITS, PerMessageDeflate};

const EXTENSION: &str = "permessage-deflate";
const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

/// The parameters of permessage-deflate that a server and its client have agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateParameters {
    /// Whether the server compresses each message without a context.
    pub server_no_context_takeover: bool,
    /// Whether the client compresses each message without a context.
    pub client_no_context_takeover: bool,
    /// The window of the server, as the exponent of its size in bytes, if the client has limited
    /// it. Otherwise the window has 32 KiB.
    pub server_max_window_bits: Option<u8>,
    /// The window of the client, as the exponent of its size in bytes, if it is limited. Otherwise
    /// the window has 32 KiB.
    pub client_max_window_bits: Option<u8>,
}

/// The parameters of the context with which one side compresses and the other inflates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ContextParameters {
    pub(crate) no_takeover: bool,
    pub(crate) max_window_bits: Option<u8>,
}

impl DeflateParameters {
    /// Returns the parameters of the server's messages.
    pub(crate) fn server(&self) -> ContextParameters {
        ContextParameters {
            no_takeover: self.server_no_context_takeover,
            max_window_bits: self.server_max_window_bits,
        }
    }

    /// Returns the parameters of the client's messages.
    pub(crate) fn client(&self) -> ContextParameters {
        ContextParameters {
            no_takeover: self.client_no_context_takeover,
            max_window_bits: self.client_max_window_bits,
        }
    }

    /// Answers the offers in a handshake, and adds [`Feature::PerMessageDeflate`] to the features of
    /// the scope if one is accepted. The first acceptable offer of the client is accepted. Returns
    /// `None` if there is none.
    pub fn negotiate(scope: &mut WebSocketScope, setting: PerMessageDeflate) -> Option<Self> {
        if setting == PerMessageDeflate::Off {
            return None;
        }
        let fields = scope.headers.get_all(SEC_WEBSOCKET_EXTENSIONS).iter();
        let parameters = fields
            .filter_map(|field| field.to_str().ok())
            .flat_map(|field| split_unquoted(field, ','))
            .find_map(|offer| Self::accept(offer, setting))?;
        scope.features = scope.features.with(Feature::PerMessageDeflate);
        Some(parameters)
    }

    /// Returns the value of `sec-websocket-extensions` in the response to the handshake.
    ///
    /// # Panics
    ///
    /// Never: the value is visible ASCII.
    #[must_use]
    pub fn header_value(&self) -> HeaderValue {
        let mut value = String::from(EXTENSION);
        let mut push = |parameter: &str| {
            value.push_str("; ");
            value.push_str(parameter);
        };
        if self.server_no_context_takeover {
            push(SERVER_NO_CONTEXT_TAKEOVER);
        }
        if self.client_no_context_takeover {
            push(CLIENT_NO_CONTEXT_TAKEOVER);
        }
        if let Some(bits) = self.server_max_window_bits {
            push(&format!("{SERVER_MAX_WINDOW_BITS}={bits}"));
        }
        if let Some(bits) = self.client_max_window_bits {
            push(&format!("{CLIENT_MAX_WINDOW_BITS}={bits}"));
        }
        value.try_into().expect("the value is visible ASCII")
    }

    /// Accepts an offer, unless it is another extension, is invalid, or asks for a window that is
    /// too small.
    fn accept(offer: &str, setting: PerMessageDeflate) -> Option<Self> {
        let offer = Offer::parse(offer)?;
        if offer
            .server_max_window_bits
            .is_some_and(|bits| bits < MIN_WINDOW_BITS)
        {
            return None;
        }
        let is_stateless = setting == PerMessageDeflate::On;
        Some(Self {
            server_no_context_takeover: is_stateless || offer.server_no_context_takeover,
            client_no_context_takeover: is_stateless || offer.client_no_context_takeover,
            server_max_window_bits: offer.server_max_window_bits,
            client_max_window_bits: offer.client_max_window_bits.flatten(),
        })
    }
}

/// The parameters of an offer (RFC 7692, 7.1). `None` where a parameter is absent.
#[derive(Debug, Default)]
struct Offer {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// The inner `None` is a parameter without a value, which lets the server choose one.
    client_max_window_bits: Option<Option<u8>>,
}

impl Offer {
    /// Returns `None` if this is another extension, or if a parameter is unknown, repeated, or has
    /// an invalid value: such an offer is declined (7.1).
    fn parse(offer: &str) -> Option<Self> {
        let mut parts = split_unquoted(offer, ';').map(trim);
        if parts.next()? != EXTENSION {
            return None;
        }
        let mut parsed = Self::default();
        for part in parts {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (trim(name), Some(unquote(trim(value))?)),
                None => (part, None),
            };
            match (name, value) {
                (SERVER_NO_CONTEXT_TAKEOVER, None) if !parsed.server_no_context_takeover => {
                    parsed.server_no_context_takeover = true;
                }
                (CLIENT_NO_CONTEXT_TAKEOVER, None) if !parsed.client_no_context_takeover => {
                    parsed.client_no_context_takeover = true;
                }
                (SERVER_MAX_WINDOW_BITS, Some(value))
                    if parsed.server_max_window_bits.is_none() =>
                {
                    parsed.server_max_window_bits = Some(window_bits(&value)?);
                }
                (CLIENT_MAX_WINDOW_BITS, value) if parsed.client_max_window_bits.is_none() => {
                    let bits = match value {
                        Some(value) => Some(window_bits(&value)?),
                        None => None,
                    };
                    parsed.client_max_window_bits = Some(bits);
                }
                _ => return None,
            }
        }
        Some(parsed)
    }
}

/// Reads the exponent of a window: 8 to 15, without leading zeros (7.1.2).
fn window_bits(value: &str) -> Option<u8> {
    match value {
        "8" => Some(8),
        "9" => Some(9),
        "10" => Some(10),
        "11" => Some(11),
        "12" => Some(12),
        "13" => Some(13),
        "14" => Some(14),
        "15" => Some(MAX_WINDOW_BITS),
        _ => None,
    }
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Returns the value of a parameter, which is a token or a quoted token (RFC 6455, 9.1).
fn unquote(value: &str) -> Option<String> {
    let Some(quoted) = value.strip_prefix('"') else {
        return Some(value.into());
    };
    let quoted = quoted.strip_suffix('"')?;
    let mut unquoted = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => unquoted.push(characters.next()?),
            '"' => return None,
            _ => unquoted.push(character),
        }
    }
    Some(unquoted)
}

/// Splits a text at the separators that are not within a quoted string.
fn split_unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    let mut is_escaped = false;
    text.split(move |character| {
        let was_escaped = std::mem::take(&mut is_escaped);
        match character {
            '\\' if is_quoted && !was_escaped => is_escaped = true,
            '"' if !was_escaped => is_quoted = !is_quoted,
            _ => return character == separator && !is_quoted,
        }
        false
    })
}

#[cfg(all(test, not(callgate_loom)))]
mod tests {
    use callgate::Features;

    use super::*;

    /// Returns the answer to these fields.
    fn answer(fields: &[&'static str], setting: PerMessageDeflate) -> Option<String> {
        let mut scope = WebSocketScope::new("/".parse().unwrap());
        for field in fields {
            let field = HeaderValue::from_static(field);
            scope.headers.append(SEC_WEBSOCKET_EXTENSIONS, field);
        }
        let parameters = DeflateParameters::negotiate(&mut scope, setting);
        let is_offered = scope.features.contains(Feature::PerMessageDeflate);
        assert_eq!(is_offered, parameters.is_some());
        parameters.map(|it| it.header_value().to_str().unwrap().to_owned())
    }

    fn with_context(field: &'static str) -> Option<String> {
        answer(&[field], PerMessageDeflate::ContextTakeover)
    }

    #[test]
    fn an_acceptable_offer_is_answered_with_its_parameters() {
        // RFC 7692, 7.1.1 and 7.1.2.
        for (offer, expected) in [
            ("permessage-deflate", "permessage-deflate"),
            (
                "permessage-deflate; server_no_context_takeover",
                "permessage-deflate; server_no_context_takeover",
            ),
            (
                "permessage-deflate; client_no_context_takeover",
                "permessage-deflate; client_no_context_takeover",
            ),
            (
                "permessage-deflate; server_max_window_bits=9",
                "permessage-deflate; server_max_window_bits=9",
            ),
            (
                "permessage-deflate; server_max_window_bits=\"15\"",
                "permessage-deflate; server_max_window_bits=15",
            ),
            // A hint that the client can limit its window. The server does not need it to.
            (
                "permessage-deflate; client_max_window_bits",
                "permessage-deflate",
            ),
            (
                "permessage-deflate; client_max_window_bits=8",
                "permessage-deflate; client_max_window_bits=8",
            ),
            (
                "permessage-deflate;client_max_window_bits = \"1\\0\"\t; server_max_window_bits=12;server_no_context_takeover;client_no_context_takeover",
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12; client_max_window_bits=10",
            ),
        ] {
            assert_eq!(with_context(offer).as_deref(), Some(expected), "{offer}");
        }
    }

    #[test]
    fn contexts_are_not_kept_where_the_setting_says_so() {
        // RFC 7692, 7.1.1: a server may add either parameter to its response.
        assert_eq!(
            answer(&["permessage-deflate"], PerMessageDeflate::On).unwrap(),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        );
    }

    #[test]
    fn invalid_offers_are_declined() {
        // RFC 7692, 7: unknown parameters, invalid values, repeated parameters.
        for offer in [
            "",
            ";",
            "permessage-bzip2",
            "x-webkit-deflate-frame",
            "other; a=\", permessage-deflate,\"",
            "other; a=\"\\\", permessage-deflate,\"",
            "permessage-deflate; unknown",
            "permessage-deflate; ",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; client_no_context_takeover=\"\"",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=",
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=010",
            "permessage-deflate; server_max_window_bits=+9",
            "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
            "permessage-deflate; client_max_window_bits=7",
            "permessage-deflate; client_max_window_bits=16",
            "permessage-deflate; client_max_window_bits; client_max_window_bits=9",
            "permessage-deflate; client_max_window_bits=\"9",
            "permessage-deflate; Client_Max_Window_Bits",
            // zlib has no window of 256 bytes.
            "permessage-deflate; server_max_window_bits=8",
        ] {
            assert_eq!(with_context(offer), None, "{offer}");
        }
    }

    #[test]
    fn the_first_acceptable_offer_is_accepted() {
        // RFC 7692, 5.1 and 7.1; RFC 6455, 9.1: one field or several.
        let expected = Some("permessage-deflate; server_max_window_bits=10".to_owned());
        let offers = "permessage-deflate; server_max_window_bits=8, permessage-deflate; x=\",\", permessage-deflate; server_max_window_bits=10, permessage-deflate";
        assert_eq!(with_context(offers), expected);
        let fields = [
            "other; a=\"b,permessage-deflate\"",
            "permessage-deflate; server_max_window_bits=8",
            "permessage-deflate; server_max_window_bits=10",
            "permessage-deflate",
        ];
        assert_eq!(
            answer(&fields, PerMessageDeflate::ContextTakeover),
            expected
        );
    }

    #[test]
    fn nothing_is_negotiated_without_an_offer_or_when_switched_off() {
        assert_eq!(answer(&[], PerMessageDeflate::On), None);
        assert_eq!(
            answer(&["permessage-deflate"], PerMessageDeflate::Off),
            None
        );
        let mut scope = WebSocketScope::new("/".parse().unwrap());
        DeflateParameters::negotiate(&mut scope, PerMessageDeflate::On);
        assert_eq!(scope.features, Features::NONE);
    }
}
