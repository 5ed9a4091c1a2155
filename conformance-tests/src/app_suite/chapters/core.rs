//! What holds for every kind of scope: the rules of `overview.md`.

use bytes::{BufMut as _, Bytes, BytesMut};
use callgate::rule;

use crate::Verdict;
use crate::app_suite::case::{Case, judged, keeps, not_applicable};
use crate::app_suite::compare::{answers_agree, difference, ends_agree};
use crate::app_suite::play::Play;
use crate::app_suite::stage::{Reason, Stage};
use crate::driver::{Plan, Played};

/// Every kind of exchange once.
const EACH: &[Play] = &[Play::Get, Play::Whole, Play::Socket, Play::Life];
const LIFE: &[Play] = &[Play::Life];

pub(super) const CASES: &[Case] = &[
    keeps(
        rule::DECLINE_UNSUPPORTED,
        "unknown_scope",
        "Calls the application with a kind of scope that nobody knows.",
        "It returns `AppError::Unsupported` at once.",
        &[Play::UnknownScope],
    ),
    keeps(
        rule::DECLINE_UNSUPPORTED,
        "before_anything_else",
        "Calls the application with scopes of each known kind.",
        "If it declines, it has received and sent nothing.",
        EACH,
    ),
    keeps(
        rule::FOREIGN_EVENT,
        "http",
        "Makes requests of many sorts.",
        "No event of a WebSocket or of lifespan is sent.",
        Play::HTTP,
    ),
    keeps(
        rule::FOREIGN_EVENT,
        "websocket",
        "Opens WebSockets of many sorts.",
        "No event of an HTTP response or of lifespan is sent.",
        Play::WEBSOCKET,
    ),
    keeps(
        rule::FOREIGN_EVENT,
        "lifespan",
        "Starts the application up and shuts it down.",
        "No event of an HTTP response or of a WebSocket is sent.",
        LIFE,
    ),
    keeps(
        rule::END_AFTER_DISCONNECT,
        "http",
        "Goes away before, between and after all events of a request, or stops reading and then goes away.",
        "The call ends while there is patience.",
        HTTP_AND_FLOODS,
    ),
    keeps(
        rule::END_AFTER_DISCONNECT,
        "websocket",
        "Goes away before, between and after all events of a WebSocket, or stops reading and then goes away.",
        "The call ends while there is patience.",
        WEBSOCKET_AND_FLOOD,
    ),
    judged(
        rule::UNKNOWN_EVENT,
        "http",
        "Sends a request again and again, with an event that nobody knows in each place between the others.",
        "The answer is the same as without it.",
        |stage| unknown_event(stage, Play::Split, Play::SplitUnknown),
    ),
    judged(
        rule::UNKNOWN_EVENT,
        "websocket",
        "Opens WebSockets, with an event that nobody knows in each place between the others.",
        "What is sent is the same as without it.",
        |stage| unknown_event(stage, Play::Socket, Play::SocketUnknown),
    ),
    judged(
        rule::UNKNOWN_EVENT,
        "lifespan",
        "Starts applications up and shuts them down, with an event that nobody knows before, between or after.",
        "Both are answered as without it.",
        |stage| unknown_event(stage, Play::Life, Play::LifeUnknown),
    ),
    keeps(
        rule::NO_PANIC,
        "http",
        "Makes requests of many sorts, some with events that nobody knows.",
        "Nothing panics.",
        HTTP_AND_UNKNOWN,
    ),
    keeps(
        rule::NO_PANIC,
        "websocket",
        "Opens WebSockets of many sorts, some with events that nobody knows.",
        "Nothing panics.",
        WEBSOCKET_AND_UNKNOWN,
    ),
    keeps(
        rule::NO_PANIC,
        "lifespan",
        "Starts applications up and shuts them down, with and without events that nobody knows.",
        "Nothing panics.",
        &[Play::Life, Play::LifeUnknown],
    ),
    keeps(
        rule::NO_PANIC,
        "unknown_scope",
        "Calls the application with a kind of scope that nobody knows.",
        "Nothing panics.",
        &[Play::UnknownScope],
    ),
    judged(
        rule::CONCURRENT_CALLS,
        "interleaved",
        "Makes requests with different content one after the other, all at once, event by event, and one after the other again.",
        "Each answer is the same each time, if the first and the last are the same.",
        interleaved,
    ),
    judged(
        rule::CONCURRENT_CALLS,
        "beside_one_that_stands_still",
        "Lets a request stand still after each of its events, and makes another.",
        "The other is answered.",
        beside_one_that_stands_still,
    ),
    keeps(
        rule::BOUNDED_MEMORY,
        "content_without_end",
        "Sends a request with four times as much content as one exchange may hold.",
        "The application never holds more than it may.",
        &[Play::Flood],
    ),
    keeps(
        rule::BOUNDED_MEMORY,
        "client_that_does_not_read",
        "Sends the same and reads nothing but the head of the response.",
        "The application never holds more than it may, nor more than 1024 pending sends.",
        &[Play::FloodStalled],
    ),
    keeps(
        rule::BOUNDED_MEMORY,
        "messages_without_end",
        "Sends as much over a WebSocket and reads nothing but the answer to the handshake.",
        "The application never holds more than it may, nor more than 1024 pending sends.",
        &[Play::SocketFlood],
    ),
    keeps(
        rule::BOUNDED_MEMORY,
        "any_call",
        "Makes requests and opens WebSockets of many sorts, starts the application up and shuts it down.",
        "In no call does the memory of the process grow by a gigabyte, or eight times what one exchange may hold where that is more.",
        EVERYTHING,
    ),
];

