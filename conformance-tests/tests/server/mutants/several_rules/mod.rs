//! Mutants that break several rules. Their cases are those that no mutant of a single rule fails, and
//! only the rules of these cases are checked.

mod calls;
mod http1;
mod http2;
mod received;
mod sent;
mod tls;

use super::Failing;

/// The cases that the mutants of each file fail.
pub(super) const FAILING: &[&[Failing]] = &[
    calls::FAILING,
    http1::FAILING,
    http2::FAILING,
    received::FAILING,
    sent::FAILING,
    tls::FAILING,
];

/// For each function that makes a mutant, the rules and the cases of each that it fails at least.
/// Makes a test of each. A function that is not listed is unused code.
macro_rules! several_rules {
    ($($mutant:ident: {$($rule:ident: [$($case:literal),+ $(,)?],)+},)+) => {
        pub(super) const FAILING: &[crate::mutants::Failing] = &[
            $($((callgate::rule::$rule, &[$($case),+]),)+)+
        ];

        mod fails {
            $(
                #[tokio::test]
                async fn $mutant() {
                    let failing = [$((callgate::rule::$rule, &[$($case),+][..]),)+];
                    crate::mutants::assert_fails(&failing, super::$mutant()).await;
                }
            )+
        }
    };
}
use several_rules;
