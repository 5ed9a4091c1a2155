//! `--list`: every rule and its checks.

use std::fmt::Write as _;

use callgate::rule::{self, Role, Rule};
use serde::Serialize;

use super::command_error::CommandError;
use super::output::print;
use super::reporting::Reporting;
use crate::app_suite::{app_checks, asgi_basis};
use crate::basis::Basis;
use crate::check::Check;
use crate::report::Format;
use crate::server_suite::{basis_of, server_checks};

/// Returns the checks of all suites.
fn checks() -> impl Iterator<Item = &'static Check> {
    app_checks().chain(server_checks())
}

fn checks_of(rule: &Rule) -> impl Iterator<Item = &'static Check> {
    checks().filter(move |check| check.rule == rule)
}

/// Prints the rules that `reporting` selects.
pub(super) fn print_rules(reporting: &Reporting) -> Result<(), CommandError> {
    let rules: Vec<_> = match reporting.only.as_slice() {
        [] => rule::all().collect(),
        only => only.to_vec(),
    };
    print(&match reporting.form.format {
        Format::Table => table(&rules),
        Format::Json => json(&rules),
        Format::Junit => {
            return Err(CommandError::usage(
                "a list has no form in junit (use --format table or json)",
            ));
        }
    });
    Ok(())
}

fn table(rules: &[&'static Rule]) -> String {
    let width = rules.iter().map(|rule| rule.id.len()).max();
    let width = width.unwrap_or_default();
    let mut text = format!("{:width$}  role         level   checks  sentence\n", "rule");
    for rule in rules {
        let number = checks_of(rule).count();
        let (id, role, level, sentence) = (rule.id, rule.role, rule.level, rule.sentence);
        writeln!(
            text,
            "{id:width$}  {role:11}  {level:6}  {number:>6}  {sentence}"
        )
        .expect("a text can be written to");
    }
    text
}

#[derive(Serialize)]
struct Row {
    rule: &'static str,
    role: String,
    level: String,
    document: &'static str,
    sentence: &'static str,
    checks: Vec<CheckRow>,
}

#[derive(Serialize)]
struct CheckRow {
    name: &'static str,
    does: &'static str,
    must: &'static str,
    /// The reason for which a server or an application of ASGI need not pass the check: only where only Callgate
    /// demands what is checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    callgate_only: Option<&'static str>,
    /// The sentences of standards that demand the same of a server or an application of ASGI.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    standards: Vec<String>,
    /// The level of these sentences.
    #[serde(skip_serializing_if = "Option::is_none")]
    standards_level: Option<String>,
}

fn json(rules: &[&'static Rule]) -> String {
    let rows: Vec<_> = rules
        .iter()
        .map(|rule| Row {
            rule: rule.id,
            role: rule.role.to_string(),
            level: rule.level.to_string(),
            document: rule.document(),
            sentence: rule.sentence,
            checks: checks_of(rule).map(check_row).collect(),
        })
        .collect();
    let mut text = serde_json::to_string_pretty(&rows).expect("texts and lists of texts");
    text.push('\n');
    text
}

fn check_row(check: &'static Check) -> CheckRow {
    let basis = match check.rule.role {
        Role::Server => basis_of(check),
        Role::Application => Some(asgi_basis(check)),
    };
    CheckRow {
        name: check.name,
        does: check.does,
        must: check.must,
        callgate_only: match basis {
            Some(Basis::CallgateOnly(why)) => Some(why),
            _ => None,
        },
        standards: match basis {
            Some(Basis::Standard(cited)) => cited.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        },
        standards_level: basis
            .and_then(|basis| basis.level())
            .map(|level| level.to_string()),
    }
}