const HTTP_AND_FLOODS: &[Play] = &[
    Play::Get,
    Play::Whole,
    Play::Split,
    Play::Unfinished,
    Play::GetGone,
    Play::SplitGone,
    Play::GetStalled,
    Play::SplitStalled,
    Play::Flood,
    Play::FloodStalled,
];

const WEBSOCKET_AND_FLOOD: &[Play] = &[
    Play::Socket,
    Play::SocketPlain,
    Play::SocketGone,
    Play::SocketStalled,
    Play::SocketFlood,
];

const HTTP_AND_UNKNOWN: &[Play] = &[
    Play::Get,
    Play::Head,
    Play::Http10,
    Play::Offered,
    Play::OfferedPost,
    Play::Http2,
    Play::Whole,
    Play::Split,
    Play::Empty,
    Play::Unfinished,
    Play::GetGone,
    Play::SplitGone,
    Play::GetStalled,
    Play::SplitStalled,
    Play::SplitUnknown,
    Play::Flood,
    Play::FloodStalled,
];

const WEBSOCKET_AND_UNKNOWN: &[Play] = &[
    Play::Socket,
    Play::SocketPlain,
    Play::SocketOffered,
    Play::SocketGone,
    Play::SocketStalled,
    Play::SocketUnknown,
    Play::SocketFlood,
];

const EVERYTHING: &[Play] = &[
    Play::Get,
    Play::Head,
    Play::Http10,
    Play::Offered,
    Play::OfferedPost,
    Play::Http2,
    Play::Whole,
    Play::Split,
    Play::Empty,
    Play::Unfinished,
    Play::GetGone,
    Play::SplitGone,
    Play::GetStalled,
    Play::SplitStalled,
    Play::Socket,
    Play::SocketPlain,
    Play::SocketOffered,
    Play::SocketGone,
    Play::SocketStalled,
    Play::Life,
];

/// Compares `base` with the same exchange in which there is an unknown event somewhere.
fn unknown_event(stage: &mut Stage, base: Play, with_unknown: Play) -> Result<Verdict, Reason> {
    let usual = stage.played(base)?[0].clone();
    if usual.is_declined() {
        return Ok(not_applicable(
            "the application declines this kind of scope",
        ));
    }
    if !usual.broken.is_empty() {
        return Ok(not_applicable("it breaks a rule without that as well"));
    }
    let again = stage.play_once_more(base)?;
    if !ends_agree(&usual, &again) {
        return Ok(not_applicable(
            "its calls end differently from one time to the next",
        ));
    }
    let is_steady = answers_agree(&usual, &again);
    let odd = |played: &Played| {
        if !ends_agree(&usual, played) {
            return Some(format!(
                "the call {} in place of {}",
                played.ending(),
                usual.ending()
            ));
        }
        let difference = difference(&usual, played)?;
        is_steady.then(|| {
            format!(
                "{} without it: {}; with it: {}",
                difference.what, difference.one, difference.other
            )
        })
    };
    let played = stage.played(with_unknown)?;
    for one in played.iter() {
        if let Some(seen) = odd(one) {
            // What differs by chance does so without unknown events as well.
            let usual_now = stage.play_once_more(base)?;
            if odd(&usual_now).is_none() {
                return Ok(one.fail(seen).into());
            }
        }
    }
    Ok(Verdict::Passed)
}

