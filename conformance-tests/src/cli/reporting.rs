//! The flags that all suites have: what to check of it, and how to tell.

use callgate::rule::{self, Rule};
use callgate_cli::is_coloured;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::Stopped;
use crate::{Check, Format, Report};

#[derive(Debug, clap::Args)]
pub(super) struct Reporting {
    /// Check this rule only, such as HTTP-12; may be given repeatedly
    #[arg(long = "only", value_name = "RULE", value_parser = a_rule)]
    pub(super) only: Vec<&'static Rule>,

    /// How to write the report: table, json or junit
    #[arg(long, value_parser = format(), default_value = "table", hide_possible_values = true)]
    pub(super) format: Format,
}

impl Reporting {
    /// The IDs of the rules to check; all if there are none.
    ///
    /// # Errors
    ///
    /// A rule that none of `checks` is about.
    pub(super) fn only(&self, checks: &[&Check], suite: &str) -> Result<Vec<String>, Stopped> {
        let is_checked = |rule: &Rule| checks.iter().any(|check| check.rule == rule);
        if let Some(rule) = self.only.iter().find(|rule| !is_checked(rule)) {
            return Err(Stopped::usage(format!(
                "`{suite}` has no check of {}, a rule for the {} (--list tells what is checked)",
                rule.id, rule.role
            )));
        }
        Ok(self.only.iter().map(|rule| rule.id.to_owned()).collect())
    }

    /// The report as it goes to standard output.
    pub(super) fn text(&self, report: &Report) -> String {
        match self.format {
            Format::Table if is_coloured(&std::io::stdout()) => report.in_colour(),
            format => report.in_format(format),
        }
    }
}

fn a_rule(id: &str) -> Result<&'static Rule, &'static str> {
    rule::by_id(&id.to_ascii_uppercase())
        .ok_or("give the ID of a rule, such as HTTP-12; --list shows them all")
}

fn format() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(["table", "json", "junit"]).map(|format| match format.as_str() {
        "json" => Format::Json,
        "junit" => Format::Junit,
        _ => Format::Table,
    })
}
