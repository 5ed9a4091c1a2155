//! The links between the documents of the repository, as a reader follows them there. Those of the wheel's README are also
//! followed on PyPI.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::step::{Step, root};

/// The document that PyPI shows, where a relative link leads nowhere.
const OF_PYPI: &str = "bridges/python/README.md";

/// What the addresses of the files and of the folders of this repository begin with.
const IN_REPOSITORY: [&str; 2] = [
    concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/"),
    concat!(env!("CARGO_PKG_REPOSITORY"), "/tree/main/"),
];

/// Returns each link of a document into the repository that leads to no file or to no heading, or that is relative where
/// it must not be.
pub(super) fn broken_links() -> Result<Vec<String>, String> {
    let list = Step::new(
        "the documents",
        "git ls-files --cached --others --exclude-standard *.md",
    );
    let mut documents = BTreeMap::new();
    for path in list.output()?.lines() {
        let text = fs::read_to_string(root().join(path))
            .map_err(|reason| format!("cannot read {path}: {reason}"))?;
        documents.insert(PathBuf::from(path), text);
    }
    Ok(broken(&documents, |path| root().join(path).exists()))
}

fn broken(documents: &BTreeMap<PathBuf, String>, exists: impl Fn(&Path) -> bool) -> Vec<String> {
    let mut broken = Vec::new();
    for (document, text) in documents {
        for (line, link) in links(text) {
            let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
            let absolute = (IN_REPOSITORY.iter()).find_map(|prefix| path.strip_prefix(prefix));
            let target = match (absolute, path) {
                (Some(path), _) => PathBuf::from(path),
                (None, "") => document.clone(),
                (None, _) => super::resolve(document, path),
            };
            let is_whole = match documents.get(&target) {
                Some(text) => fragment.is_empty() || anchors(text).contains(fragment),
                None => exists(&target),
            };
            let is_misplaced = document == Path::new(OF_PYPI) && absolute.is_none();
            if !is_whole || is_misplaced {
                broken.push(format!("{}:{line}: {link}", document.display()));
            }
        }
    }
    broken
}

/// Returns the lines of a document outside of code blocks, with their numbers.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// Returns the targets of the links into the repository, each with its line.
fn links(text: &str) -> impl Iterator<Item = (usize, &str)> {
    lines(text).flat_map(|(number, line)| {
        let targets = line.split("](").skip(1);
        let targets = targets.filter_map(|rest| Some(rest.split_once(')')?.0));
        let inside = targets.filter(|target| {
            !target.contains("://") || IN_REPOSITORY.iter().any(|it| target.starts_with(it))
        });
        inside.map(move |target| (number, target))
    })
}

/// Returns the fragments that lead to headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for (_, line) in lines(text) {
        let heading = line.trim_start_matches('#');
        if heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        let words = heading.trim().to_lowercase().replace(' ', "-");
        let is_kept = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '_');
        let anchor: String = words.chars().filter(is_kept).collect();
        let mut unique = anchor.clone();
        let mut number = 0;
        while !anchors.insert(unique.clone()) {
            number += 1;
            unique = format!("{anchor}-{number}");
        }
    }
    anchors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken_in(text: &str) -> Vec<String> {
        let other =
            "# One thing\n\n## `a.b` and *c*\n\n## One thing\n\n```text\n# no heading\n```\n";
        let documents = [("docs/a.md", text), ("b.md", other)];
        let documents = documents.map(|(path, text)| (PathBuf::from(path), text.to_owned()));
        broken(&documents.into(), |path| path == Path::new("src/lib.rs"))
    }

    #[test]
    fn links_to_files_and_headings_are_whole() {
        let text = "# Top\n[x](../b.md) [x](../b.md#one-thing) [x](../b.md#one-thing-1) [x](#top)\n\
            [x](../b.md#ab-and-c) [x](../src/lib.rs) [x](https://example.com/c.md)\n";
        assert_eq!(broken_in(text), [""; 0]);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_named_with_its_line() {
        let text = "[x](b.md)\n\n[x](../b.md#no-heading), [x](#nothing)\n[x](../src/main.rs)\n";
        let expected = [
            "docs/a.md:1: b.md",
            "docs/a.md:3: ../b.md#no-heading",
            "docs/a.md:3: #nothing",
            "docs/a.md:4: ../src/main.rs",
        ];
        assert_eq!(broken_in(text), expected);
    }

    #[test]
    fn a_link_by_the_address_of_the_repository_is_checked() {
        let [file, folder] = IN_REPOSITORY;
        let whole = format!("[x]({file}b.md#one-thing) [x]({folder}src/lib.rs)\n");
        assert_eq!(broken_in(&whole), [""; 0]);
        let broken = format!("{file}c.md");
        assert_eq!(
            broken_in(&format!("[x]({broken})\n")),
            [format!("docs/a.md:1: {broken}")]
        );
    }

    #[test]
    fn a_relative_link_on_the_page_of_pypi_leads_nowhere() {
        let text = format!("[x]({}b.md) [x](../../b.md)\n", IN_REPOSITORY[0]);
        let documents = [(OF_PYPI, text.as_str()), ("b.md", "")];
        let documents = documents.map(|(path, text)| (PathBuf::from(path), text.to_owned()));
        let expected = [format!("{OF_PYPI}:1: ../../b.md")];
        assert_eq!(broken(&documents.into(), |_| false), expected);
    }

    #[test]
    fn code_has_no_links() {
        assert_eq!(broken_in("```text\n[x](nowhere.md)\n```\n"), [""; 0]);
    }
}
