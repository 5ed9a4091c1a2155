//! Whether the suite has exercised an application. An application that answers 404 to every request keeps most rules
//! without a meaning.

use std::sync::Arc;

use callgate::SendEvent;
use callgate::rule::{self, Rule};

use super::case::{CaseResult, NotPassed};
use super::options::AppOptions;
use super::scenario::Scenario;
use super::scenario_runner::{Refusal, ScenarioRunner};
use crate::driver::Observation;

/// The exchanges by which an application is seen to serve.
const SCENARIOS: [Scenario; 3] = [Scenario::Get, Scenario::PostWhole, Scenario::WebSocket];

/// How an application answered the suite.
#[derive(Debug)]
enum Answer {
    /// With a status below 400, or by accepting the WebSocket.
    Served,
    /// It declined the scope.
    Declined,
    /// With this status.
    Refused(u16),
    /// Not at all: the call failed, with this error if it was no violation.
    Failed(Option<String>),
}

/// How far the suite has exercised an application at one target.
pub(super) enum Exercise {
    /// The application served something, or declined all of it.
    Done,
    /// The start-up failed, for this reason.
    NotStarted(Arc<str>),
    /// The application refused all of these requests.
    Refused(Vec<String>),
}

/// Returns how far the suite has exercised the application at the target of `runner`.
pub(super) fn of(runner: &mut ScenarioRunner) -> Exercise {
    let answers = match answers(runner) {
        Ok(answers) => answers,
        Err(Refusal::StartupFailed(reason)) => return Exercise::NotStarted(reason),
        // The check of the rule that the application breaks by this says so.
        Err(Refusal::Abandoned(_)) => return Exercise::Done,
    };
    let is_served = answers
        .iter()
        .any(|(_, answer)| matches!(answer, Answer::Served));
    let refused = refused(&answers, &runner.options);
    match is_served || refused.is_empty() {
        true => Exercise::Done,
        false => Exercise::Refused(refused),
    }
}

/// Returns that a rule is not checked if the application refused all requests, or all WebSockets, that the rule is about.
pub(super) fn unless_refused(runner: &mut ScenarioRunner, rule: &'static Rule) -> CaseResult {
    let is_about: fn(Scenario) -> bool = match rule.id.split_once('-') {
        Some(("HTTP", _)) => Scenario::is_http,
        Some(("WS", _)) => Scenario::is_websocket,
        // Lifespan is exercised without a request, and so is declining.
        Some(("LIFE", _)) => return Ok(()),
        _ if rule == rule::DECLINE_UNSUPPORTED => return Ok(()),
        _ => |_| true,
    };
    let Ok(answers) = answers(runner) else {
        return Ok(());
    };
    let about: Vec<_> = answers
        .into_iter()
        .filter(|(scenario, _)| is_about(*scenario))
        .collect();
    let is_refused = about.iter().all(|(_, answer)| {
        matches!(
            answer,
            Answer::Refused(_) | Answer::Declined | Answer::Failed(Some(_))
        )
    });
    let refused = refused(&about, &runner.options);
    if refused.is_empty() || !is_refused {
        return Ok(());
    }
    let reason = format!("nothing exercises it: refused were {}", refused.join(", "));
    Err(NotPassed::not_applicable(reason))
}

fn answers(runner: &mut ScenarioRunner) -> Result<Vec<(Scenario, Answer)>, Refusal> {
    SCENARIOS
        .into_iter()
        .map(|scenario| Ok((scenario, answer(&runner.observations(scenario)?))))
        .collect()
}

/// Describes the requests that were refused.
fn refused(answers: &[(Scenario, Answer)], options: &AppOptions) -> Vec<String> {
    answers
        .iter()
        .filter_map(|(scenario, answer)| match answer {
            Answer::Refused(status) => Some(format!("{} with {status}", asked(*scenario, options))),
            Answer::Failed(Some(error)) => Some(format!(
                "{} with the error `{error}`",
                asked(*scenario, options)
            )),
            _ => None,
        })
        .collect()
}

/// Returns that the application refused all of these requests.
pub(super) fn refused_all(refused: &[String]) -> String {
    format!(
        "it refused all that the suite asked for: {}; tell the suite what it serves (`AppOptions::requests` or \
         `path`, on the command line `--requests` or `--path`), or that it is to refuse all (`allow_errors`, \
         `--allow-errors`)",
        refused.join(", ")
    )
}

/// Returns that the start-up of the application failed, with the remedy.
pub(super) fn without_startup(reason: &str, is_asgi: bool) -> String {
    let declines = match is_asgi {
        true => "raises an exception for a lifespan scope",
        false => {
            "returns `Err(AppError::Unsupported)` for a lifespan scope, before it receives anything"
        }
    };
    format!("{reason}; an application without start-up work {declines}")
}

fn answer(observations: &[Observation]) -> Answer {
    let Some(observation) = observations.first() else {
        return Answer::Failed(None);
    };
    if observation.is_declined() {
        return Answer::Declined;
    }
    let answer = observation.transcript.sent().find_map(|event| match event {
        SendEvent::HttpResponseStart(start) | SendEvent::DenialResponseStart(start) => {
            Some(start.status.as_u16())
        }
        SendEvent::WebSocketAccept(_) => Some(101),
        SendEvent::WebSocketClose(_) => Some(403),
        _ => None,
    });
    match answer {
        Some(status) if status < 400 => Answer::Served,
        Some(status) => Answer::Refused(status),
        None if observation.violations.is_empty() => Answer::Failed(observation.error.clone()),
        None => Answer::Failed(None),
    }
}

/// Describes the request of a scenario.
fn asked(scenario: Scenario, options: &AppOptions) -> String {
    let path = &options.path;
    match (scenario, &options.method) {
        (Scenario::WebSocket, _) => {
            let path = options.websocket_path.as_ref().unwrap_or(path);
            format!("the WebSocket `{path}`")
        }
        (_, Some(method)) => format!("`{method} {path}`"),
        (Scenario::PostWhole, None) => format!("`POST {path}`"),
        (_, None) => format!("`GET {path}`"),
    }
}
