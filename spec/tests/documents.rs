//! The documents and the code say the same.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use callgate::rule::{self, Rule};

/// Returns the documents by file name.
fn documents() -> BTreeMap<String, String> {
    files("docs", "md")
}

/// The files of `folder` in this crate that end in `feature`, by name.
fn files(folder: &str, extension: &str) -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// Returns the line of a document in which `rule` stands.
fn line_of(rule: &Rule) -> String {
    format!(
        "**{}** ({}, {}) {}",
        rule.id, rule.role, rule.level, rule.sentence
    )
}

/// Returns the words of `text` that have the form of a rule's ID.
fn ids_in(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .filter(|word| {
            word.split_once('-').is_some_and(|(chapter, number)| {
                ["CORE", "SCOPE", "HTTP", "WS", "LIFE", "EXT", "TLS"].contains(&chapter)
                    && !number.is_empty()
                    && number.bytes().all(|byte| byte.is_ascii_digit())
            })
        })
        .collect()
}

/// Returns the headings of a document, without their marks.
fn headings(document: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    document.lines().filter_map(move |line| {
        is_code ^= line.starts_with("```");
        let heading = line.trim_start_matches('#');
        (!is_code && heading.len() < line.len()).then(|| heading.trim())
    })
}

/// Returns the section of `document` under `heading`, up to the next heading.
fn section<'a>(document: &'a str, heading: &str) -> Option<&'a str> {
    let start = document.find(&format!("# {heading}\n"))? + heading.len() + 3;
    let rest = &document[start..];
    Some(rest.find("\n#").map_or(rest, |end| &rest[..end]))
}

#[test]
fn each_rule_stands_once_word_for_word_in_its_document() {
    let documents = documents();
    for rule in rule::all() {
        let item = format!("- {}", line_of(rule));
        for (name, document) in &documents {
            let found = document.lines().filter(|line| *line == item).count();
            let expected = usize::from(name == rule.document());
            assert_eq!(found, expected, "{} in {name}: `{item}`", rule.id);
        }
    }
}

#[test]
fn each_page_of_rustdoc_has_the_anchors_and_the_links_of_its_document() {
    let documents = documents();
    let page = |name: &str| Path::new(env!("OUT_DIR")).join(name);
    for (name, document) in &documents {
        let page = std::fs::read_to_string(page(name)).unwrap();
        assert_eq!(page.lines().count(), document.lines().count(), "{name}");
        assert!(!page.contains(".md)") && !page.contains(".md#"), "{name}");
        for file in documents.keys() {
            let module = file.trim_end_matches(".md").replace('-', "_");
            assert_eq!(
                page.matches(&format!("](../{module}/index.html")).count(),
                document.matches(&format!("]({file}")).count(),
                "links from {name} to {file}"
            );
        }
    }
    for rule in rule::all() {
        let page = std::fs::read_to_string(page(rule.document())).unwrap();
        let anchor = format!("<a id=\"{}\"></a>", rule.id);
        assert_eq!(page.matches(&anchor).count(), 1, "{}", rule.id);
        assert!(rule.document_url().ends_with(&format!(
            "/documents/{}/index.html#{}",
            rule.document().trim_end_matches(".md"),
            rule.id
        )));
    }
}

#[test]
fn each_document_is_a_page_of_rustdoc() {
    let library = include_str!("../src/documents.rs");
    for name in documents().keys() {
        let module = name.trim_end_matches(".md").replace('-', "_");
        assert!(
            library.contains(&format!("{module}, \"{name}\";")),
            "{name}"
        );
    }
}

#[test]
fn nothing_in_the_documents_looks_like_a_rule_and_is_none() {
    for (name, document) in documents() {
        for id in ids_in(&document) {
            assert!(rule::by_id(id).is_some(), "{name} mentions {id}");
        }
        for line in document.lines() {
            let Some((_, bold)) = line.split_once("**") else {
                continue;
            };
            let id = bold.split("**").next().unwrap();
            if let Some(rule) = rule::by_id(id) {
                assert!(
                    line.ends_with(&line_of(rule)),
                    "{name} words {id} otherwise: `{line}`"
                );
            }
        }
    }
}

