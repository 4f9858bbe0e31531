//! The configuration of a session: its algorithm, its optimiser, where and how it computes.

use crate::config::Preset;
use crate::error::Result;
use crate::{algorithm, config};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The method and its settings.
    pub algorithm: algorithm::Config,
    /// How the policy's parameters follow their gradients.
    pub optimizer: config::Optimizer,
    /// Seed of shuffles and of new parameters; the same seed gives the same run.
    pub seed: u64,
    /// Where the session computes: "cpu" or "cuda:N". Its models must lie there.
    #[schemars(schema_with = "config::device_schema")]
    pub device: String,
    /// Intra-op threads of every job of this session; 0 = cores − 1, at least 1; of control policies 1.
    #[schemars(range(min = 0, max = 1024))]
    pub threads: u32,
    /// Tokens of one forward and backward pass; 0 = a whole minibatch. Lowering it saves memory and shortens slices at
    /// the price of one more forward pass; the numbers stay the same.
    #[schemars(range(min = 0, max = 1_073_741_824))]
    pub micro_batch_tokens: u32,
    /// Versions of the model that are kept for keel_session_roll_back, the one that is published among them: weights and what
    /// normalises, in host memory. 0 = none.
    #[schemars(range(min = 0, max = 1024))]
    pub kept_versions: u32,
    /// Most rows that the session holds, and by itself most recorded steps that wait of each actor: beyond it keel_session_push and
    /// keel_actor_act say KEEL_FULL. null: 67 108 864 rows and 4 194 304 steps.
    #[schemars(range(min = 1, max = 67_108_864))]
    pub queue_capacity: Option<u32>,
    /// Bytes of logits that may exist at once. Lowering it saves memory.
    #[schemars(range(min = 65_536, max = 1_099_511_627_776_u64))]
    pub logit_bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            algorithm: algorithm::Config::default(),
            optimizer: config::Optimizer::default(),
            seed: 0,
            device: "cpu".to_string(),
            threads: 0,
            micro_batch_tokens: 0,
            kept_versions: 0,
            queue_capacity: None,
            logit_bytes: 64 << 20,
        }
    }
}

/// What a session that trains a control policy has where the host says nothing else.
const CONTROL: &str = r#"{"optimizer": {"learning_rate": 3e-4, "epsilon": 1e-5, "max_grad_norm": 0.5}}"#;
const SAC: &str = r#"{"optimizer": {"learning_rate": 3e-4, "max_grad_norm": 0.0}}"#;

/// The same of one that trains a reward model of control.
const CONTROL_REWARD: &str = r#"{"optimizer": {"learning_rate": 1e-3, "max_grad_norm": 0.0}}"#;

/// Settings that are part of a control policy's CUDA graphs.
const RECORDED: [&str; 9] = [
    "/algorithm/clip_range",
    "/algorithm/clip_range_high",
    "/algorithm/clip_schedule",
    "/algorithm/entropy_coef",
    "/algorithm/entropy_schedule",
    "/algorithm/value_clip_range",
    "/algorithm/value_coef",
    "/optimizer/max_grad_norm",
    "/optimizer/weight_decay",
];

impl Config {
    /// A configuration read from JSON; what is left out has the defaults of the kind of session.
    pub fn parse(text: Option<&[u8]>) -> Result<Config> {
        config::parse_over(text, |value| match value["algorithm"]["type"].as_str() {
            Some("control_ppo") => Preset::of(&value["algorithm"]).map_or(CONTROL, Preset::session),
            Some("cloning") => CONTROL,
            Some("sac") => SAC,
            Some("control_reward") => CONTROL_REWARD,
            _ => "{}",
        })
    }

    /// The thread count of a session that is created now and here.
    pub fn resolved_threads(&self) -> u32 {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
        match self.threads {
            0 if self.algorithm.is_control() => 1,
            0 => cores.saturating_sub(1).max(1),
            count => count,
        }
    }

    /// JSON pointers of the settings that may change while the session lives.
    pub fn live(&self) -> Vec<String> {
        let steps = ["learning_rate", "max_grad_norm", "schedule", "schedule_unit", "weight_decay"];
        let all = steps.map(|name| format!("/optimizer/{name}")).into_iter().chain(["/kept_versions".to_string()]);
        let own = self.algorithm.live().iter().map(|name| format!("/algorithm/{name}"));
        // what a CUDA graph has recorded stays
        let recorded = |pointer: &String| !RECORDED.contains(&pointer.as_str());
        let graphs = self.algorithm.is_control() && self.device != "cpu";
        all.chain(own).filter(|pointer| !graphs || recorded(pointer)).collect()
    }

    /// The thread count that every driver of this session uses.
    pub fn threads(&self) -> usize {
        self.threads as usize
    }

    /// Whether text responses get the end token appended.
    pub fn append_eos(&self) -> bool {
        match &self.algorithm {
            algorithm::Config::Sft(config) => config.append_eos,
            algorithm::Config::Dpo(config) => config.append_eos,
            algorithm::Config::Cpo(config) => config.append_eos,
            algorithm::Config::Kto(config) => config.append_eos,
            algorithm::Config::Reward(config) => config.append_eos,
            algorithm::Config::Grpo(_)
            | algorithm::Config::Ppo(_)
            | algorithm::Config::Reinforce(_)
            | algorithm::Config::OnlineDpo(_)
            | algorithm::Config::BestOfN(_)
            | algorithm::Config::ControlPpo(_)
            | algorithm::Config::Sac(_)
            | algorithm::Config::Cloning(_)
            | algorithm::Config::ControlReward(_) => false,
        }
    }
}
