//! The group family against its peer (tests/golden/losses/group): advantages, losses and gradients.

use keel::math::*;
use serde_json::Value;
use tch::{Kind, Tensor};

use crate::golden::{number, Golden};
use crate::{assert_close, assert_near, gradient, scalar};

const KINDS: [(Kind, f64); 2] = [(Kind::Double, 1e-9), (Kind::Float, 2e-5)];

/// Added by the peer to every deviation.
const FLOOR: f64 = 1e-4;

fn groups() -> Tensor {
    Tensor::from_slice(&[0i64, 0, 0, 0, 4, 4, 4, 4])
}

#[test]
fn advantages_under_every_scale_and_baseline() {
    for (kind, tolerance) in KINDS {
        let golden = Golden::load("group", kind);
        let rewards = golden.tensor("rewards");
        let centred = rewards - group_mean(rewards, &groups());
        let group = group_deviation(rewards, &groups()) + FLOOR;
        let batch = group_deviation(rewards, &groups().zeros_like()) + FLOOR;
        // single rewards hardly differ, and a deviation amplifies their rounding
        assert_close(&(&centred / group), golden.tensor("advantages.group"), 20.0 * tolerance, "group");
        assert_close(&(&centred / batch), golden.tensor("advantages.batch"), tolerance, "batch");
        assert_close(&centred, golden.tensor("advantages.none"), tolerance, "none");
        assert_close(&leave_one_out(rewards, &groups()), golden.tensor("advantages.rloo"), tolerance, "leave one out");
        let equal = Tensor::full([8], 0.7, (kind, tch::Device::Cpu));
        let (mean, deviation) = (group_mean(&equal, &groups()), group_deviation(&equal, &groups()));
        let expected = golden.tensor("advantages.group.all_equal");
        assert_close(&((&equal - mean) / (deviation + FLOOR)).narrow(0, 0, 4), expected, tolerance, "equal rewards");
    }
}

/// A case with the tensors it is about.
struct Case<'a> {
    golden: &'a Golden,
    parameters: &'a Value,
    old: Tensor,
    advantages: Tensor,
}

impl Case<'_> {
    fn number(&self, name: &str) -> f64 {
        number(self.parameters, name)
    }

    fn text(&self, name: &str) -> &str {
        self.parameters[name].as_str().unwrap_or_default()
    }

    fn mask(&self) -> &Tensor {
        self.golden.tensor("mask")
    }

    fn compared(&self, log_probs: &Tensor) -> Tensor {
        match self.text("importance_sampling_level") {
            "sequence" => &self.old + row_mean(&(log_probs - &self.old), self.mask()).unsqueeze(1),
            _ => log_probs.shallow_clone(),
        }
    }

    fn surrogate(&self, log_probs: &Tensor) -> Tensor {
        let (mask, old, advantages) = (self.mask(), &self.old, &self.advantages);
        let low = self.number("epsilon");
        let high = self.parameters["epsilon_high"].as_f64().unwrap_or(low);
        let pair = |first: &str, second: &str| (self.number(first), self.number(second));
        match self.text("loss_type") {
            "cispo" => weighted_policy_loss(log_probs, old, advantages, mask, high),
            "sapo" => {
                let temperatures = pair("sapo_temperature_pos", "sapo_temperature_neg");
                gated_policy_loss(log_probs, old, advantages, mask, temperatures)
            }
            "vespo" => {
                let (positive, negative) =
                    (pair("vespo_k_pos", "vespo_lambda_pos"), pair("vespo_k_neg", "vespo_lambda_neg"));
                variational_policy_loss(log_probs, old, advantages, mask, positive, negative)
            }
            _ => {
                let compared = match self.parameters["delta"].as_f64() {
                    Some(cap) => capped(&self.compared(log_probs), old, mask, cap),
                    None => self.compared(log_probs),
                };
                policy_loss(&compared, old, advantages, mask, low, high, None)
            }
        }
    }

    /// The policy term less the tokens that this case leaves out.
    fn selected(&self, log_probs: &Tensor) -> Tensor {
        let entropies = self.golden.tensor("entropies");
        let certain = uncertain_tokens(entropies, self.mask(), self.number("top_entropy_quantile"));
        let near = match self.parameters["off_policy_mask_threshold"].as_f64() {
            Some(threshold) => tolerable_tokens(log_probs, &self.old, &self.advantages, self.mask(), threshold),
            None => self.mask().shallow_clone(),
        };
        self.surrogate(log_probs) * certain.logical_and(&near)
    }

    fn reduced(&self, losses: &Tensor) -> Tensor {
        match self.text("loss_type") {
            "grpo" | "sapo" => sequence_mean_token_mean(losses, self.mask()),
            "bnpo" | "dapo" | "cispo" | "vespo" => token_mean(losses, self.mask()),
            "dr_grpo" => sum_over_constant(losses, self.mask(), 16),
            "luspo" => sequence_mean_token_sum(losses, self.mask()),
            other => panic!("no reduction for {other}"),
        }
    }
}

