//! Servers that break the rules checked in `cases/scope_connection.rs`.

use callgate::{Feature, Scheme, State};
use http::header::{HOST, TE, TRANSFER_ENCODING};
use http::{HeaderValue, Version};
use serde_json::{Value, json};

use super::scope::scope_mutant;
use super::{mutants, with_interceptor};
use crate::in_process::InProcess;
use crate::message_filter::MessageFilter;

mutants! {
    scope_12_http_1_0_is_taken_for_1_1: VERSION ["the_version_of_http10"],
    scope_12_http_1_1_is_taken_for_1_0: VERSION ["the_version"],
    scope_12_http_2_is_taken_for_3: VERSION ["the_version_over_http2"],
    scope_13_every_connection_is_secured: SCHEME [
        "the_scheme",
        "the_scheme_over_http2",
        "the_scheme_of_a_websocket",
    ],
    scope_14_the_client_has_no_address: ADDRESSES [
        "the_addresses",
        "the_addresses_over_http2",
        "the_addresses_of_a_websocket",
    ],
    scope_14_the_addresses_are_exchanged: ADDRESSES ["the_addresses", "the_addresses_over_http2"],
    scope_17_a_websocket_has_no_state: STATE_IS_SHARED ["the_state_of_a_websocket"],
    scope_18_extensions_are_shared: EXTENSIONS_ARE_ISOLATED [
        "a_value_of_ones_own",
        "a_value_of_ones_own_over_http2",
    ],
    scope_19_a_feature_is_listed_and_not_offered: FEATURES_OFFERED [
        "features",
        "features_over_http2",
    ],
    scope_19_a_feature_is_offered_and_not_listed: FEATURES_OFFERED [
        "features",
        "features_over_http2",
    ],
    scope_22_subprotocols_are_sorted: SUBPROTOCOLS_OFFERED ["subprotocols"],
}

fn scope_12_http_1_0_is_taken_for_1_1() -> InProcess {
    scope_mutant!(Newer, |scope| {
        if scope.version == Version::HTTP_10 {
            scope.version = Version::HTTP_11;
            // One of HTTP/1.1 has it.
            let host = scope.headers.entry(HOST);
            host.or_insert(HeaderValue::from_static("test"));
        }
    });
    with_interceptor(Newer::default)
}

fn scope_12_http_1_1_is_taken_for_1_0() -> InProcess {
    scope_mutant!(Older, |scope| {
        // HTTP/1.0 has neither chunks nor trailer fields.
        let is_newer = |name| scope.headers.contains_key(name);
        if scope.version == Version::HTTP_11 && !is_newer(TRANSFER_ENCODING) && !is_newer(TE) {
            scope.version = Version::HTTP_10;
        }
    });
    with_interceptor(Older::default)
}

fn scope_12_http_2_is_taken_for_3() -> InProcess {
    scope_mutant!(Ahead, |scope| {
        if scope.version == Version::HTTP_2 {
            scope.version = Version::HTTP_3;
        }
    });
    with_interceptor(Ahead::default)
}

fn scope_13_every_connection_is_secured() -> InProcess {
    scope_mutant!(Secured, both: |scope| scope.scheme = Scheme::Https);
    with_interceptor(Secured::default)
}

fn scope_14_the_client_has_no_address() -> InProcess {
    scope_mutant!(Nobody, both: |scope| scope.client = None);
    with_interceptor(Nobody::default)
}

fn scope_14_the_addresses_are_exchanged() -> InProcess {
    scope_mutant!(Exchanged, |scope| {
        (scope.client, scope.server) = (scope.server, scope.client);
    });
    with_interceptor(Exchanged::default)
}

fn scope_17_a_websocket_has_no_state() -> InProcess {
    scope_mutant!(NoState, http: |_| {}, websocket: |scope| scope.state = State::new());
    with_interceptor(NoState::default)
}

fn scope_18_extensions_are_shared() -> InProcess {
    #[derive(Default)]
    struct SharedExtensions {
        /// The texts that were put into the extensions of any scope.
        put: Vec<Value>,
        /// The steps that ask for extensions.
        asking: Vec<Value>,
    }
    impl MessageFilter for SharedExtensions {
        fn command(&mut self, command: &Value) {
            match &command["do"] {
                Value::Object(step) => self.put.extend(step.get("put_extension").cloned()),
                step if *step == json!("tell_extensions") => {
                    self.asking.push(command["step"].clone());
                }
                _ => {}
            }
        }

        fn message(&mut self, message: &mut Value) {
            if message["message"] == "done"
                && self.asking.contains(&message["step"])
                && let Value::Array(texts) = &mut message["texts"]
            {
                texts.extend(self.put.iter().cloned());
            }
        }
    }
    InProcess {
        message_filter: Some(|| Box::<SharedExtensions>::default()),
        ..InProcess::default()
    }
}

fn scope_19_a_feature_is_listed_and_not_offered() -> InProcess {
    scope_mutant!(Listed, |scope| {
        scope.features = scope.features.with(Feature::Debug);
    });
    with_interceptor(Listed::default)
}

fn scope_19_a_feature_is_offered_and_not_listed() -> InProcess {
    scope_mutant!(Unlisted, |scope| {
        let listed = scope.features.iter();
        scope.features = listed
            .filter(|feature| *feature != Feature::PathSend)
            .collect();
    });
    with_interceptor(Unlisted::default)
}

fn scope_22_subprotocols_are_sorted() -> InProcess {
    scope_mutant!(Sorted, http: |_| {}, websocket: |scope| {
        if scope.version == Version::HTTP_11 {
            scope.subprotocols.sort();
        }
    });
    with_interceptor(Sorted::default)
}
