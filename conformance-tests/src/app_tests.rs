//! The macro that makes a test of each rule.

/// Tests an application against every rule of applications. The macro makes a test for each rule, with
/// the ID of the rule in its name, such as `http_14_start_first`, and the test `the_application_is_exercised`.
///
/// A file of tests needs one line:
///
/// ```
/// # use callgate::{AppError, HttpResponseBody, HttpResponseStart, Receiver, Scope, Sender};
/// # async fn hello(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
/// #     scope.into_http()?;
/// #     sender.send(HttpResponseStart::ok()).await?;
/// #     sender.send(HttpResponseBody::last("Hello, world!\n")).await?;
/// #     Ok(())
/// # }
/// callgate_conformance::app_tests!(hello);
/// # fn main() {}
/// ```
///
/// The first argument is an expression for the application. It is evaluated each time that the suite
/// starts an application up. The optional second argument is an
/// [`AppOptions`](crate::AppOptions). Several applications in one file need a module each:
///
/// ```
/// # use callgate::{AppError, Receiver, Scope, Sender};
/// # async fn orders(_: Scope, _: Receiver, _: Sender) -> Result<(), AppError> {
/// #     Err(AppError::Unsupported)
/// # }
/// mod orders_app {
///     use callgate_conformance::{AppOptions, app_tests};
///
///     app_tests!(super::orders, AppOptions::new().name("orders").path("/orders?page=1"));
/// }
/// # fn main() {}
/// ```
///
/// The tests of one application share its exchanges: each is run once, when a test first needs it. A failure
/// shows the rule, its address in the documents, and the messages up to the violation.
///
/// A test also passes if its rule does not apply: a rule of WebSockets, for an application without
/// WebSockets. The report of [`check_app`](crate::check_app) says which rules were checked and which do not apply.
///
/// `the_application_is_exercised` fails if the start-up of the application fails, or if the application refuses
/// each request and each WebSocket of the suite, or of a path in [`AppOptions::requests`](crate::AppOptions::requests). Most tests then
/// pass without a meaning.
#[macro_export]
macro_rules! app_tests {
    ($app:expr $(,)?) => {
        $crate::app_tests!($app, $crate::AppOptions::new());
    };
    ($app:expr, $options:expr $(,)?) => {
        static SUITE: ::std::sync::LazyLock<$crate::AppSuite> =
            ::std::sync::LazyLock::new(|| $crate::AppSuite::new(|| $app, $options));

        #[test]
        fn the_application_is_exercised() {
            SUITE.assert_exercised();
        }

        $crate::app_tests! { @each
            core_02_decline_unsupported => "CORE-02",
            core_06_foreign_event => "CORE-06",
            core_13_end_after_disconnect => "CORE-13",
            core_18_unknown_event => "CORE-18",
            core_19_no_panic => "CORE-19",
            core_20_concurrent_calls => "CORE-20",
            core_22_bounded_memory => "CORE-22",
            scope_16_mount => "SCOPE-16",
            http_14_start_first => "HTTP-14",
            http_15_start_once => "HTTP-15",
            http_16_nothing_after_end => "HTTP-16",
            http_17_final_status => "HTTP-17",
            http_18_no_hop_by_hop => "HTTP-18",
            http_19_valid_content_length => "HTTP-19",
            http_20_not_more_than_length => "HTTP-20",
            http_21_not_less_than_length => "HTTP-21",
            http_22_no_content_status => "HTTP-22",
            http_23_no_length_with_204 => "HTTP-23",
            http_30_start_before_return => "HTTP-30",
            http_31_end_before_return => "HTTP-31",
            http_48_receive_in_order => "HTTP-48",
            ws_03_accept_first => "WS-03",
            ws_04_accept_once => "WS-04",
            ws_06_offered_subprotocol => "WS-06",
            ws_07_no_handshake_headers => "WS-07",
            ws_08_answer_before_return => "WS-08",
            ws_10_nothing_after_close => "WS-10",
            ws_11_valid_close_code => "WS-11",
            ws_12_close_reason_length => "WS-12",
            life_04_startup_is_answered => "LIFE-04",
            life_09_shutdown_is_answered => "LIFE-09",
            life_12_answer_in_turn => "LIFE-12",
            life_14_stay_until_shutdown => "LIFE-14",
            ext_01_not_offered => "EXT-01",
            ext_03_trailers_announced => "EXT-03",
            ext_05_trailer_fields => "EXT-05",
            ext_06_trailers_named => "EXT-06",
            ext_07_path_send_absolute => "EXT-07",
            ext_10_path_send_alone => "EXT-10",
            ext_11_early_hints_before_start => "EXT-11",
            ext_12_denial_before_accept => "EXT-12",
            ext_13_denial_is_a_response => "EXT-13",
            ext_16_trailers_without_length => "EXT-16",
            ext_20_shutdown_ends_response => "EXT-20",
        }
    };
    (@each $($name:ident => $id:literal,)+) => {
        $(
            #[test]
            fn $name() {
                SUITE.assert($id);
            }
        )+

        /// The name of each test, and the rule that it tests.
        #[allow(dead_code)]
        const TESTED: &[(&str, &str)] = &[$((stringify!($name), $id)),+];
    };
}

#[cfg(test)]
mod tests {
    use callgate::{AppError, Receiver, Scope, Sender};

    use crate::app_rules;

    async fn nothing(_: Scope, _: Receiver, _: Sender) -> Result<(), AppError> {
        Err(AppError::Unsupported)
    }

    mod of_nothing {
        crate::app_tests!(super::nothing);

        pub(super) fn tested() -> &'static [(&'static str, &'static str)] {
            TESTED
        }
    }

    #[test]
    fn there_is_a_test_for_each_rule_of_applications_named_by_it() {
        let tested: Vec<_> = of_nothing::tested().iter().map(|(_, id)| *id).collect();
        let rules: Vec<_> = app_rules().map(|rule| rule.id).collect();
        assert_eq!(tested, rules);
        for (name, id) in of_nothing::tested() {
            let id = id.to_lowercase().replace('-', "_");
            assert!(name.starts_with(&format!("{id}_")), "{name}");
        }
    }
}
