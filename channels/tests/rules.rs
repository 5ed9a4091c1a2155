//! The chapter and the tests say the same.

use std::collections::BTreeSet;
use std::path::Path;

/// Returns the text of each Rust file in a folder of this crate.
fn sources(folder: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = std::fs::read_dir(folder).expect("the folder");
    entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| std::fs::read_to_string(path).expect("the file"))
        .collect()
}

/// Returns the two digits after each occurrence of `before`.
fn numbers_after<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(before)
        .skip(1)
        .filter_map(|rest| rest.get(..2))
        .filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[test]
fn each_rule_has_a_test_and_each_test_has_a_rule() {
    let chapter = include_str!("../docs/channels.md");
    let rules: Vec<&str> = numbers_after(chapter, "- **CH-").collect();
    let distinct: BTreeSet<&str> = rules.iter().copied().collect();
    assert_eq!(rules.len(), distinct.len(), "each rule stands once");
    let sources = ["src/suite", "tests", "tests/redis"].map(sources).concat();
    let tested: BTreeSet<&str> = sources
        .iter()
        .flat_map(|source| numbers_after(source, "async fn ch_"))
        .collect();
    assert_eq!(distinct, tested);
}

#[test]
fn the_macros_of_the_suite_name_every_case() {
    let macros = include_str!("../src/suite/mod.rs");
    for source in sources("src/suite") {
        for rest in source.split("pub async fn ch_").skip(1) {
            let name = rest.split('(').next().expect("a name");
            assert!(macros.contains(&format!("ch_{name},")), "ch_{name}");
        }
    }
}
