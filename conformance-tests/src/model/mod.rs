//! The one state machine of an exchange that sees both sides.

mod conversation;
mod order;
mod scope;
mod standing;

use std::time::{Duration, Instant};

use callgate::{
    AppError, Feature, ReceiveEvent, Scope, SendError, SendEvent, Violation, WebSocketClose, rule,
};

use conversation::Conversation;
use order::Order;
pub(crate) use standing::Standing;

pub use scope::violations as scope_violations;

/// How long an application may take to return after a disconnect before a server that drops it
/// does so with good reason.
const SOON: Duration = Duration::from_secs(1);

/// One exchange as both sides have made it so far: shown everything that passes between a server
/// and an application, it says which rules are broken, and the rule's
/// [role](callgate::rule::Rule::role) says by whom.
///
/// What an application may send is decided by the conversations of the protocol
/// ([`callgate::conversation`]); what a server may yield and answer is decided here. A client can
/// go away at any moment: a send may always fail with [`SendError::Disconnected`], after which
/// nothing else may come.
///
/// ```
/// use callgate::{HttpResponseBody, HttpScope, Scope, rule};
/// use callgate_conformance::Model;
/// use http::{Method, Uri};
///
/// let scope = Scope::from(HttpScope::new(Method::GET, Uri::from_static("/")));
/// let mut model = Model::new(&scope);
/// let body = HttpResponseBody::last("Hello").into();
/// let answer = model.answer(&body);
/// let broken = model.sent(&body, &answer);
/// assert_eq!(broken[0].rule, rule::START_FIRST);
/// ```
#[derive(Clone, Debug)]
pub struct Model {
    conversation: Conversation,
    order: Order,
    /// Whether anything has been received or sent.
    has_acted: bool,
    /// When the application was told that nobody is there any more.
    told: Option<Instant>,
    /// Whether a send was answered wrongly, so that nobody knows any more what holds; or whether
    /// there is nothing more to say of a kind of scope that nobody knows.
    is_derailed: bool,
    /// What an application's `content-length` says, where a file may become the content.
    declared_length: u64,
}

/// What a send must come to, kept while the server is asked.
#[derive(Debug)]
pub struct Attempt {
    next: Conversation,
    expected: Result<(), SendError>,
    before: Standing,
    name: &'static str,
    is_path_send: bool,
    declared_length: Option<u64>,
    close: Option<WebSocketClose>,
}

impl Model {
    /// The model of an exchange with this scope. What the scope itself breaks is told by
    /// [`scope_violations`].
    #[must_use]
    pub fn new(scope: &Scope) -> Self {
        Self {
            conversation: Conversation::new(scope),
            order: Order::new(scope),
            has_acted: false,
            told: None,
            is_derailed: false,
            declared_length: 0,
        }
    }

    /// What a server must answer if the application sends `event` now. Whether a file can be opened
    /// is not known here.
    ///
    /// # Errors
    ///
    /// The error that the send must fail with.
    pub fn answer(&self, event: &SendEvent) -> Result<(), SendError> {
        self.conversation.clone().send(event)
    }

    /// What a server must answer if the application sends a file of `length` bytes now, after
    /// [`answer`](Self::answer) allowed it.
    ///
    /// # Errors
    ///
    /// The error that the send must fail with.
    pub fn answer_file(&self, length: u64) -> Result<(), SendError> {
        self.conversation.clone().file(length)
    }

    /// Notes that the client is gone, as seen from the server: sends fail from now on, though the
    /// application has not been told.
    pub fn client_gone(&mut self) {
        self.conversation.disconnect();
    }

    /// The application has received `event`.
    pub fn received(&mut self, event: &ReceiveEvent) -> Vec<Violation> {
        self.has_acted = true;
        let broken = self.order.received(event, &self.conversation);
        match event {
            ReceiveEvent::HttpDisconnect | ReceiveEvent::WebSocketDisconnect(_) => {
                self.told.get_or_insert_with(Instant::now);
                self.conversation.disconnect();
            }
            ReceiveEvent::LifespanShutdown => self.conversation.shutdown_received(),
            _ => {}
        }
        broken
    }

    /// The application sends `event`: what that must come to. To be [settled](Self::settle) before
    /// anything else is shown to the model, or dropped when the event was not taken.
    #[must_use]
    pub fn attempt(&self, event: &SendEvent) -> Attempt {
        let mut next = self.conversation.clone();
        let expected = next.send(event);
        Attempt {
            next,
            expected,
            before: self.conversation.standing(),
            name: event.type_name(),
            is_path_send: matches!(event, SendEvent::HttpResponsePathSend(_)),
            declared_length: match event {
                SendEvent::HttpResponseStart(start) => start
                    .headers
                    .get(http::header::CONTENT_LENGTH)
                    .and_then(|value| value.to_str().ok()?.parse().ok()),
                _ => None,
            },
            close: match event {
                SendEvent::WebSocketClose(close) => Some(close.clone()),
                _ => None,
            },
        }
    }

