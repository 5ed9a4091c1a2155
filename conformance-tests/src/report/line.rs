//! A line of a report: a check with its rule and its verdict, whichever suite has it.

use std::borrow::Cow;

use callgate::rule::{Level, Role};

use super::Finding;
use crate::basis::Citation;
use crate::check::Verdict;

/// A check, its rule and its verdict, as reports show them.
pub(crate) struct Line<'a> {
    /// The heading above the lines of a document.
    pub(crate) chapter: Cow<'a, str>,
    /// The ID of the rule, or the number of its section.
    pub(crate) rule: Cow<'a, str>,
    /// The side that must keep the rule; `None` for a section of an RFC, which has no ID.
    pub(crate) role: Option<Role>,
    pub(crate) level: Level,
    pub(crate) sentence: &'a str,
    /// The place of the sentence.
    pub(crate) document: Cow<'a, str>,
    /// The sentences by which the check counts for a server or an application of ASGI.
    pub(crate) standards: &'a [Citation],
    pub(crate) name: &'a str,
    pub(crate) does: &'a str,
    pub(crate) must: &'a str,
    pub(crate) verdict: &'a Verdict,
}

impl<'a> Line<'a> {
    pub(super) fn of(finding: &'a Finding) -> Self {
        let Finding { check, verdict, .. } = finding;
        let document = check.rule.document_url();
        let page = document.split('#').next().unwrap_or_default().to_owned();
        Self {
            chapter: page.into(),
            rule: check.rule.id.into(),
            role: Some(check.rule.role),
            level: finding.level(),
            sentence: check.rule.sentence,
            document: document.into(),
            standards: finding.standards,
            name: check.name,
            does: check.does,
            must: check.must,
            verdict,
        }
    }

    /// Returns the name of the rule in a text without its document: the ID, or the document and the section.
    pub(super) fn full_rule(&self) -> &str {
        match self.role {
            Some(_) => &self.rule,
            None => &self.document,
        }
    }

    /// Returns why the check was not run; `None` if it was run. Checks that the standard of the subject does not
    /// demand have one reason together.
    pub(super) fn reason_not_checked(&self) -> Option<&str> {
        match self.verdict {
            Verdict::NotApplicable(why) => why.lines().next(),
            Verdict::NotDemanded(_) => Some("only Callgate demands what is checked"),
            Verdict::Passed | Verdict::Failed(_) => None,
        }
    }
}
