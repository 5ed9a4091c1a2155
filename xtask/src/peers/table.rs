//! Tables of Markdown, and what stands in them.

use std::fmt::Write as _;

use super::findings::{ListedCheck, ListedRule};

pub(super) fn in_words(check: &ListedCheck) -> String {
    check.name.replace('_', " ")
}

/// Returns the rule and the check for a cell that lists several.
pub(super) fn in_cell(rule: &ListedRule, check: &ListedCheck) -> String {
    format!("{}: {}", link(rule), in_words(check))
}

/// Returns the rows whose first columns are the same as one row, whose last column has all their entries.
pub(super) fn grouped<const N: usize>(
    rows: impl Iterator<Item = ([String; N], String)>,
) -> Vec<([String; N], String)> {
    let mut grouped: Vec<([String; N], String)> = Vec::new();
    for (columns, entry) in rows {
        match grouped.iter_mut().find(|(known, _)| *known == columns) {
            Some((_, entries)) => {
                entries.push_str("; ");
                entries.push_str(&entry);
            }
            None => grouped.push((columns, entry)),
        }
    }
    grouped
}

/// Writes the head of a table, whose columns are separated by commas.
pub(super) fn head(columns: &str, text: &mut String) {
    let columns: Vec<_> = columns.split(", ").map(str::to_owned).collect();
    row(&columns, text);
    row(&vec!["---".to_owned(); columns.len()], text);
}

pub(super) fn row(columns: &[String], text: &mut String) {
    let columns: Vec<_> = columns
        .iter()
        .map(|column| column.replace('|', r"\|"))
        .collect();
    writeln!(text, "| {} |", columns.join(" | ")).expect("a text can be written to");
}

pub(super) fn link(rule: &ListedRule) -> String {
    format!("[{}](../spec/docs/{})", rule.rule, rule.document)
}

/// The number of characters of an observation that are shown.
const SHOWN: usize = 200;

/// Returns a text that is short enough for a table, without control characters, and without what Markdown takes
/// for tags of HTML.
pub(super) fn shortened(text: &str) -> String {
    let mut shortened = String::new();
    let mut is_code = false;
    for c in text.chars().take(SHOWN) {
        is_code ^= c == '`';
        match c {
            '<' if !is_code => shortened.push_str(r"\<"),
            c if c.is_control() => shortened.extend(c.escape_default()),
            c => shortened.push(c),
        }
    }
    if text.chars().nth(SHOWN).is_some() {
        shortened.push_str("...");
    }
    shortened
}

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn an_observation_has_neither_tags_nor_control_characters() {
        assert_eq!(shortened("<A> in `<B>`,\r\n"), r"\<A> in `<B>`,\r\n");
    }
}
