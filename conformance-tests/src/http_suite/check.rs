//! A check of the suite for HTTP, and its report.

use std::fmt;

use callgate::rule::Level;
use serde::Serialize;

use crate::Verdict;
use crate::basis::Citation;
#[cfg(feature = "junit")]
use crate::report::junit;
use crate::report::{Format, Line, TableOptions, json, table};

/// A check of one sentence of an RFC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpCheck {
    /// The name of the check, unique in the suite: lower case, words joined by `_`.
    pub name: &'static str,
    /// The place of the sentence, and its level.
    pub basis: Citation,
    /// The sentence, as in the RFC.
    pub sentence: &'static str,
    /// The steps of the check, in a sentence.
    pub does: &'static str,
    /// The demanded behaviour, in a sentence.
    pub must: &'static str,
}

/// A check and its verdict.
#[derive(Clone, Debug)]
pub struct HttpFinding {
    /// The check.
    pub check: HttpCheck,
    /// The verdict.
    pub verdict: Verdict,
}

/// The findings of the checks of one server.
#[derive(Clone, Debug)]
pub struct HttpReport {
    /// The URL of the server.
    pub subject: String,
    /// The findings, in the order of the RFCs.
    pub findings: Vec<HttpFinding>,
    /// Why the findings say little about the server, if they do.
    pub gap: Option<String>,
}

impl HttpReport {
    /// Returns whether a sentence of level MUST was broken.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        let is_must = |finding: &HttpFinding| finding.check.basis.level == Level::Must;
        self.failed().any(is_must)
    }

    /// Returns the findings of broken sentences.
    pub fn failed(&self) -> impl Iterator<Item = &HttpFinding> {
        self.findings
            .iter()
            .filter(|finding| finding.verdict.is_failed())
    }

    /// Returns the report as a table.
    #[must_use]
    pub fn table(&self, options: TableOptions) -> String {
        let mut text = String::new();
        self.write_table(options, &mut text)
            .expect("a text can be written to");
        text
    }

    /// Returns the report in this format. The text ends with a line feed.
    #[must_use]
    pub fn in_format(&self, format: Format) -> String {
        match format {
            Format::Table => self.to_string(),
            Format::Json => self.json(),
            #[cfg(feature = "junit")]
            Format::Junit => junit::write(&self.subject, &self.lines(), self.gap.as_deref()),
        }
    }

    fn write_table(&self, options: TableOptions, f: &mut impl fmt::Write) -> fmt::Result {
        table::write(
            &self.subject,
            &self.lines(),
            self.gap.as_deref(),
            options,
            f,
        )
    }

    fn lines(&self) -> Vec<Line<'_>> {
        let lines = self
            .findings
            .iter()
            .map(|HttpFinding { check, verdict }| Line {
                chapter: check.basis.document.to_string().into(),
                rule: check.basis.section.into(),
                role: None,
                level: check.basis.level,
                sentence: check.sentence,
                document: check.basis.to_string().into(),
                standards: &[],
                name: check.name,
                does: check.does,
                must: check.must,
                verdict,
            });
        lines.collect()
    }

    fn json(&self) -> String {
        let findings = self.findings.iter().map(|HttpFinding { check, verdict }| {
            let (verdict, seen) = json::verdict(verdict);
            Row {
                check: check.name,
                basis: check.basis.to_string(),
                level: check.basis.level.to_string(),
                sentence: check.sentence,
                does: check.does,
                must: check.must,
                verdict,
                seen,
            }
        });
        let document = Document {
            subject: &self.subject,
            failed: self.has_failed(),
            gap: self.gap.as_deref(),
            findings: findings.collect(),
        };
        json::text(&document)
    }
}

impl fmt::Display for HttpReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_table(TableOptions::default(), f)
    }
}

#[derive(Serialize)]
struct Document<'a> {
    subject: &'a str,
    failed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    gap: Option<&'a str>,
    findings: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    check: &'a str,
    basis: String,
    level: String,
    sentence: &'a str,
    does: &'a str,
    must: &'a str,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    seen: Option<&'a str>,
}
