//! Which settings of a method may change while it trains: weights, ranges and targets of its loss, which change no shape and
//! nothing that was stored.

use super::Config;

impl Config {
    /// JSON pointers into the method's settings, without what stands before them.
    pub fn live(&self) -> &'static [&'static str] {
        match self {
            Config::Dpo(_) => &["beta", "label_smoothing", "nll_coef", "positive_coef"],
            Config::Cpo(_) => &["beta", "label_smoothing", "nll_coef", "target_margin"],
            Config::Kto(_) => &["beta", "desirable_weight", "undesirable_weight"],
            Config::Grpo(_) => &["clip_range", "clip_range_high", "entropy_coef", "kl_coef", "max_staleness"],
            Config::Reinforce(_) => &["clip_range", "clip_range_high", "entropy_coef", "kl_coef", "max_staleness"],
            Config::OnlineDpo(_) => &["beta"],
            Config::Ppo(_) => &[
                "clip_range",
                "clip_range_high",
                "entropy_coef",
                "entropy_target",
                "kl/coef",
                "kl/target",
                "max_staleness",
                "target_kl",
                "value_clip_range",
                "value_coef",
            ],
            Config::ControlPpo(_) => &[
                "clip_range",
                "clip_range_high",
                "clip_schedule",
                "cloning/coef",
                "cloning/decay_updates",
                "entropy_coef",
                "entropy_schedule",
                "max_staleness",
                "target_kl",
                "value_clip_range",
                "value_coef",
            ],
            Config::Sac(_) => &["critic_learning_rate", "target_entropy", "target_rate", "temperature_learning_rate"],
            Config::Sft(_) | Config::Reward(_) | Config::BestOfN(_) | Config::Cloning(_) | Config::ControlReward(_) => {
                &[]
            }
        }
    }
}
