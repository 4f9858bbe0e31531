//! From scores to the rewards of tokens: how a score is measured, clipped, docked, and where it is put.

use super::config::{Config, RewardNormalization, RewardPosition};
use crate::algorithm::Columns;
use crate::error::{Error, Result};
use crate::math::{self, Moments};
use serde_json::{json, Value};
use tch::Tensor;

/// Added to a deviation before it divides.
const DEVIATION_FLOOR: f64 = 1e-8;

/// What scores are measured with: the moments of those that were seen.
#[derive(Clone, Copy, Default)]
pub(super) struct Shaping {
    seen: Moments,
    /// Those with the update that runs; they count once it is finished.
    pending: Option<Moments>,
}

impl Shaping {
    /// Each response's reward, [B]: normalised, clipped, less the penalty of an unfinished one.
    pub fn scores(&mut self, config: &Config, columns: &Columns, rewards: &Tensor) -> Result<Tensor> {
        let measured = match config.reward_normalization {
            RewardNormalization::None => rewards.shallow_clone(),
            RewardNormalization::FirstUpdate => {
                let moments = if self.seen.deviation() > 0.0 { self.seen } else { Moments::default().with(rewards) };
                self.pending = Some(moments);
                (rewards - moments.mean) / unit(moments)
            }
            RewardNormalization::Running => {
                let moments = self.seen.with(rewards);
                self.pending = Some(moments);
                rewards / unit(moments)
            }
        };
        let clipped = match config.reward_clip {
            clip if clip > 0.0 => measured.clamp(-clip, clip),
            _ => measured,
        };
        Ok(clipped - (1.0 - columns.get("finished")?) * config.missing_eos_penalty)
    }

    /// The update is finished: what it saw counts, unless it was no number.
    pub fn commit(&mut self) {
        let pending = self.pending.take().filter(|moments| moments.mean.is_finite() && moments.squares.is_finite());
        self.seen = pending.unwrap_or(self.seen);
    }

    pub fn state(&self) -> Value {
        json!({ "count": self.seen.count, "mean": self.seen.mean, "squares": self.seen.squares })
    }

    pub fn set_state(&mut self, state: &Value) -> Result<()> {
        let number = |name: &str| state[name].as_f64().filter(|number| number.is_finite());
        let found = (number("count"), number("mean"), number("squares"));
        let (Some(count), Some(mean), Some(squares)) = found else {
            return Err(Error::data("checkpoint: the state of ppo lacks the moments of its rewards"));
        };
        (self.seen, self.pending) = (Moments { count, mean, squares }, None);
        Ok(())
    }
}

/// What scores are divided by: rewards without a deviation stay as they are.
fn unit(moments: Moments) -> f64 {
    match moments.deviation() {
        deviation if deviation > 0.0 => deviation + DEVIATION_FLOOR,
        _ => 1.0,
    }
}

/// The states that have a value: those before counted tokens, and where the reward lies behind the last one, that; [B, T].
pub(super) fn value_mask(config: &Config, columns: &Columns) -> Result<Tensor> {
    let mask = columns.get("mask")?; // [B, T]
    if config.reward_position == RewardPosition::LastToken {
        return Ok(mask.shallow_clone());
    }
    let mut ended = columns.get("finished")?.gt(0.0).unsqueeze(1); // [B, 1]
    if config.max_length > 0 {
        let slots = Tensor::arange(mask.size()[1], (tch::Kind::Int64, mask.device())); // [T]
        ended = ended.logical_and(&slots.lt(i64::from(config.max_length)));
    }
    Ok(mask.logical_or(&columns.get("ends")?.logical_and(&ended)))
}

/// Per-token rewards [B, T]: the divergence's price where it is the rewards', the host's rewards of tokens, the scores.
pub(super) fn shaped(kl: &Tensor, scores: &Tensor, coef: f64, columns: &Columns, mask: &Tensor) -> Result<Tensor> {
    Ok(math::shaped_rewards(kl, scores, coef, mask) + columns.get("token_reward")?)
}
