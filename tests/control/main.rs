//! Control sessions from the host's side: act, observe, update.

mod bad_input;
mod cartpole;
mod distributions;
mod hosts;
mod learning;
mod recall;
mod recurrent;
mod settings;
mod state;
