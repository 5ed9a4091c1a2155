//! A report as JUnit's XML.

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::Report;
use crate::check::Verdict;

pub(super) fn write(report: &Report) -> String {
    let mut suite = TestSuite::new(report.subject.as_str());
    for finding in &report.findings {
        let check = &finding.check;
        let status = match &finding.verdict {
            Verdict::Passed => TestCaseStatus::success(),
            Verdict::NotApplicable(why) => {
                let mut status = TestCaseStatus::skipped();
                status.set_message(&**why);
                status
            }
            Verdict::Failed(failure) => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status
                    .set_message(failure.seen.as_str())
                    .set_type(check.rule.id)
                    .set_description(format!("{}\n{failure}", check.rule));
                status
            }
        };
        let mut case = TestCase::new(check.name, status);
        case.set_classname(check.rule.id);
        suite.add_test_case(case);
    }
    if let Some(gap) = &report.gap {
        suite.set_system_err(format!("this says little, because {gap}"));
    }
    let mut junit = quick_junit::Report::new("callgate-conformance");
    junit.add_test_suite(suite);
    let mut text = junit.to_string().expect("XML can be written to memory");
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}