/// Contents that differ from each other. Whether they are valid is known of those only that are given.
fn contents(stage: &Stage) -> Vec<Bytes> {
    let given = &stage.options;
    if !given.other_bodies.is_empty() {
        let first = std::iter::once(&given.body);
        return first.chain(&given.other_bodies).cloned().collect();
    }
    let content = |number| {
        let mut content = BytesMut::from(&*given.body);
        content.put_u8(b'0' + number);
        content.freeze()
    };
    (1..=3).map(content).collect()
}

fn is_refused(played: &Played) -> bool {
    let head = played.answer.head.as_ref();
    head.is_some_and(|head| head.status.is_client_error() || head.status.is_server_error())
}

fn interleaved(stage: &mut Stage) -> Result<Verdict, Reason> {
    let contents = contents(stage);
    let takes_its_own = !is_refused(&stage.played(Play::Split)?[0]);
    let plans = |stage: &mut Stage| -> Result<Vec<Plan>, Reason> {
        let plan = |content| stage.plan(|make| make.split(content));
        contents.iter().map(plan).collect()
    };
    let alone = |stage: &mut Stage| -> Result<Vec<Played>, Reason> {
        let plans = plans(stage)?;
        plans.into_iter().map(|plan| stage.play(plan)).collect()
    };
    let mut failure = None;
    // Once could be chance.
    for _ in 0..2 {
        let before = alone(stage)?;
        let mut together = plans(stage)?;
        for plan in &mut together {
            plan.is_hesitant = true;
        }
        let together = stage.play_together(together)?;
        let after = alone(stage)?;
        if before[0].is_declined() {
            return Ok(not_applicable("the application declines HTTP"));
        }
        if !before.iter().chain(&after).all(Played::is_well) {
            return Ok(not_applicable(
                "it does not complete its answers to content",
            ));
        }
        // To be told three times that something is wrong says nothing of what is right.
        if takes_its_own && before.iter().all(is_refused) {
            return Ok(not_applicable(
                "it refuses content that differs: give more that is valid (`AppOptions::other_bodies`, or `--body` again)",
            ));
        }
        let mut pairs = before.iter().zip(&after);
        if !pairs.all(|(before, after)| answers_agree(before, after)) {
            return Ok(not_applicable(
                "its answers differ from one time to the next",
            ));
        }
        let mut pairs = before.iter().zip(&together);
        let odd = pairs.find_map(|(alone, together)| {
            let seen = match difference(alone, together) {
                Some(difference) => format!(
                    "{} alone: {}; beside others: {}",
                    difference.what, difference.one, difference.other
                ),
                None if !together.is_complete => "the answer was not completed".to_owned(),
                None => return None,
            };
            Some(together.fail_beside(alone, seen))
        });
        match odd {
            Some(odd) => failure = Some(odd),
            None => return Ok(Verdict::Passed),
        }
    }
    Ok(failure.map_or(Verdict::Passed, Verdict::from))
}

fn beside_one_that_stands_still(stage: &mut Stage) -> Result<Verdict, Reason> {
    let alone = stage.played(Play::Whole)?[0].clone();
    if alone.is_declined() {
        return Ok(not_applicable("the application declines HTTP"));
    }
    if !alone.is_well() {
        return Ok(not_applicable(
            "it does not complete its answers to content",
        ));
    }
    let events = stage.played(Play::Split)?[0].interactions.min(20);
    for after in 0..=events {
        let mut frozen = stage.plan(|make| make.plan(Play::Split))?;
        frozen.freezes_after = Some(after);
        let plan = stage.plan(|make| make.plan(Play::Whole))?;
        let played = stage.play_beside(frozen, plan)?;
        if !played.is_complete && stage.play_once_more(Play::Whole)?.is_complete {
            let seen = format!(
                "a request was not answered while another stood still after {after} events"
            );
            return Ok(played.fail(seen).into());
        }
    }
    Ok(Verdict::Passed)
}
