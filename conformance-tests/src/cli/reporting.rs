//! The flags of every suite: which rules are checked, and the format of the report.

use callgate::rule::{self, Rule};
use callgate_cli::is_coloured;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::command_error::CommandError;
use crate::check::Check;
use crate::report::{Format, Report, TableOptions};

#[derive(Debug, clap::Args)]
pub(super) struct Reporting {
    /// Check this rule only, such as HTTP-12; may be repeated
    #[arg(long = "only", value_name = "RULE", value_parser = parse_rule)]
    pub(super) only: Vec<&'static Rule>,

    #[command(flatten)]
    pub(super) form: ReportForm,
}

/// The flags about the form of a report.
#[derive(Debug, clap::Args)]
pub(super) struct ReportForm {
    /// Format of the report: table, json or junit
    #[arg(long, value_parser = format_parser(), default_value = "table", hide_possible_values = true)]
    pub(super) format: Format,

    /// In a table, list each check that was not run, in place of a count for each reason
    #[arg(long)]
    unchecked: bool,
}

impl ReportForm {
    /// Returns the form of a table on standard output.
    pub(super) fn table(&self) -> TableOptions {
        TableOptions {
            colour: is_coloured(&std::io::stdout()),
            unchecked: self.unchecked,
        }
    }
}

impl Reporting {
    /// Returns the IDs of the rules to check. An empty list means all of them.
    ///
    /// # Errors
    ///
    /// None of `checks` checks one of these rules.
    pub(super) fn only(&self, checks: &[&Check], suite: &str) -> Result<Vec<String>, CommandError> {
        let is_checked = |rule: &Rule| checks.iter().any(|check| check.rule == rule);
        if let Some(rule) = self.only.iter().find(|rule| !is_checked(rule)) {
            return Err(CommandError::usage(format!(
                "`{suite}` has no check of {}, a rule for the {} (--list shows what is checked)",
                rule.id, rule.role
            )));
        }
        Ok(self.only.iter().map(|rule| rule.id.to_owned()).collect())
    }

    /// Returns the report as text for standard output.
    pub(super) fn text(&self, report: &Report) -> String {
        match self.form.format {
            Format::Table => report.table(self.form.table()),
            format => report.in_format(format),
        }
    }
}

fn parse_rule(id: &str) -> Result<&'static Rule, &'static str> {
    rule::by_id(&id.to_ascii_uppercase())
        .ok_or("give the ID of a rule, such as HTTP-12; --list shows them all")
}

fn format_parser() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(["table", "json", "junit"]).map(|format| match format.as_str() {
        "json" => Format::Json,
        "junit" => Format::Junit,
        _ => Format::Table,
    })
}
