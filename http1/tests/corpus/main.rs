//! The decoder reads each entry of the corpus as the entry says, however the octets are split.

#[path = "../reading/mod.rs"]
mod reading;

mod check;
mod differential;
mod entry;

use std::collections::HashSet;

use check::check;
use entry::{Entry, entries};

#[test]
fn each_entry_of_the_corpus_is_read_as_it_says_however_it_is_split() {
    let entries = entries();
    let failures: Vec<String> = entries.iter().filter_map(|it| check(it).err()).collect();
    assert!(
        failures.is_empty(),
        "{} of {} entries are read otherwise:\n\n{}",
        failures.len(),
        entries.len(),
        failures.join("\n")
    );
}

#[test]
fn the_corpus_has_at_least_250_entries_with_names_and_sections_of_their_own() {
    let entries = entries();
    assert!(entries.len() >= 250, "{} entries", entries.len());
    let mut names = HashSet::new();
    for Entry { name, section, .. } in &entries {
        assert!(names.insert(name), "two entries have the name `{name}`");
        let (standard, number) = section.split_once(", ").unwrap_or((section, ""));
        assert!(
            ["RFC 3986", "RFC 6585", "RFC 9110", "RFC 9112"].contains(&standard)
                && number.starts_with(|digit: char| digit.is_ascii_digit()),
            "`{name}`: the section is `{section}`"
        );
    }
}

#[test]
fn an_entry_that_is_wrong_is_reported_with_its_name_its_split_and_the_difference() {
    let entries = entries();
    let mut entry = entries
        .into_iter()
        .find(|entry| entry.requests.len() == 1 && entry.error.is_none())
        .expect("an entry with one request");
    check(&entry).expect("the entry is right");
    entry.requests[0].method = "BREW".to_owned();
    let report = check(&entry).expect_err("the entry is wrong");
    assert!(report.contains(&entry.name), "{report}");
    assert!(report.contains("in one piece"), "{report}");
    assert!(report.contains("\n  - BREW / "), "{report}");
    assert!(report.contains("\n  + "), "{report}");
}