#[test]
fn the_ids_mentioned_in_the_source_exist() {
    let sources = ["src", "src/rule", "src/conversation"]
        .into_iter()
        .flat_map(|folder| files(folder, "rs"));
    for (name, source) in sources {
        for id in ids_in(&source) {
            assert!(rule::by_id(id).is_some(), "{name} mentions {id}");
        }
    }
}

#[test]
fn ids_are_unique_and_count_up_within_their_chapter() {
    let mut last = BTreeMap::new();
    for rule in rule::all() {
        let (chapter, number) = rule.id.split_once('-').unwrap();
        let last = last.entry(chapter).or_insert(0_u32);
        assert_eq!(format!("{:02}", *last + 1), number, "{}", rule.id);
        *last += 1;
    }
}

#[test]
fn there_are_at_least_a_hundred_rules() {
    assert!(rule::all().count() >= 100);
}

#[test]
fn each_sentence_names_its_role_and_its_level() {
    for rule in rule::all() {
        let Rule {
            id, role, level, ..
        } = rule;
        let sentence = rule.sentence;
        let article = if role.to_string() == "server" {
            "A server"
        } else {
            "An application"
        };
        assert!(sentence.starts_with(article), "{id}: {sentence}");
        assert!(sentence.contains(&level.to_string()), "{id}: {sentence}");
        let levels = ["MUST", "SHOULD"].map(|level| sentence.contains(level));
        assert_ne!(levels[0], levels[1], "{id} mixes levels: {sentence}");
        assert!(sentence.ends_with('.'), "{id}: {sentence}");
        assert_eq!(rule::by_id(id), Some(rule));
    }
}

/// Returns the document that has the section of an event.
fn document_of(type_name: &str) -> &'static str {
    match type_name {
        "http.request" | "http.disconnect" | "http.response.start" | "http.response.body" => {
            "http.md"
        }
        name if name.starts_with("lifespan.") => "lifespan.md",
        name if name.starts_with("websocket.http.") => "features.md",
        name if name.starts_with("websocket.") => "websocket.md",
        _ => "features.md",
    }
}

/// Returns the type name, the direction and the variant of each event.
fn events() -> Vec<(String, &'static str, String)> {
    let received = support::receive_events().into_iter().map(|event| {
        (
            event.type_name().to_owned(),
            "Received",
            format!("{event:?}"),
        )
    });
    let sent = support::send_events()
        .into_iter()
        .map(|event| (event.type_name().to_owned(), "Sent", format!("{event:?}")));
    received
        .chain(sent)
        .map(|(type_name, direction, debug)| {
            let variant = debug.split(|c: char| !c.is_alphanumeric()).next().unwrap();
            let name = if direction == "Sent" {
                "SendEvent"
            } else {
                "ReceiveEvent"
            };
            (type_name, direction, format!("`{name}::{variant}"))
        })
        .collect()
}

