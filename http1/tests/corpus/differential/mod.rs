//! Beside this crate, hyper and Python's h11 read the corpus. Each difference is listed in
//! `corpus/differences/`, with the implementation that follows the RFC, and the reason.

mod h11;
mod hyper_server;
mod listed;
mod verdict;

use std::collections::BTreeMap;

use callgate_http1::Config;
use verdict::Verdict;

use crate::entry::{self, Entry};

#[test]
fn each_difference_from_hyper_is_listed_with_who_is_right() {
    let entries = entries();
    let theirs = entries.iter().map(|it| hyper_server::read(&it.input()));
    let theirs: Vec<Verdict> = theirs.collect();
    compare("hyper", &entries, &theirs);
}

#[test]
fn each_difference_from_h11_is_listed_with_who_is_right() {
    let Some(python) = std::env::var_os("CALLGATE_PYTHON") else {
        eprintln!("h11 is not compared: CALLGATE_PYTHON is not set (`cargo xtask test` sets it)");
        return;
    };
    let entries = entries();
    let inputs: Vec<Vec<u8>> = entries.iter().map(Entry::input).collect();
    compare("h11", &entries, &h11::read(&python, &inputs));
}

/// Returns the entries that are read with the default settings: the others have their own.
fn entries() -> Vec<Entry> {
    let mut entries = entry::entries();
    entries.retain(|entry| entry.settings.config() == Config::default());
    entries
}

/// Compares the differences with those that are listed.
fn compare(implementation: &str, entries: &[Entry], theirs: &[Verdict]) {
    let mut listed: BTreeMap<String, String> = listed::differences(implementation);
    let mut faults = Vec::new();
    for (entry, theirs) in entries.iter().zip(theirs) {
        let ours = Verdict::ours(entry);
        let theirs = theirs.clone().until(entry.stop_after, &ours);
        let (ours, theirs) = (ours.to_string(), theirs.to_string());
        let name = &entry.name;
        match listed.remove(name) {
            None if ours == theirs => {}
            None => faults.push(format!(
                "not listed: `{name}`\n  this crate: {ours}\n  {implementation}: {theirs}"
            )),
            Some(_) if ours == theirs => faults.push(format!(
                "listed, and no longer a difference: `{name}`\n  both: {ours}"
            )),
            Some(listed) if listed != theirs => faults.push(format!(
                "listed otherwise: `{name}`\n  listed: {listed}\n  {implementation}: {theirs}"
            )),
            Some(_) => {}
        }
    }
    let unknown = listed.keys();
    faults.extend(unknown.map(|name| format!("listed, and not in the corpus: `{name}`")));
    assert!(
        faults.is_empty(),
        "{} faults in the list of differences from {implementation}:\n{}",
        faults.len(),
        faults.join("\n")
    );
}
