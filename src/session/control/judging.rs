//! What learning a reward model keeps between the updates of a control session.

use super::arena::{Arena, Arithmetic};
use super::course::{Course, Saved};
use super::pairs::{Pair, Pairs, PairsState};
use super::recording::Recording;
use crate::algorithm::{Columns, ControlReward, Loss};
use crate::error::{Error, Result, Status};
use crate::kernel::Key;
use crate::model::control::{Normalizer, RewardModel, RewardNetwork, Statistics};
use crate::model::Layout;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

pub(super) struct Judging {
    pub model: Arc<RewardModel>,
    pub arena: Arena,
    network: RewardNetwork,
    /// Of observations, as of the last finished update.
    pub statistics: Statistics,
    pairs: Arc<Mutex<Pairs>>,
}

/// What a checkpoint says beside the tensors.
#[derive(Serialize, Deserialize)]
struct State {
    steps: u64,
    statistics: Statistics,
    pairs: PairsState,
}

impl Judging {
    pub fn new(model: &Arc<RewardModel>, pairs: &Arc<Mutex<Pairs>>) -> Result<Judging> {
        let published = model.published();
        let arena = Arena::new(model.layout(), &published.weights, Arithmetic::Libtorch)?;
        let network = bind(model, &arena)?;
        let statistics = published.statistics.clone();
        Ok(Judging { model: model.clone(), network, arena, statistics, pairs: pairs.clone() })
    }

    /// The loss of pairs under the weights in training, with its graph, and how many steps there are in them.
    pub fn loss(
        &self,
        pairs: &[Arc<Pair>],
        statistics: &Statistics,
        algorithm: &ControlReward,
        seed: Option<u64>,
    ) -> Result<(Loss, usize)> {
        let (returns, steps) = returns(&self.model, &self.network, statistics, pairs)?;
        Ok((algorithm.loss(&returns, &self.columns(pairs, seed)?)?, steps))
    }

    /// What is known of the pairs; `seed` draws the bootstraps, without one every member sees each pair once.
    fn columns(&self, pairs: &[Arc<Pair>], seed: Option<u64>) -> Result<Columns> {
        columns(pairs, self.model.spec().members(), seed)
    }
}

impl Course for Judging {
    fn publish(&mut self) -> Result<u64> {
        Ok(self.model.publish(self.arena.weights()?, self.statistics.clone()))
    }

    fn save(&mut self) -> Result<Saved> {
        let mut saved = Saved::default();
        let steps = saved.put("reward", self.arena.moments()?);
        let pairs = self.pairs.lock().save(&mut saved);
        saved.tell(&State { steps, statistics: self.statistics.clone(), pairs })?;
        Ok(saved)
    }

    fn check(&self, saved: &Saved) -> Result<()> {
        let state: State = saved.told()?;
        Pairs::restore(&state.pairs, saved, self.model.spec())?;
        let sound = state.statistics.sound(self.model.spec().inputs());
        saved.sound(sound && self.arena.fits(&saved.moments("reward", state.steps)?))
    }

    fn load(&mut self, saved: &Saved) -> Result<()> {
        let state: State = saved.told()?;
        *self.pairs.lock() = Pairs::restore(&state.pairs, saved, self.model.spec())?;
        self.arena.set_moments(&saved.moments("reward", state.steps)?)?;
        self.statistics = state.statistics;
        Ok(())
    }

    fn keep(&mut self) -> Result<Saved> {
        let mut saved = Saved::default();
        saved.put("reward", self.arena.moments()?);
        saved.tell(&self.statistics)?;
        Ok(saved.without_moments())
    }

    fn go_back(&mut self, kept: &Saved) -> Result<()> {
        self.statistics = kept.told()?;
        self.arena.set_moments(&kept.moments("reward", 0)?)
    }

    fn accepts(&self, _recording: &Recording) -> bool {
        false
    }
}

fn bind(model: &RewardModel, arena: &Arena) -> Result<RewardNetwork> {
    let layout: &Layout = model.layout();
    RewardNetwork::bind_trainable(model.spec(), layout, &arena.parameters, &arena.gradients)
}