    /// This is what the send came to.
    pub fn settle(&mut self, attempt: Attempt, result: &Result<(), SendError>) -> Vec<Violation> {
        let mut broken = Vec::new();
        self.has_acted = true;
        if matches!(result, Err(SendError::Disconnected)) {
            self.told.get_or_insert_with(Instant::now);
        }
        if self.is_derailed {
            return broken;
        }
        if let Conversation::Unknown = self.conversation {
            self.is_derailed = true;
            broken.push(Violation::new(
                rule::DECLINE_UNSUPPORTED,
                format!("`{}` was sent in an unknown kind of scope", attempt.name),
            ));
            return broken;
        }
        broken.extend(blame_application(&attempt, result));
        if let Some(violation) = self.blame_server(&attempt, result) {
            self.is_derailed = true;
            broken.push(violation);
        }
        match (&attempt.expected, result) {
            (Ok(()), Ok(())) => {
                if let Some(length) = attempt.declared_length {
                    self.declared_length = length;
                }
                if let Some(close) = attempt.close {
                    self.order.closed(close);
                }
                self.conversation = attempt.next;
                if attempt.is_path_send {
                    self.file_sent();
                }
            }
            // The client may have gone before the rule was broken.
            (_, Err(SendError::Disconnected)) => self.conversation.disconnect(),
            (Err(SendError::Violation(_)), _) => self.conversation = attempt.next,
            _ => {}
        }
        broken
    }

    /// The application has sent `event`, and this is what the send came to:
    /// [`attempt`](Self::attempt) and [`settle`](Self::settle) in one.
    pub fn sent(&mut self, event: &SendEvent, result: &Result<(), SendError>) -> Vec<Violation> {
        let attempt = self.attempt(event);
        self.settle(attempt, result)
    }

    /// The call has returned.
    pub fn returned(&mut self, result: &Result<(), AppError>) -> Vec<Violation> {
        let was_broken = self.conversation.standing() == Standing::Broken;
        let is_serving = self.conversation.is_serving();
        let ended = self.conversation.returned();
        let mut broken = Vec::new();
        match result {
            Err(AppError::Unsupported) => {
                if self.has_acted && !self.is_derailed {
                    broken.push(Violation::new(
                        rule::DECLINE_UNSUPPORTED,
                        "the application declined after it had received or sent",
                    ));
                }
            }
            _ if matches!(self.conversation, Conversation::Unknown) => {
                if !self.is_derailed {
                    broken.push(Violation::new(
                        rule::DECLINE_UNSUPPORTED,
                        "an unknown kind of scope was not declined",
                    ));
                }
            }
            // A rule that a send broke has been told then.
            Ok(()) => broken.extend(ended.err().filter(|_| !was_broken && !self.is_derailed)),
            Err(_) => {}
        }
        if is_serving {
            broken.push(Violation::new(
                rule::STAY_UNTIL_SHUTDOWN,
                "the lifespan call returned before shutdown",
            ));
        }
        broken
    }

    /// The call has panicked, with this message.
    pub fn panicked(&mut self, message: &str) -> Vec<Violation> {
        // What it owes is not the point any more.
        let _ = self.conversation.returned();
        vec![Violation::new(
            rule::NO_PANIC,
            format!("the application panicked: {message}"),
        )]
    }

    /// The server has dropped the call before it ended.
    pub fn dropped(&mut self) -> Vec<Violation> {
        let is_over = self.conversation.standing() == Standing::Ended;
        let _ = self.conversation.returned();
        let late = self.told.map(|told| told.elapsed());
        late.filter(|late| *late > SOON && !is_over)
            .map(|late| {
                Violation::new(
                    rule::END_AFTER_DISCONNECT,
                    format!("the call was still running {late:.1?} after the disconnect"),
                )
            })
            .into_iter()
            .collect()
    }

    pub(crate) fn standing(&self) -> Standing {
        self.conversation.standing()
    }

    /// Whether a lifespan has been started up and not been shut down.
    pub(crate) fn is_serving(&self) -> bool {
        self.conversation.is_serving()
    }

    /// Whether the handshake, or the start-up, has been answered.
    pub(crate) fn is_answered(&self) -> bool {
        self.conversation.is_answered()
    }

    /// Whether the last of the request's content has been received.
    pub(crate) fn is_request_whole(&self) -> bool {
        self.order.is_request_whole()
    }

    /// Whether a WebSocket is open.
    pub(crate) fn is_open(&self) -> bool {
        self.conversation.is_open()
    }

