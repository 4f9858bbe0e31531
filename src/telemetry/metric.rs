//! The one table of metrics: name, unit, meaning; `docs/metrics.md` is written from it.

/// A number that a session reports. The name is `noun/qualifier`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    pub name: &'static str,
    pub unit: &'static str,
    pub meaning: &'static str,
}

const fn row(name: &'static str, unit: &'static str, meaning: &'static str) -> Metric {
    Metric { name, unit, meaning }
}

/// Every metric. Those of an update are means over its optimiser steps unless the meaning says otherwise.
pub const METRICS: &[Metric] = &[
    row("loss/total", "1", "what the optimiser descends: the terms below with their coefficients"),
    row("loss/policy", "1", "PPO, GRPO, REINFORCE: the surrogate, reduced over counted response tokens as configured; SAC: α log π − Q of drawn actions, mean over steps"),
    row(
        "loss/value",
        "reward²",
        "PPO: half the squared error of the values, clipped, mean over counted response tokens; SAC: half that of both critics, mean over steps and summed",
    ),
    row("loss/demonstrations", "nats/token", "PPO: negative log-likelihood of the demonstrations that are mixed in, before its weight; control PPO: nats/action"),
    row("loss/nll", "nats/token", "negative log-likelihood of counted response tokens; in DPO and CPO of the chosen responses"),
    row("loss/preference", "nats/pair", "DPO, CPO: the loss of a pair, −log σ(preference/margin) unless configured otherwise, mean over pairs; KTO: of a \
         response"),
    row("gradient/norm", "1", "L2 norm of the whole gradient before it is clipped"),
    row("gradient/critic_norm", "1", "SAC: L2 norm of the gradient of both critics before it is clipped; gradient/norm is the policy's"),
    row("gradient/policy_norm", "1", "control PPO that clips them separately: the same of all parameters but the value's own"),
    row("gradient/value_norm", "1", "control PPO that clips them separately: the same of the value's own parameters"),
    row("optimizer/learning_rate", "1", "learning rate of the last optimiser step"),
    row("tokens/trained", "tokens", "response tokens that counted in the losses of the update, summed"),
    row("preference/accuracy", "fraction", "DPO, CPO, reward models, those of control by the mean of the members: pairs whose margin is above 0; KTO: responses whose reward has the sign of their label; a tie is wrong"),
    row("preference/calibration_error", "fraction", "reward models: predicted against true preference, in ten bins of probability"),
    row("reward_model/disagreement", "fraction", "control reward models: standard deviation over the members of how probable each calls the preference, mean over pairs"),
    row("score/mean", "reward", "reward models: scores of all responses, mean over responses and scores"),
    row("score/std", "reward", "reward models: their standard deviation (n − 1)"),
    row("score/length_correlation", "1", "reward models: correlation of the first score with the tokens of the response"),
    row("feedback/reference_point", "nats", "KTO: what gains are measured against: z, the divergence, or bco's running mean; mean over steps"),
    row("feedback/gain", "nats", "KTO: log-probability of the response − that of the reference, mean over responses"),
    row("preference/margin", "nats", "DPO, CPO: reward/chosen − reward/rejected, mean over pairs; reward models: the same of the scores"),
    row(
        "reward/chosen",
        "nats",
        "DPO: β·(log-probability of the chosen response − that of the reference), or what the divergence makes of it, mean \
         over pairs; CPO: β·log-probability of the chosen response, summed or averaged as the loss takes it",
    ),
    row("reward/rejected", "nats", "DPO, CPO: the same of the rejected response; KTO: of bad responses, and reward/chosen of good ones"),
    row("log_probs/chosen", "nats/response", "DPO, CPO: log-probability of the chosen response as the loss takes it, mean over pairs"),
    row("log_probs/rejected", "nats/response", "DPO, CPO: log-probability of the rejected response as the loss takes it, mean over pairs"),
    row(
        "kl/sequence",
        "nats/response",
        "PPO, GRPO, REINFORCE: policy against reference on the rollouts, before the update: Σ over tokens of policy − reference \
         log-probability (k1), mean over responses",
    ),
    row("kl/token", "nats/token", "PPO: the same sum over all responses, divided by their counted tokens; GRPO: k3 of the policy in training, mean \
         over counted response tokens"),
    row("kl/coef", "1/nats", "PPO: weight of the KL penalty in this update"),
    row("policy/approx_kl", "nats/token", "PPO, GRPO, REINFORCE: ½·(new − old log-probability)², mean over counted response tokens; control PPO: \
         ρ − 1 − log ρ of the ratio ρ of new to old probability, mean over steps"),
    row("policy/clip_fraction", "fraction", "PPO, GRPO, REINFORCE: counted response tokens whose clipped surrogate was the one taken; control PPO: steps whose ratio \
         is outside of the clip range"),
    row("policy/ratio_mean", "1", "PPO, GRPO, REINFORCE: new over old probability, mean over counted response tokens"),
    row("policy/ratio_std", "1", "PPO, GRPO, REINFORCE: its standard deviation over those tokens (n − 1)"),
    row(
        "policy/ratio_max_log",
        "nats",
        "PPO, GRPO, REINFORCE: largest |new − old log-probability| in the first minibatch, before any step: 0 unless sampling and \
         training disagree",
    ),
    row("policy/kl", "nats/action", "control PPO with an adaptive learning rate: the divergence that it follows, exact, mean over steps"),
    row("policy/beyond_bounds", "1", "control PPO with bound_coef: squared distance of means beyond 1.1 of their bounds, in half widths, summed over dimensions, mean over steps"),
    row("policy/version", "versions", "publications of the policy's weights so far"),
    row("value/explained_variance", "1", "PPO: 1 − Var(returns − values)/Var(returns) before the update; 1 is perfect"),
    row(
        "value/clip_fraction",
        "fraction",
        "PPO: states whose clipped value loss was the one taken",
    ),
    row("value/mean", "reward", "PPO: values before the update, mean over counted response tokens; SAC: what the first critic says of replayed actions"),
    row("entropy/action", "nats/action", "control: entropy of the policy's next action, summed over its branches, mean over steps; SAC: −log π of drawn actions"),
    row("graph/replayed", "fraction", "control PPO on a CUDA device: optimiser steps that were replayed from a CUDA graph"),
    row("episode/count", "episodes", "control: episodes that ended since the update before"),
    row("episode/return", "reward", "control: undiscounted sum of the rewards of an episode, mean over those that ended"),
    row("episode/length", "steps", "control: steps of an episode, mean over those that ended"),
    row("steps/trained", "steps", "control: steps that the update learned from; SAC: steps that came into the replay since the update before"),
    row("replay/steps", "steps", "SAC: steps that the replay holds after the update"),
    row("policy/temperature", "reward/nats", "SAC: α, what a nat of entropy is worth"),
    row("entropy/token", "nats/token", "entropy of the policy's next token, mean over counted response tokens"),
    row("reward/mean", "reward", "reward of a rollout as the host or the reward model gave it, of several their weighted sum, mean over responses"),
    row("reward/std", "reward", "its standard deviation over responses (n − 1)"),
    row("reward/shaped", "reward", "PPO, GRPO, REINFORCE: reward less baselines and penalties, the KL where it is in the reward; online DPO: less the penalty; mean over responses"),
    row("advantage/mean", "reward", "PPO, REINFORCE: advantages before they are normalised, mean over counted response tokens"),
    row("advantage/std", "reward", "PPO, REINFORCE: their standard deviation (n − 1)"),
    row("returns/mean", "reward", "PPO: targets of the values, mean over counted response tokens"),
    row(
        "rollout/log_prob_drift",
        "nats/token",
        "PPO, GRPO, REINFORCE: |old − recorded log-probability|, mean over counted response tokens: 0 unless the policy or the sampler \
         differs from the one that is trained",
    ),
    row(
        "group/reward_std",
        "reward",
        "GRPO: standard deviation of the shaped rewards of a group (n − 1), mean over rows",
    ),
    row("group/equal_fraction", "fraction", "GRPO, online DPO: responses whose group has one reward, which teach nothing"),
    row("group/equal_dropped", "groups", "GRPO: groups of equal rewards that went unused, where equal_groups is drop"),
    row("group/kept_fraction", "fraction", "best of n: responses that are learned"),
    row("reward/kept", "reward", "best of n: reward of the responses that are learned, mean over them"),
    row("steps/stale_dropped", "steps", "control PPO: steps older than max_staleness that went unused"),
    row("rollout/stale_dropped", "rollouts", "rollouts older than max_staleness that went unused"),
    row(
        "importance/mean",
        "1",
        "weight of a counted response token, for how likely the policy was to sample it, mean over them",
    ),
    row(
        "importance/within_short",
        "fraction",
        "counted tokens whose weight stood within its bounds before it was bounded, in responses of at most the mean length",
    ),
    row(
        "importance/within_long",
        "fraction",
        "the same in longer responses: where it is the lower, the bounds delete long responses",
    ),
    row("rollout/length", "tokens", "tokens of a response, mean over responses"),
    row("rollout/eos_fraction", "fraction", "responses that ended by themselves: with an end token or a stop"),
    row("evaluation/feedback_reference_point", "nats", "feedback/reference_point on the rows marked for evaluation"),
    row("evaluation/feedback_gain", "nats", "feedback/gain on the rows marked for evaluation"),
    row("evaluation/loss_total", "1", "loss/total on the rows marked for evaluation"),
    row("evaluation/loss_nll", "nats/token", "loss/nll on the rows marked for evaluation"),
    row("evaluation/loss_preference", "nats/pair", "loss/preference on the rows marked for evaluation"),
    row("evaluation/entropy_token", "nats/token", "entropy/token on the rows marked for evaluation"),
    row("evaluation/preference_accuracy", "fraction", "preference/accuracy on the rows marked for evaluation"),
    row("evaluation/preference_calibration_error", "fraction", "preference/calibration_error on the rows marked for evaluation"),
    row("evaluation/reward_model_disagreement", "fraction", "reward_model/disagreement on the rows marked for evaluation"),
    row("evaluation/score_mean", "reward", "score/mean on the rows marked for evaluation"),
    row("evaluation/score_std", "reward", "score/std on the rows marked for evaluation"),
    row("evaluation/score_length_correlation", "1", "score/length_correlation on the rows marked for evaluation"),
    row("evaluation/preference_margin", "nats", "preference/margin on the rows marked for evaluation"),
    row("evaluation/reward_chosen", "nats", "reward/chosen on the rows marked for evaluation"),
    row("evaluation/reward_rejected", "nats", "reward/rejected on the rows marked for evaluation"),
    row("evaluation/log_probs_chosen", "nats/response", "log_probs/chosen on the rows marked for evaluation"),
    row("evaluation/log_probs_rejected", "nats/response", "log_probs/rejected on the rows marked for evaluation"),
    row("evaluation/tokens_trained", "tokens", "counted response tokens of the rows marked for evaluation"),
];

