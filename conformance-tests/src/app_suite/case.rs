//! A check, and how it is made.

use std::borrow::Cow;

use callgate::rule::Rule;

use super::play::Play;
use super::stage::{Reason, Stage};
use crate::driver::Played;
use crate::{Check, Verdict};

/// One check of an application.
pub(crate) struct Case {
    pub(crate) check: Check,
    judge: Judge,
}

enum Judge {
    /// None of these exchanges breaks the rule, as far as the application does what the rule is
    /// about.
    Keeps(&'static [Play], Option<Use>),
    By(fn(&mut Stage) -> Result<Verdict, Reason>),
}

/// Something that an application may do or not.
pub(crate) struct Use {
    /// Whether it did.
    pub(crate) is_made: fn(&Played) -> bool,
    /// What to say when it did not.
    pub(crate) otherwise: &'static str,
}

/// The model sees no violation of `rule` in these exchanges.
pub(crate) const fn keeps(
    rule: &'static Rule,
    name: &'static str,
    does: &'static str,
    must: &'static str,
    plays: &'static [Play],
) -> Case {
    Case {
        check: Check::new(rule, name, does, must),
        judge: Judge::Keeps(plays, None),
    }
}

/// This decides.
pub(crate) const fn judged(
    rule: &'static Rule,
    name: &'static str,
    does: &'static str,
    must: &'static str,
    by: fn(&mut Stage) -> Result<Verdict, Reason>,
) -> Case {
    Case {
        check: Check::new(rule, name, does, must),
        judge: Judge::By(by),
    }
}

impl Case {
    /// The rule says nothing where the application does not do this.
    pub(crate) const fn if_used(mut self, used: Use) -> Self {
        if let Judge::Keeps(_, when) = &mut self.judge {
            *when = Some(used);
        }
        self
    }

    /// Makes the check.
    pub(crate) fn verdict(&self, stage: &mut Stage) -> Verdict {
        let result = match &self.judge {
            Judge::Keeps(plays, used) => keeps_rule(self.check.rule, plays, used.as_ref(), stage),
            Judge::By(judge) => judge(stage),
        };
        result.unwrap_or_else(|reason| not_applicable(reason.to_string()))
    }
}

fn keeps_rule(
    rule: &'static Rule,
    plays: &[Play],
    used: Option<&Use>,
    stage: &mut Stage,
) -> Result<Verdict, Reason> {
    let mut is_served = false;
    let mut is_used = used.is_none();
    let mut reason = None;
    for play in plays {
        let played = match stage.played(*play) {
            Ok(played) => played,
            Err(why) => {
                reason.get_or_insert(why);
                continue;
            }
        };
        for one in played.iter() {
            if let Some(failure) = one.failure(rule) {
                return Ok(failure.into());
            }
            is_served |= !one.is_declined();
            is_used |= used.is_some_and(|used| (used.is_made)(one));
        }
    }
    Ok(match (reason, used) {
        (Some(reason), _) => return Err(reason),
        // To decline well is to keep these.
        _ if !is_served && !is_about_declining(rule) => {
            not_applicable("the application declines this kind of scope")
        }
        (None, Some(used)) if !is_used => not_applicable(used.otherwise),
        _ => Verdict::Passed,
    })
}

fn is_about_declining(rule: &Rule) -> bool {
    use callgate::rule;
    [rule::DECLINE_UNSUPPORTED, rule::NO_PANIC].contains(&rule)
}

pub(crate) fn not_applicable(why: impl Into<Cow<'static, str>>) -> Verdict {
    Verdict::NotApplicable(why.into())
}