/// Σₜ r̂ of each segment by each member, [2B, K], the chosen ones first; and how many steps there are.
pub(super) fn returns(
    model: &RewardModel,
    network: &RewardNetwork,
    statistics: &Statistics,
    pairs: &[Arc<Pair>],
) -> Result<(Tensor, usize)> {
    let spec = model.spec();
    let normalizer = match spec.config.normalize_observations {
        true => Normalizer::new(statistics, spec.config.observation_clip),
        false => Normalizer::default(),
    };
    let (mut features, mut places) = (Vec::new(), Vec::new());
    for which in 0..2 {
        for (place, pair) in (which * pairs.len()..).zip(pairs) {
            let segment = &pair.segments[which];
            features.extend(spec.encode(&normalizer, &segment.observations, &segment.actions));
            places.resize(places.len() + segment.actions.len() / spec.actions(), place as i64);
        }
    }
    let features = Tensor::f_from_slice(&features)?.f_view([-1, spec.features as i64])?;
    let told = network.forward(&features)?; // [N, K]
    let zeros = Tensor::f_zeros([2 * pairs.len() as i64, spec.members() as i64], (Kind::Float, Device::Cpu))?;
    Ok((zeros.f_index_add(0, &Tensor::f_from_slice(&places)?, &told)?, places.len()))
}

/// `probability` [B], `weight` [B] and `counts` [B, K], by Poisson(1) under `seed`, 1 without one.
pub(super) fn columns(pairs: &[Arc<Pair>], members: usize, seed: Option<u64>) -> Result<Columns> {
    let column = |of: fn(&Pair) -> f32| {
        Ok::<Tensor, Error>(Tensor::f_from_slice(&pairs.iter().map(|pair| of(pair)).collect::<Vec<f32>>())?)
    };
    let count = |pair: &Pair, member: usize| match seed {
        Some(seed) if members > 1 => times(Key { seed, stream: pair.id, counter: 0 }.uniform(member)),
        _ => 1.0,
    };
    let counts: Vec<f32> = pairs.iter().flat_map(|pair| (0..members).map(move |member| count(pair, member))).collect();
    let mut columns = Columns::new(pairs.len() as i64);
    columns.insert("probability", column(|pair| pair.probability)?);
    columns.insert("weight", column(|pair| pair.weight)?);
    columns.insert("counts", Tensor::f_from_slice(&counts)?.f_view([-1, members as i64])?);
    Ok(columns)
}

/// The quantile of Poisson(1) at a uniform number in [0, 1).
fn times(uniform: f32) -> f32 {
    let (mut count, mut chance) = (0.0, (-1f64).exp());
    let mut below = chance;
    while f64::from(uniform) >= below && count < 16.0 {
        count += 1.0;
        chance /= count;
        below += chance;
    }
    count as f32
}

