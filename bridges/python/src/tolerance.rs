//! Rules of the protocol that ASGI and WSGI do not have. An application may break them: what it sends is changed so that it
//! keeps the rules, and the log has a warning about each rule once.

use std::borrow::Cow;
use std::sync::Mutex;

use callgate::rule::{self, Rule};
use callgate::{HttpResponseStart, message::is_hop_by_hop};
use http::header::CONTENT_LENGTH;
use http::{HeaderName, HeaderValue, StatusCode};

/// The rules that an application has broken, for which there has been a warning.
#[derive(Debug, Default)]
pub(crate) struct Tolerance(Mutex<Vec<&'static Rule>>);

impl Tolerance {
    /// Warns of what an event breaks. No lock may be held that an application could need: its handlers of `logging` may do
    /// anything.
    pub(crate) fn warn(&self, broken: Broken) {
        for (rule, what) in broken.0 {
            if self.is_first(rule) {
                tracing::warn!(
                    "{what}, by the rule {}: {} Further cases are not logged.",
                    rule.id,
                    rule.sentence
                );
            }
        }
    }

    fn is_first(&self, rule: &'static Rule) -> bool {
        let mut told = self.0.lock().expect("no panic under this lock");
        let is_first = !told.contains(&rule);
        if is_first {
            told.push(rule);
        }
        is_first
    }
}

/// What an event breaks: rules, and what is done about it.
#[derive(Debug, Default)]
pub(crate) struct Broken(Vec<(&'static Rule, Cow<'static, str>)>);

impl Broken {
    pub(crate) fn note(&mut self, rule: &'static Rule, what: impl Into<Cow<'static, str>>) {
        self.0.push((rule, what.into()));
    }

    /// Returns whether a response keeps this field: those of the connection are the server's.
    pub(crate) fn keeps_field(&mut self, name: &HeaderName) -> bool {
        let is_removed = is_hop_by_hop(name);
        if is_removed {
            self.note(
                rule::NO_HOP_BY_HOP,
                format!("the field `{name}` is left out"),
            );
        }
        !is_removed
    }

    /// Takes note that content is left out whose status permits none.
    pub(crate) fn note_forbidden_content(&mut self) {
        let what = "the content of a response is left out whose status permits none";
        self.note(rule::NO_CONTENT_STATUS, what);
    }

    /// Removes a length that the response must not have, or has several times.
    pub(crate) fn fit_length(&mut self, start: &mut HttpResponseStart) {
        let mut lengths = start.headers.get_all(CONTENT_LENGTH).iter();
        let Some(first) = lengths.next() else { return };
        let is_repeated = lengths
            .next()
            .is_some_and(|second| second == first && lengths.all(|further| further == first));
        match start.status {
            StatusCode::NO_CONTENT => {
                self.note(
                    rule::NO_LENGTH_WITH_204,
                    "`content-length` is left out of a response with status 204",
                );
                start.headers.remove(CONTENT_LENGTH);
            }
            StatusCode::RESET_CONTENT if first != HeaderValue::from_static("0") => {
                self.note_forbidden_content();
                start.headers.remove(CONTENT_LENGTH);
            }
            _ if is_repeated => {
                self.note(
                    rule::VALID_CONTENT_LENGTH,
                    "`content-length` is set several times, and is sent once",
                );
                let length = first.clone();
                start.headers.insert(CONTENT_LENGTH, length);
            }
            _ => {}
        }
    }
}
