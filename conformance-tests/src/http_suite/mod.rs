//! Checks anything that serves HTTP on a port, against the RFCs, without a probe inside.
//!
//! The suite sees what clients see: the answers, and the ends of connections. A case of a malformed request
//! sends a further request after it, and so sees where the server has taken the first to end.

mod case;
mod cases;
mod check;
mod options;
mod raw_http2;
mod target;

pub use check::{HttpCheck, HttpFinding, HttpReport};
pub use options::{HttpOptions, HttpTarget};

use crate::Verdict;
use case::Case;
use target::Target;

/// The time-out of a whole case, as a multiple of the time-out for one thing.
const CASE_TIMEOUTS: u32 = 4;

/// Returns every check of the suite for HTTP, in the order of the RFCs.
pub fn http_checks() -> impl Iterator<Item = HttpCheck> {
    cases::all().map(Case::check)
}

impl HttpOptions {
    /// Returns the checks to run.
    pub fn checks(&self) -> impl Iterator<Item = HttpCheck> {
        self.selected().map(Case::check)
    }

    fn selected(&self) -> impl Iterator<Item = &'static Case> {
        let is_wanted = |name: &str| self.cases.iter().any(|wanted| wanted == name);
        cases::all().filter(move |case| self.cases.is_empty() || is_wanted(case.name))
    }
}

/// Checks the server at `target`. `progress` is called with each finding as it is made.
///
/// # Errors
///
/// One line that says why the server answers no request of [`HttpOptions::path`].
pub async fn check_http(
    target: &HttpTarget,
    options: &HttpOptions,
    mut progress: impl FnMut(&HttpFinding),
) -> Result<HttpReport, String> {
    let scheme = if target.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let subject = format!("{scheme}://{}{}", target.authority, options.path);
    let target = Target::new(target, options).await;
    let gap = match target.response_of(&options.path).await {
        Err(Verdict::Failed(failure)) => return Err(failure.seen),
        Ok(response) if response.status >= 400 => Some(format!(
            "GET of {} is answered with {}",
            options.path, response.status
        )),
        _ => None,
    };
    let mut findings = Vec::new();
    for case in options.selected() {
        let finding = HttpFinding {
            check: case.check(),
            verdict: run(case, &target).await,
        };
        progress(&finding);
        findings.push(finding);
    }
    Ok(HttpReport {
        subject,
        findings,
        gap,
    })
}

async fn run(case: &Case, target: &Target<'_>) -> Verdict {
    target.log.take();
    let limit = target.options.timeout * CASE_TIMEOUTS;
    let result = tokio::time::timeout(limit, (case.steps)(target)).await;
    let result = result.unwrap_or_else(|_| {
        let seen = format!("the case was not through after {limit:?}");
        Err(Verdict::failed(seen))
    });
    match result {
        Ok(()) => Verdict::Passed,
        Err(Verdict::Failed(failure)) => failure.after(target.log.take().transcript).into(),
        Err(other) => other,
    }
}

#[cfg(test)]
mod tests {
    use callgate::rule::Level;

    use super::*;

    #[test]
    fn each_sentence_has_the_word_of_its_level() {
        for check in http_checks() {
            let demands = ["MUST", "it cannot"].map(|word| check.sentence.contains(word));
            let level = match demands.contains(&true) {
                true => Level::Must,
                false => Level::Should,
            };
            assert_eq!(check.basis.level, level, "{}", check.sentence);
            let has_word = level == Level::Must || check.sentence.contains("SHOULD");
            assert!(has_word, "{}", check.sentence);
        }
    }
}