/// Refuses a loss that is no number.
pub(super) fn check_finite(total: f64, steps: u64) -> Result<()> {
    match total.is_finite() {
        true => Ok(()),
        false => {
            let message = format!(
                "optimiser step {steps}: the loss is {total}; the step was not applied (clear drops the pairs)"
            );
            Err(Error::new(Status::NonFinite, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::pairs::Segment;
    use super::*;
    use crate::algorithm::control_reward::Config;
    use crate::model::control::RewardSpec;
    use serde_json::{json, Value};

    fn numbers(value: &Value) -> Vec<f32> {
        value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect()
    }

    fn pairs(case: &Value) -> Vec<Arc<Pair>> {
        let (probability, weight) = (numbers(&case["probability"]), numbers(&case["weight"]));
        let pair = |(place, pair): (usize, &Value)| {
            let segments = [0, 1].map(|which| {
                let part = |name: &str| numbers(&pair[which][name]);
                Segment { observations: part("observations"), actions: part("actions") }
            });
            let (probability, weight) = (probability[place], weight[place]);
            Arc::new(Pair { id: place as u64, segments, probability, weight, evaluation: false, passes: 0 })
        };
        case["pairs"].as_array().unwrap().iter().enumerate().map(pair).collect()
    }

    /// The case's network with its weights.
    fn judging(case: &Value) -> Judging {
        let spec = RewardSpec::parse(&json!({
            "model_type": "control_reward",
            "observations": [{"type": "vector", "name": "o", "size": 3}],
            "actions": [
                {"type": "discrete", "name": "d", "choices": 3},
                {"type": "continuous", "name": "c", "size": 1, "low": -1.0, "high": 2.0},
            ],
            "hidden": [5], "ensemble": case["members"],
        }))
        .unwrap();
        let layout = Layout::new(&spec.parameters());
        let mut weights = vec![0.0; layout.len as usize];
        for slot in &layout.slots {
            let given = numbers(&case["parameters"][&slot.name]);
            weights[slot.offset as usize..][..given.len()].copy_from_slice(&given);
        }
        let statistics = Statistics::new(3);
        let model = Arc::new(RewardModel::assemble(spec, weights, statistics).unwrap());
        Judging::new(&model, &Arc::default()).unwrap()
    }

    #[test]
    fn loss_and_gradients_are_those_of_an_independent_implementation() {
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/control/reward.json"));
        let cases: Vec<Value> = serde_json::from_str(&text.unwrap()).unwrap();
        for case in &cases {
            let (mut judging, pairs) = (judging(case), pairs(case));
            let algorithm =
                ControlReward::new(Config { label_noise: case["label_noise"].as_f64().unwrap(), ..Config::default() });
            let (returns, steps) = returns(&judging.model, &judging.network, &judging.statistics, &pairs).unwrap();
            assert_eq!(steps, 23);
            let mut columns = columns(&pairs, judging.model.spec().members(), None).unwrap();
            columns.insert("counts", Tensor::from_slice(&numbers(&case["counts"])).view([4, -1]));
            let loss = algorithm.loss(&returns, &columns).unwrap();
            let expected = case["loss"].as_f64().unwrap();
            assert!((loss.total.double_value(&[]) - expected).abs() < 1e-5 * expected, "{} {expected}", loss.total);
            loss.total.backward();
            let (_, gradients) = judging.arena.slices().unwrap();
            for slot in &judging.model.layout().slots {
                let expected = numbers(&case["slopes"][&slot.name]);
                let found = &gradients[slot.offset as usize..][..expected.len()];
                for (found, expected) in found.iter().zip(expected) {
                    assert!(
                        (found - expected).abs() < 1e-5 * (1.0 + expected.abs()),
                        "{}: {found} {expected}",
                        slot.name
                    );
                }
            }
        }
    }

    #[test]
    fn the_order_of_pairs_changes_nothing_and_one_step_is_the_logistic_of_the_difference() {
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/control/reward.json"));
        let cases: Vec<Value> = serde_json::from_str(&text.unwrap()).unwrap();
        let (judging, pairs) = (judging(&cases[1]), pairs(&cases[1]));
        let algorithm = ControlReward::new(Config::default());
        let loss = |pairs: &[Arc<Pair>]| {
            let (loss, _) = judging.loss(pairs, &judging.statistics, &algorithm, Some(7)).unwrap();
            loss.total.double_value(&[])
        };
        let reversed: Vec<_> = pairs.iter().rev().cloned().collect();
        assert!((loss(&pairs) - loss(&reversed)).abs() < 1e-6, "a bootstrap belongs to its pair");

        let [first, second] = [&pairs[0].segments[0], &pairs[2].segments[1]];
        let step = |segment: &Segment| Segment {
            observations: segment.observations[..3].to_vec(),
            actions: segment.actions[..2].to_vec(),
        };
        let pair = Pair { segments: [step(first), step(second)], probability: 1.0, ..(*pairs[0]).clone() };
        let told =
            |segment: &Segment| f64::from(judging.model.rewards(&segment.observations, &segment.actions).unwrap()[0]);
        let [chosen, rejected] = pair.segments.each_ref().map(told);
        let sure = ControlReward::new(Config { label_noise: 0.0, bootstrap: false, ..Config::default() });
        let (loss, _) = judging.loss(&[Arc::new(pair)], &judging.statistics, &sure, None).unwrap();
        let margin = loss.metrics.iter().find(|(name, _)| *name == "preference/margin").unwrap().1.double_value(&[]);
        assert!((margin - (chosen - rejected)).abs() < 1e-6, "the mean of the members is what a policy is rewarded by");
    }

    #[test]
    fn a_bootstrap_counts_pairs_by_poisson() {
        assert_eq!([0.0, 0.36, 0.37, 0.73, 0.74, 0.93].map(times), [0.0, 0.0, 1.0, 1.0, 2.0, 3.0]);
        let counts = (0..4000).map(|id| times(Key { seed: 5, stream: id, counter: 0 }.uniform(2)));
        let mean = counts.sum::<f32>() / 4000.0;
        assert!((mean - 1.0).abs() < 0.05, "{mean}");
    }
}
