//! A report as JUnit's XML.

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::line::Line;
use crate::check::Verdict;

pub(crate) fn write(subject: &str, lines: &[Line<'_>], gap: Option<&str>) -> String {
    let mut suite = TestSuite::new(subject);
    for line in lines {
        let status = match line.verdict {
            Verdict::Passed => TestCaseStatus::success(),
            Verdict::NotApplicable(why) => skipped(why),
            Verdict::NotDemanded(why) => skipped(why),
            Verdict::Failed(failure) => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status
                    .set_message(failure.seen.as_str())
                    .set_type(&*line.rule)
                    .set_description(format!("{}: {}\n{failure}", line.rule, line.sentence));
                status
            }
        };
        let mut case = TestCase::new(line.name, status);
        case.set_classname(&*line.rule);
        suite.add_test_case(case);
    }
    if let Some(gap) = gap {
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

fn skipped(why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(why);
    status
}
