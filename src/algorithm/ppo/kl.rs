//! The price of divergence from the reference: how its coefficient follows what was measured, and how it is estimated.

use crate::math;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Kl {
    /// β stays.
    Fixed(FixedKl),
    /// β follows a target (Ziegler 2019, §2.2).
    Adaptive(AdaptiveKl),
    /// β doubles above 1.5 × the target and halves below the target / 1.5 (Schulman 2017, §4).
    Doubling(DoublingKl),
}

impl Default for Kl {
    fn default() -> Self {
        Kl::Fixed(FixedKl::default())
    }
}

impl Kl {
    /// β of the first update.
    pub fn initial(&self) -> f64 {
        match self {
            Kl::Fixed(kl) => kl.coef,
            Kl::Adaptive(kl) => kl.coef,
            Kl::Doubling(kl) => kl.coef,
        }
    }

    /// β of the next update, after one of `rows` rollouts whose KL was `measured`.
    pub fn next(&self, coef: f64, measured: impl Fn(KlUnit) -> Option<f64>, rows: usize) -> f64 {
        let next = match self {
            Kl::Fixed(_) => None,
            Kl::Adaptive(kl) => {
                measured(kl.unit).map(|now| math::adaptive_kl_coef(coef, now, kl.target, kl.horizon, rows as f64))
            }
            Kl::Doubling(kl) => measured(kl.unit).map(|now| math::doubling_kl_coef(coef, now, kl.target)),
        };
        next.filter(|next| next.is_finite()).unwrap_or(coef)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FixedKl {
    /// β. Raising it holds the policy nearer to the reference. Default: TRL.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub coef: f64,
}

impl Default for FixedKl {
    fn default() -> Self {
        FixedKl { coef: 0.05 }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdaptiveKl {
    /// β of the first update. Default: Ziegler 2019.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub coef: f64,
    /// The KL that β steers to, in nats per `unit`. Default: Ziegler 2019.
    #[schemars(range(min = 0.0001, max = 100000.0))]
    pub target: f64,
    /// Rows over which β may grow or shrink by the clipped error. Default: Ziegler 2019.
    #[schemars(range(min = 1.0, max = 1.0e12))]
    pub horizon: f64,
    /// Whether the KL is counted per sequence (summed) or per token (mean).
    pub unit: KlUnit,
}

impl Default for AdaptiveKl {
    fn default() -> Self {
        AdaptiveKl { coef: 0.2, target: 6.0, horizon: 10000.0, unit: KlUnit::Sequence }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DoublingKl {
    /// β of the first update. Default: Schulman 2017, where it matters little.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub coef: f64,
    /// The KL that β steers to, in nats per `unit`. Default: Ziegler 2019.
    #[schemars(range(min = 0.0001, max = 100000.0))]
    pub target: f64,
    /// Whether the KL is counted per sequence (summed) or per token (mean).
    pub unit: KlUnit,
}

impl Default for DoublingKl {
    fn default() -> Self {
        DoublingKl { coef: 0.2, target: 6.0, unit: KlUnit::Sequence }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KlUnit {
    Sequence,
    Token,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KlEstimator {
    K1,
    K2,
    K3,
}