/// The entry of a metric, by its name.
pub fn metric(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

/// The table as Markdown, the text of `docs/metrics.md`.
pub fn document() -> String {
    let mut text = String::from(
        "# Metrics\n\nWhat `keel_session_metrics` and the `metrics` events report. Those of an update are means over its \
         optimiser steps unless the\nmeaning says otherwise; a method reports the ones that it has, and none of what was \
         not there: no reward/rejected\nwithout a bad response. `1` is a number without a unit.\n\nWritten from `src/telemetry/metric.rs` by `KEEL_BLESS=1 cargo test --lib telemetry`; edit it \
         there.\n\n| metric | unit | meaning |\n|---|---|---|\n",
    );
    for Metric { name, unit, meaning } in METRICS {
        text += &format!("| `{name}` | {unit} | {} |\n", meaning.replace('|', "\\|"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_a_noun_and_a_qualifier_and_appear_once() {
        let word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let mut seen = HashSet::new();
        for Metric { name, unit, meaning } in METRICS {
            assert!(name.split_once('/').is_some_and(|(noun, qualifier)| word(noun) && word(qualifier)), "{name}");
            assert!(seen.insert(name), "{name} appears twice");
            assert!(!unit.is_empty() && meaning.len() > 10 && !meaning.ends_with('.'), "{name}");
        }
        assert_eq!(metric("kl/sequence").map(|metric| metric.unit), Some("nats/response"));
        assert_eq!(metric("kl/sequences"), None);
    }

    #[test]
    fn the_document_is_the_table() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
        if std::env::var_os("KEEL_BLESS").is_some() {
            std::fs::write(&path, document()).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == document(), "docs/metrics.md is not the table: run with KEEL_BLESS=1");
    }
}