    /// Notes that a file has become the content. How long it was is known to the server alone,
    /// which has compared it with what the head says.
    fn file_sent(&mut self) {
        for length in [self.declared_length, 0] {
            let mut ended = self.conversation.clone();
            if ended.file(length).is_ok() {
                self.conversation = ended;
                return;
            }
        }
        self.is_derailed = true;
    }

    fn blame_server(
        &mut self,
        attempt: &Attempt,
        result: &Result<(), SendError>,
    ) -> Option<Violation> {
        let name = attempt.name;
        let came_to = Outcome(result);
        match (&attempt.expected, result) {
            (Ok(()), Ok(()) | Err(SendError::Disconnected)) => None,
            (Ok(()), Err(SendError::Violation(violation))) => {
                if attempt.is_path_send && self.is_wrong_length(violation) {
                    return None;
                }
                let detail = format!(
                    "`{name}` breaks no rule and failed with {}",
                    violation.rule.id
                );
                Some(Violation::new(rule::SEND_VIOLATION, detail))
            }
            (Ok(()), Err(SendError::NotOffered(feature))) => Some(Violation::new(
                rule::FEATURES_OFFERED,
                format!("the scope lists `{}`, which is not offered", feature.name()),
            )),
            (Ok(()), Err(_)) if attempt.is_path_send => None,
            (Ok(()), Err(_)) => Some(Violation::new(
                rule::SEND_VIOLATION,
                format!("`{name}` {came_to}"),
            )),
            (Err(SendError::Disconnected), Err(SendError::Disconnected)) => None,
            (Err(SendError::Disconnected), _) if attempt.before == Standing::Returned => {
                Some(Violation::new(
                    rule::RETURN_ENDS_SENDING,
                    format!("`{name}` {came_to} after the call had returned"),
                ))
            }
            (Err(SendError::Disconnected), _) => Some(Violation::new(
                rule::SEND_AFTER_DISCONNECT,
                format!("`{name}` {came_to} after the client had gone"),
            )),
            (Err(SendError::Violation(must)), Err(SendError::Violation(is)))
                if must.rule == is.rule =>
            {
                None
            }
            (Err(SendError::Violation(must)), _) => {
                let rule = match attempt.before {
                    Standing::Broken => rule::VIOLATION_IS_FINAL,
                    // It may have gone before the rule was broken.
                    Standing::Open if matches!(result, Err(SendError::Disconnected)) => {
                        return None;
                    }
                    _ => rule::SEND_VIOLATION,
                };
                let detail = format!("`{name}` {came_to}, not with {}", must.rule.id);
                Some(Violation::new(rule, detail))
            }
            (
                Err(SendError::NotOffered(_)),
                Err(SendError::NotOffered(_) | SendError::Disconnected),
            ) => None,
            (Err(SendError::NotOffered(feature)), Err(SendError::File { .. })) => {
                let name = feature.name();
                let detail = format!("`{name}` is offered, and the scope does not list it");
                Some(Violation::new(rule::FEATURES_OFFERED, detail))
            }
            (Err(must), _) => Some(Violation::new(
                rule::NOT_OFFERED_FAILS,
                format!("`{name}` {came_to}, not with: {must}"),
            )),
        }
    }

    /// Whether `violation` is about the length of a file, which the server alone knows; notes it.
    fn is_wrong_length(&mut self, violation: &Violation) -> bool {
        for length in [u64::MAX, 0] {
            let mut next = self.conversation.clone();
            let broken = next.file(length).err();
            if broken.and_then(|error| error.rule()) == Some(violation.rule) {
                self.conversation = next;
                return true;
            }
        }
        false
    }
}

/// What the application has broken with this send, if it could know better.
fn blame_application(attempt: &Attempt, result: &Result<(), SendError>) -> Option<Violation> {
    let is_gone = matches!(result, Err(SendError::Disconnected));
    match &attempt.expected {
        // A path send that is at odds with the head.
        Ok(()) if attempt.is_path_send => match result {
            Err(SendError::Violation(violation)) => Some(violation.clone()),
            _ => None,
        },
        Err(SendError::Violation(violation)) => match attempt.before {
            // What comes after it is not broken once more.
            Standing::Broken => None,
            Standing::Open if is_gone => None,
            _ => Some(violation.clone()),
        },
        Err(SendError::NotOffered(feature)) if !is_gone => Some(not_offered(*feature)),
        _ => None,
    }
}

fn not_offered(feature: Feature) -> Violation {
    Violation::new(
        rule::NOT_OFFERED,
        format!("`{}` was used and is not offered", feature.name()),
    )
}

/// What a send came to, in words.
struct Outcome<'a>(&'a Result<(), SendError>);

impl std::fmt::Display for Outcome<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Ok(()) => f.write_str("was delivered"),
            Err(SendError::Violation(violation)) => write!(f, "failed with {}", violation.rule.id),
            Err(error) => write!(f, "failed ({error})"),
        }
    }
}
