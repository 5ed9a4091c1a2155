//! The access log: a line for each exchange, written when the exchange has ended.

mod text;

use crate::record::ExchangeRecord;

pub(crate) use self::text::Client;

/// Writes the line of an exchange that has ended.
pub(crate) fn write(record: &ExchangeRecord) {
    tracing::info!(target: "callgate::access", "{}", text::Text(record));
}
