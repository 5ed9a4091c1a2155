//! The channel of a call: the driver's end of the application's receiver and sender.

mod driver_channel;
mod exchange_log;
mod exchange_state;
mod idle_policy;

pub(super) use driver_channel::DriverChannel;
pub(super) use idle_policy::NextStep;
