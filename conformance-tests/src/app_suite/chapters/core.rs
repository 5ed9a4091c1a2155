//! The rules of `overview.md`, for every kind of scope.

use bytes::{BufMut as _, Bytes, BytesMut};
use callgate::rule;

use crate::app_suite::case::{Case, CaseResult, NotPassed};
use crate::app_suite::options::AppOptions;
use crate::app_suite::output_comparison::{ends_match, output_difference, outputs_match};
use crate::app_suite::scenario::Scenario;
use crate::app_suite::scenario_runner::{Refusal, ScenarioRunner};
use crate::driver::{ClientScript, Observation};

pub(super) const CASES: &[Case] = &[
    Case::model(
        rule::DECLINE_UNSUPPORTED,
        "unknown_scope",
        "Calls the application with a scope of an unknown kind.",
        "The call returns `AppError::Unsupported` at once.",
        |it| it == Scenario::UnknownScope,
    ),
    Case::model(
        rule::DECLINE_UNSUPPORTED,
        "before_anything_else",
        "Calls the application with scopes of each known kind.",
        "A call that declines has received and sent nothing.",
        Scenario::is_ordinary,
    ),
    Case::model(
        rule::FOREIGN_EVENT,
        "http",
        "Makes requests of every kind.",
        "The application sends no event of a WebSocket or of lifespan.",
        |it| it.is_http() && it.is_ordinary(),
    ),
    Case::model(
        rule::FOREIGN_EVENT,
        "websocket",
        "Opens WebSockets of every kind.",
        "The application sends no event of an HTTP response or of lifespan.",
        |it| it.is_websocket() && it.is_ordinary(),
    ),
    Case::model(
        rule::FOREIGN_EVENT,
        "lifespan",
        "Starts the application up and shuts it down.",
        "The application sends no event of an HTTP response or of a WebSocket.",
        |it| it.is_lifespan() && it.is_ordinary(),
    ),
    Case::model(
        rule::END_AFTER_DISCONNECT,
        "http",
        "Disconnects before, between and after all events of a request, or stops reading and then disconnects.",
        "The call ends before the timeout.",
        |it| it.is_http() && !it.has_unknown(),
    ),
    Case::model(
        rule::END_AFTER_DISCONNECT,
        "websocket",
        "Disconnects before, between and after all events of a WebSocket, or stops reading and then disconnects.",
        "The call ends before the timeout.",
        |it| it.is_websocket() && !it.has_unknown(),
    ),
    Case::steps(
        rule::UNKNOWN_EVENT,
        "http",
        "Repeats a request with an event of an unknown kind at each position.",
        "The response is the same as without the unknown event.",
        |runner| {
            unknown_event_is_ignored(runner, Scenario::PostSplit, Scenario::PostWithUnknownEvent)
        },
    ),
    Case::steps(
        rule::UNKNOWN_EVENT,
        "websocket",
        "Opens WebSockets with an event of an unknown kind at each position.",
        "The application sends the same as without the unknown event.",
        |runner| {
            let with_unknown = Scenario::WebSocketWithUnknownEvent;
            unknown_event_is_ignored(runner, Scenario::WebSocket, with_unknown)
        },
    ),
    Case::steps(
        rule::UNKNOWN_EVENT,
        "lifespan",
        "Starts applications up and shuts them down with an event of an unknown kind at each position.",
        "The application answers both as without the unknown event.",
        |runner| {
            let with_unknown = Scenario::LifespanWithUnknownEvent;
            unknown_event_is_ignored(runner, Scenario::Lifespan, with_unknown)
        },
    ),
    Case::model(
        rule::NO_PANIC,
        "http",
        "Makes requests of every kind, some with events of an unknown kind.",
        "Nothing panics.",
        Scenario::is_http,
    ),
    Case::model(
        rule::NO_PANIC,
        "websocket",
        "Opens WebSockets of every kind, some with events of an unknown kind.",
        "Nothing panics.",
        Scenario::is_websocket,
    ),
    Case::model(
        rule::NO_PANIC,
        "lifespan",
        "Starts applications up and shuts them down, with and without events of an unknown kind.",
        "Nothing panics.",
        Scenario::is_lifespan,
    ),
    Case::model(
        rule::NO_PANIC,
        "unknown_scope",
        "Calls the application with a scope of an unknown kind.",
        "Nothing panics.",
        |it| it == Scenario::UnknownScope,
    ),
    Case::steps(
        rule::CONCURRENT_CALLS,
        "interleaved",
        "Makes requests with different content one after the other, all at once with their events interleaved, and one after the other again.",
        "Each concurrent response is equal to the response of the request alone, if that response is the same both times.",
        |runner| {
            let contents = distinct_contents(&runner.options);
            let accepts_own_content = !is_refused(&runner.observations(Scenario::PostSplit)?[0]);
            let mut failure = None;
            // A difference counts when it occurs twice: one may be random.
            for _ in 0..2 {
                let before = run_one_by_one(runner, &contents)?;
                let mut scripts = scripts(runner, &contents)?;
                for script in &mut scripts {
                    script.interleaves = true;
                }
                let concurrent = runner.run_concurrently(scripts)?;
                let after = run_one_by_one(runner, &contents)?;
                if before[0].is_declined() {
                    return Err(NotPassed::not_applicable("the application declines HTTP"));
                }
                if !before.iter().chain(&after).all(Observation::is_successful) {
                    return Err(NotPassed::not_applicable(
                        "the application does not complete its responses to content",
                    ));
                }
                // Equal refusals do not show whether responses are mixed up.
                if accepts_own_content && before.iter().all(is_refused) {
                    return Err(NotPassed::not_applicable(
                        "the application refuses the different content: give more valid content (`AppOptions::other_bodies`, or `--body` again)",
                    ));
                }
                let mut pairs = before.iter().zip(&after);
                if !pairs.all(|(before, after)| outputs_match(before, after)) {
                    return Err(NotPassed::not_applicable(
                        "the responses to equal requests differ",
                    ));
                }
                let mut pairs = before.iter().zip(&concurrent);
                let different = pairs.find_map(|(alone, concurrent)| {
                    let seen = match output_difference(alone, concurrent) {
                        Some(difference) => format!(
                            "{} alone: {}; beside others: {}",
                            difference.what, difference.first, difference.second
                        ),
                        None if !concurrent.is_complete => {
                            "the response was not completed".to_owned()
                        }
                        None => return None,
                    };
                    Some(concurrent.fail_beside(alone, seen))
                });
                match different {
                    Some(different) => failure = Some(different),
                    None => return Ok(()),
                }
            }
            failure.map_or(Ok(()), |failure| Err(failure.into()))
        },
    ),
    Case::steps(
        rule::CONCURRENT_CALLS,
        "beside_one_that_stands_still",
        "Pauses a request after each of its events, and makes another request.",
        "The application responds to the other request.",
        |runner| {
            let alone = runner.observations(Scenario::PostWhole)?[0].clone();
            if alone.is_declined() {
                return Err(NotPassed::not_applicable("the application declines HTTP"));
            }
            if !alone.is_successful() {
                return Err(NotPassed::not_applicable(
                    "the application does not complete its responses to content",
                ));
            }
            let event_count = runner.observations(Scenario::PostSplit)?[0].event_count;
            for position in 0..=event_count.min(20) {
                let mut paused = runner.build(|builder| builder.script(Scenario::PostSplit))?;
                paused.pauses_after = Some(position);
                let script = runner.build(|builder| builder.script(Scenario::PostWhole))?;
                let beside = runner.run_beside(paused, script)?;
                if !beside.is_complete && runner.run_again(Scenario::PostWhole)?.is_complete {
                    let seen = format!(
                        "a request got no response while another was paused after {position} events"
                    );
                    return Err(beside.fail(seen).into());
                }
            }
            Ok(())
        },
    ),
    Case::model(
        rule::BOUNDED_MEMORY,
        "content_without_end",
        "Sends a request with four times as much content as one exchange may hold.",
        "The application never holds more than it may.",
        |it| it == Scenario::PostFlood,
    ),
    Case::model(
        rule::BOUNDED_MEMORY,
        "client_that_does_not_read",
        "Sends the same content and reads nothing but the head of the response.",
        "The application never holds more than it may, nor has more than 1024 pending sends.",
        |it| it == Scenario::PostFloodUnread,
    ),
    Case::model(
        rule::BOUNDED_MEMORY,
        "messages_without_end",
        "Sends as much over a WebSocket and reads nothing but the answer to the handshake.",
        "The application never holds more than it may, nor has more than 1024 pending sends.",
        |it| it == Scenario::WebSocketFlood,
    ),
    Case::model(
        rule::BOUNDED_MEMORY,
        "any_call",
        "Makes requests and opens WebSockets of every kind, starts the application up and shuts it down.",
        "In no call does the memory of the process grow by a gigabyte, or by eight times what one exchange may hold if that is more.",
        Scenario::is_ordinary,
    ),
];

