//! Whether the suite has exercised an application. An application that answers 404 to every request keeps most rules
//! without a meaning.

use callgate::SendEvent;

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
    /// Not at all, which breaks a rule or is a failure of the application.
    Failed,
}

/// Returns why the checks say little about the application; `None` if the suite has exercised it.
pub(super) fn gap(runner: &mut ScenarioRunner) -> Option<String> {
    let mut answers = Vec::new();
    for scenario in SCENARIOS {
        match runner.observations(scenario) {
            Ok(observations) => answers.push((scenario, answer(&observations))),
            Err(Refusal::StartupFailed(reason)) => return Some(without_startup(&reason)),
            // The check of the rule that the application breaks by this says so.
            Err(Refusal::Abandoned(_)) => return None,
        }
    }
    let is_served = answers
        .iter()
        .any(|(_, answer)| matches!(answer, Answer::Served));
    let refused: Vec<_> = answers
        .iter()
        .filter_map(|(scenario, answer)| match answer {
            Answer::Refused(status) => Some(format!(
                "{} with {status}",
                asked(*scenario, &runner.options)
            )),
            _ => None,
        })
        .collect();
    if is_served || refused.is_empty() || runner.options.allows_errors {
        return None;
    }
    Some(format!(
        "it refused all that the suite asked for: {}; tell the suite what it serves by `AppOptions::path`, `method`, \
         `header`, `body` and `websocket_path`, or that it is to refuse all by `allow_errors`",
        refused.join(", ")
    ))
}

fn without_startup(reason: &str) -> String {
    format!(
        "{reason}; an application without start-up work returns `Err(AppError::Unsupported)` for a lifespan scope, \
         before it receives anything"
    )
}

fn answer(observations: &[Observation]) -> Answer {
    let Some(observation) = observations.first() else {
        return Answer::Failed;
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
        None => Answer::Failed,
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
