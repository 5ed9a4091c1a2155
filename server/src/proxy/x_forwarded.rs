//! The fields `X-Forwarded-*`.

use http::HeaderMap;

/// Stands for an entry that is not UTF-8. No field has such an entry.
const UNREADABLE: &str = "?";

/// Returns the entries of all field lines with this name, in order, without empty ones.
pub(super) fn entries<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    let lines = headers.get_all(name).iter();
    lines
        .flat_map(|value| value.as_bytes().split(|octet| *octet == b','))
        .map(|entry| str::from_utf8(entry).unwrap_or(UNREADABLE))
        .map(|entry| entry.trim_matches([' ', '\t']))
        .filter(|entry| !entry.is_empty())
        .collect()
}

/// Returns the entry of the hop that is `distance` entries from the right. A proxy that does not append
/// sets a single entry, which counts for all hops. Returns `None` if the entry cannot be chosen.
pub(super) fn of_hop<'a>(entries: &[&'a str], distance: usize) -> Option<Option<&'a str>> {
    match entries {
        [] => Some(None),
        [single] => Some(Some(single)),
        _ => {
            let index = entries.len().checked_sub(distance + 1)?;
            Some(Some(entries[index]))
        }
    }
}