#[test]
fn no_event_is_missing_from_these_tests() {
    let source = include_str!("../src/event/mod.rs");
    let in_source: BTreeSet<_> = source
        .split("=> \"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    let events = events();
    let in_tests: BTreeSet<_> = events.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(in_source, in_tests);
}

#[test]
fn each_event_has_a_section_with_its_direction_and_its_variant() {
    let documents = documents();
    for (type_name, direction, variant) in events() {
        let name = document_of(&type_name);
        let section = section(&documents[name], &format!("`{type_name}`"))
            .unwrap_or_else(|| panic!("{name} has no section `{type_name}`"));
        assert!(
            section.trim().starts_with(direction) && section.contains(&variant),
            "{name}, `{type_name}`: neither {direction} nor {variant}"
        );
    }
}

#[test]
fn each_event_is_compared_with_asgi() {
    let document = &documents()["coming-from-asgi.md"];
    for (type_name, _, variant) in events() {
        let row = format!("| `{type_name}` | {variant}` |");
        assert!(document.contains(&row), "no row `{row}`");
    }
}

#[test]
fn links_between_the_documents_lead_somewhere() {
    let documents = documents();
    for (name, document) in &documents {
        for link in document.split("](").skip(1) {
            let link = link.split(')').next().unwrap();
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let file = if file.is_empty() { name } else { file };
            let target = documents
                .get(file)
                .unwrap_or_else(|| panic!("{name} links to {link}"));
            let has_anchor = anchor.is_empty() || headings(target).any(|it| slug(it) == anchor);
            assert!(has_anchor, "{name} links to {link}");
        }
    }
}

/// Returns the anchor of a heading.
fn slug(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[test]
fn each_rule_that_a_conversation_checks_has_a_test() {
    let ids: BTreeMap<String, String> = files("src/rule", "rs")
        .values()
        .flat_map(|source| source.lines())
        .filter_map(|line| {
            let (constant, rest) = line.split_once(" = \"")?;
            let (id, _) = rest.split_once('"')?;
            rule::by_id(id).map(|_| (constant.trim().to_owned(), id.to_owned()))
        })
        .collect();
    let mut tests: String = files("tests/conversation_http", "rs")
        .into_values()
        .collect();
    for (name, source) in files("tests", "rs") {
        if name.starts_with("conversation_") {
            tests += &source;
        }
    }
    let mut checked = 0;
    for source in files("src/conversation", "rs").values() {
        for rest in source.split("rule::").skip(1) {
            let constant: String = rest
                .chars()
                .take_while(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || *c == '_')
                .collect();
            let Some(id) = ids.get(&constant) else {
                continue;
            };
            let test = format!("fn {}_", id.to_lowercase().replace('-', "_"));
            assert!(tests.contains(&test), "no test of {id} ({constant})");
            checked += 1;
        }
    }
    assert!(checked > 20, "only {checked} rules found");
}

#[cfg(feature = "serde")]
mod serialised {
    use super::*;
    use callgate::{ReceiveEvent, Scope, SendEvent};
    use serde_json::Value;

    /// Reads `example` as what its type says, and writes it again.
    fn round_trip(example: &Value) -> Value {
        let kind = example["type"].as_str().expect("a type");
        let read_back = if ["http", "websocket", "lifespan"].contains(&kind) {
            serde_json::from_value::<Scope>(example.clone()).map(serde_json::to_value)
        } else if support::receive_events()
            .iter()
            .any(|event| event.type_name() == kind)
        {
            serde_json::from_value::<ReceiveEvent>(example.clone()).map(serde_json::to_value)
        } else {
            serde_json::from_value::<SendEvent>(example.clone()).map(serde_json::to_value)
        };
        read_back
            .unwrap_or_else(|error| panic!("{example}: {error}"))
            .unwrap()
    }

    #[test]
    fn each_json_example_is_read_and_written_as_it_stands() {
        let document = &documents()["serialised.md"];
        let mut seen = BTreeSet::new();
        for block in document.split("```json\n").skip(1) {
            let json = block.split("```").next().unwrap();
            let example: Value =
                serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"));
            assert_eq!(round_trip(&example), example);
            let kind = example["type"].as_str().unwrap().to_owned();
            let section = section(document, &format!("`{kind}`")).expect("a section of its type");
            assert!(section.contains(json), "{json} stands elsewhere");
            seen.insert(kind);
        }
        let scopes = ["http", "websocket", "lifespan"].map(str::to_owned);
        let expected: BTreeSet<_> = events()
            .into_iter()
            .map(|(name, ..)| name.to_owned())
            .chain(scopes)
            .collect();
        assert_eq!(seen, expected);
    }

    /// The keys of each example are those of the table above it.
    #[test]
    fn each_key_of_an_example_stands_in_its_table() {
        let document = &documents()["serialised.md"];
        for block in document.split("```json\n").skip(1) {
            let example: Value = serde_json::from_str(block.split("```").next().unwrap()).unwrap();
            let kind = example["type"].as_str().unwrap();
            let section = section(document, &format!("`{kind}`")).unwrap();
            if section.contains("As `") || kind == "websocket" {
                continue;
            }
            for key in example.as_object().unwrap().keys() {
                let is_listed = key == "type" || section.contains(&format!("| `{key}` |"));
                assert!(is_listed, "`{key}` of `{kind}`");
            }
        }
    }
}