/// Compares the scenario `base` with the same exchange with an unknown event at each position.
fn unknown_event_is_ignored(
    runner: &mut ScenarioRunner,
    base: Scenario,
    with_unknown: Scenario,
) -> CaseResult {
    let usual = runner.observations(base)?[0].clone();
    if usual.is_declined() {
        return Err(NotPassed::not_applicable(
            "the application declines this kind of scope",
        ));
    }
    if !usual.violations.is_empty() {
        return Err(NotPassed::not_applicable(
            "the application breaks a rule without an unknown event as well",
        ));
    }
    let again = runner.run_again(base)?;
    if !ends_match(&usual, &again) {
        return Err(NotPassed::not_applicable(
            "calls for equal requests end differently",
        ));
    }
    let is_deterministic = outputs_match(&usual, &again);
    let difference = |observation: &Observation| {
        if !ends_match(&usual, observation) {
            let (end, usual_end) = (observation.end_description(), usual.end_description());
            return Some(format!(
                "the call {end}; without the unknown event it {usual_end}"
            ));
        }
        let difference = output_difference(&usual, observation)?;
        is_deterministic.then(|| {
            format!(
                "{} without the unknown event: {}; with it: {}",
                difference.what, difference.first, difference.second
            )
        })
    };
    for observation in runner.observations(with_unknown)?.iter() {
        if let Some(seen) = difference(observation) {
            // A random difference also occurs without an unknown event.
            let usual_again = runner.run_again(base)?;
            if difference(&usual_again).is_none() {
                return Err(observation.fail(seen).into());
            }
        }
    }
    Ok(())
}

/// Returns contents that differ from each other: the valid ones of the options, or else the body with
/// different digits after it, which may be invalid.
fn distinct_contents(options: &AppOptions) -> Vec<Bytes> {
    if !options.other_bodies.is_empty() {
        let first = std::iter::once(&options.body);
        return first.chain(&options.other_bodies).cloned().collect();
    }
    let content = |number| {
        let mut content = BytesMut::from(&*options.body);
        content.put_u8(b'0' + number);
        content.freeze()
    };
    (1..=3).map(content).collect()
}

fn scripts(runner: &mut ScenarioRunner, contents: &[Bytes]) -> Result<Vec<ClientScript>, Refusal> {
    let script = |content| runner.build(|builder| builder.post_split(content));
    contents.iter().map(script).collect()
}

fn run_one_by_one(
    runner: &mut ScenarioRunner,
    contents: &[Bytes],
) -> Result<Vec<Observation>, Refusal> {
    let scripts = scripts(runner, contents)?;
    scripts
        .into_iter()
        .map(|script| runner.run(script))
        .collect()
}

fn is_refused(observation: &Observation) -> bool {
    let head = observation.output.head.as_ref();
    head.is_some_and(|head| head.status.is_client_error() || head.status.is_server_error())
}
