//! The public test suite of the layer: a test for each rule of the [chapter](crate::documents::channels).
//!
//! The author of a backend implements [`Harness`], and calls [`suite_tests!`](crate::suite_tests) in a test:
//!
//! ```
//! use callgate_channels::suite::MemoryHarness;
//!
//! callgate_channels::suite_tests!(MemoryHarness::new());
//! # fn main() {}
//! ```
//!
//! A backend for several processes calls [`suite_process_tests!`](crate::suite_process_tests) as well. [`checker`]
//! proves for any run, for example under faults, that a subscription has yielded each message once, in order, or has
//! said that it is missing.

pub mod checker;
mod continuing;
mod gaps;
mod messages;
pub mod model;
mod operation;
mod presence;
mod processes;
mod steps;

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::backend::BoxFuture;
use crate::{ChannelLayer, MemoryBackend, Settings};

/// The tests, each a function of a harness.
pub mod cases {
    pub use super::continuing::*;
    pub use super::gaps::*;
    pub use super::messages::*;
    pub use super::operation::*;
    pub use super::presence::*;
    pub use super::processes::*;
}

/// Creates layers over a backend. Each harness has a store of its own, or a part of a store that no other
/// harness uses.
pub trait Harness: fmt::Debug + Send + Sync + 'static {
    /// Creates the layer of one more process. All calls on one harness have equal settings.
    fn process(&self, settings: Settings) -> BoxFuture<'_, ChannelLayer>;

    /// Ends the process of a layer, as a loss of power does: nothing is sent any more.
    ///
    /// # Panics
    ///
    /// By default, because a backend within one process has no other processes.
    fn kill(&self, layer: ChannelLayer) -> BoxFuture<'_, ()> {
        drop(layer);
        unimplemented_kill()
    }
}

fn unimplemented_kill() -> ! {
    panic!("the harness cannot end a process")
}

/// A harness for the memory backend. Its processes are layers over the same backend.
#[derive(Debug, Default)]
pub struct MemoryHarness {
    backend: OnceLock<Arc<MemoryBackend>>,
}

impl MemoryHarness {
    /// Creates a harness without groups.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Harness for MemoryHarness {
    fn process(&self, settings: Settings) -> BoxFuture<'_, ChannelLayer> {
        let backend = self
            .backend
            .get_or_init(|| Arc::new(MemoryBackend::new(settings)));
        let layer = ChannelLayer::with_backend(Arc::clone(backend) as _);
        Box::pin(std::future::ready(layer))
    }
}

/// Defines a test for each rule that every backend keeps. The argument is an expression that creates a
/// [`Harness`](crate::suite::Harness).
#[macro_export]
macro_rules! suite_tests {
    ($harness:expr) => {
        $crate::suite_cases! { suite_define $harness }
    };
}

/// Defines a test for each rule about several processes. The argument is an expression that creates a
/// [`Harness`](crate::suite::Harness) that can [kill](crate::suite::Harness::kill).
#[macro_export]
macro_rules! suite_process_tests {
    ($harness:expr) => {
        $crate::suite_process_cases! { suite_define $harness }
    };
}

/// Runs all tests of the suite one after the other, within one test: for a store that takes long to start. The
/// argument is an expression that creates a [`Harness`](crate::suite::Harness) that can
/// [kill](crate::suite::Harness::kill).
#[macro_export]
macro_rules! suite_run {
    ($harness:expr) => {
        $crate::suite_cases! { suite_await $harness }
        $crate::suite_process_cases! { suite_await $harness }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! suite_cases {
    ($with:ident $harness:expr) => {
        $crate::$with! { $harness;
            ch_01_numbers_increase,
            ch_02_a_published_message_is_in_the_store,
            ch_03_a_subscription_yields_each_event_once_in_order,
            ch_04_all_subscriptions_yield_the_same_events,
            ch_05_text_stays_text_and_bytes_stay_bytes,
            ch_06_groups_are_separate_whatever_their_names,
            ch_07_a_number_is_a_time,
            ch_08_an_overrun_is_a_gap_in_its_place,
            ch_09_close_ends_a_slow_subscription_after_the_gap,
            ch_10_wait_lets_publishers_wait_or_is_refused,
            ch_11_a_slow_subscriber_delays_nobody,
            ch_12_a_subscription_continues_without_hole_or_repetition,
            ch_13_what_is_not_kept_is_a_gap,
            ch_14_a_number_that_is_ahead_is_an_error,
            ch_15_the_history_is_bounded_by_events_and_by_bytes,
            ch_16_an_old_history_is_forgotten_and_a_gap,
            ch_17_a_subscription_knows_where_to_continue,
            ch_18_members_are_counted_and_listed,
            ch_19_joins_and_leaves_are_events_of_the_group,
            ch_20_dropping_a_membership_leaves,
            ch_22_ids_of_members_differ,
            ch_23_a_direct_message_reaches_one_member,
            ch_24_a_message_to_nobody_is_an_error,
            ch_25_a_long_name_is_an_error,
            ch_26_a_large_message_is_an_error,
            ch_27_a_closed_layer_ends_its_subscriptions,
            ch_28_the_metrics_count,
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! suite_process_cases {
    ($with:ident $harness:expr) => {
        $crate::$with! { $harness;
            ch_21_a_dead_process_is_forgotten,
            ch_27_a_closed_layer_leaves_others_alone,
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! suite_define {
    ($harness:expr; $($case:ident,)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                $crate::suite::cases::$case(&$harness).await;
            }
        )*
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! suite_await {
    ($harness:expr; $($case:ident,)*) => {
        $(
            println!("{}", stringify!($case));
            $crate::suite::cases::$case(&$harness).await;
        )*
    };
}
