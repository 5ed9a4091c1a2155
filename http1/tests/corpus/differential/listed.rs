//! The differences that are listed in `corpus/differences/`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

/// The differences of one implementation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    difference: Vec<Difference>,
}

/// Differences of one reason.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Difference {
    right: Right,
    reason: String,
    section: String,
    /// What the implementation makes of the entries of these names.
    entries: BTreeMap<String, String>,
}

/// The implementation whose reading follows the RFC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Right {
    ThisCrate,
    Hyper,
    Both,
}

/// Returns what the implementation makes of each entry that it reads otherwise.
///
/// # Panics
///
/// Panics if the list is malformed.
pub(crate) fn differences(implementation: &str) -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus/differences")
        .join(implementation)
        .with_extension("toml");
    let text = fs::read_to_string(&path);
    let text = text.unwrap_or_else(|reason| panic!("{}: {reason}", path.display()));
    let file: File =
        toml::from_str(&text).unwrap_or_else(|reason| panic!("{}: {reason}", path.display()));
    let mut all = BTreeMap::new();
    for difference in file.difference {
        let Difference {
            right,
            reason,
            section,
            entries,
        } = difference;
        assert!(
            reason.ends_with('.') && section.starts_with("RFC "),
            "a difference where {right:?} is right needs a reason and a section: `{reason}`"
        );
        for (name, verdict) in entries {
            assert!(
                all.insert(name.clone(), verdict).is_none(),
                "`{name}` is listed twice"
            );
        }
    }
    all
}
