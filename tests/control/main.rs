//! Control sessions from the host's side: act, observe, update.

mod actors;
mod bad_input;
mod cartpole;
mod cloning;
mod distributions;
#[path = "../support/drive.rs"]
mod drive;
mod drivers;
mod hosts;
mod learning;
mod live;
mod observations;
mod pendulum;
mod preferences;
mod presets;
mod queues;
mod recall;
mod recurrent;
mod sac;
mod scripts;
mod settings;
mod state;
mod tensors;
mod variants;