/// The loss of a case, with what keel calls its parts.
fn loss(golden: &Golden, case: &Value, log_probs: &Tensor) -> Tensor {
    let parameters = &case["params"];
    let on_policy = parameters["on_policy"].as_bool().unwrap();
    let old = if on_policy { log_probs.detach() } else { golden.tensor("old_logps").shallow_clone() };
    let advantages = golden.tensor("advantages").unsqueeze(1).expand_as(log_probs);
    let case = Case { golden, parameters, old, advantages };
    let kl = kl_k3(&(log_probs - golden.tensor("ref_logps")));
    let corrected = parameters["use_bias_correction_kl"].as_bool().unwrap();
    let weight = if corrected { ratio(&case.compared(log_probs), &case.old, case.mask()) } else { kl.ones_like() };
    let losses = case.selected(log_probs) + kl * weight * case.number("beta");
    let entropy = masked_mean(golden.tensor("entropies"), case.mask()) * case.number("entropy_coef");
    case.reduced(&losses) - entropy
}

#[test]
fn losses_and_gradients_of_the_family() {
    for (kind, tolerance) in KINDS {
        let golden = Golden::load("group", kind);
        let mut compared = 0;
        for case in golden.cases().iter().filter(|case| case["id"] != "rloo") {
            let id = case["id"].as_str().unwrap();
            let log_probs = golden.tensor("logps");
            let of = |x: &Tensor| loss(&golden, case, x);
            // the peer holds the temperatures of its gate in single precision
            let tolerance = if id == "05" { tolerance.max(1e-7) } else { tolerance };
            assert_near(scalar(&of(log_probs)), number(case, "loss"), tolerance, &format!("loss of case {id}"));
            let expected = golden.tensor(&format!("{id}.grad"));
            assert_close(&gradient(log_probs, of), expected, tolerance, &format!("gradient of case {id}"));
            compared += 1;
        }
        assert_eq!(compared, 20);
    }
}

#[test]
fn whole_responses_against_each_other() {
    for (kind, tolerance) in KINDS {
        let golden = Golden::load("group", kind);
        let case = golden.cases().iter().find(|case| case["id"] == "rloo").unwrap();
        let (old, mask) = (golden.tensor("old_logps"), golden.tensor("mask"));
        let advantages = golden.tensor("advantages.rloo").unsqueeze(1).expand_as(old);
        let of = |x: &Tensor| {
            let compared = old + row_sum(&(x - old), mask).unsqueeze(1);
            sequence_mean_token_mean(&policy_loss(&compared, old, &advantages, mask, 0.2, 0.2, None), mask)
        };
        let log_probs = golden.tensor("logps");
        assert_near(scalar(&of(log_probs)), number(case, "loss"), tolerance, "loss");
        assert_close(&gradient(log_probs, of), golden.tensor("rloo.grad"), tolerance, "gradient");
    }
}
