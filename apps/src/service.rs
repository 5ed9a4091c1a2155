//! The services outside of the program that applications call.

use crate::Settings;

/// A service that an application calls. Where no setting names it, a stand-in inside the program answers.
#[derive(Debug)]
#[non_exhaustive]
pub struct Service {
    /// What the service is, such as `the billing service (Autumn)`.
    pub name: &'static str,
    /// The setting that makes the application call it, such as `--upstream-url or UPSTREAM_URL`.
    pub setting: &'static str,
    /// Returns whether these settings make the application call it.
    pub is_set: fn(&Settings) -> bool,
}

impl Service {
    /// Returns the sentences that say that a stand-in answers; `None` if these settings name the service.
    #[must_use]
    pub fn stand_in_notice(&self, settings: &Settings) -> Option<String> {
        (!(self.is_set)(settings)).then(|| self.notice())
    }

    /// Returns the sentences that say that a stand-in answers.
    pub(crate) fn notice(&self) -> String {
        let Self { name, setting, .. } = self;
        format!("A stand-in inside this program answers for {name}. {setting} names the real one.")
    }
}
