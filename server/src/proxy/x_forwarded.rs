//! The fields `X-Forwarded-*`.

use http::HeaderMap;

/// Returns the entries of all field lines with this name, in order, without empty ones. Returns `None`
/// if a value is not visible ASCII.
pub(super) fn entries<'a>(headers: &'a HeaderMap, name: &str) -> Option<Vec<&'a str>> {
    let mut entries = Vec::new();
    for value in headers.get_all(name) {
        let value = value.to_str().ok()?;
        let trimmed = value
            .split(',')
            .map(|entry| entry.trim_matches([' ', '\t']));
        entries.extend(trimmed.filter(|entry| !entry.is_empty()));
    }
    Some(entries)
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
