//! What a Hugging Face `config.json` says about a causal language model, read once and strictly.
//!
//! Owns the parsed numbers of the Llama and GPT-2 families, in the spellings of transformers 4 and 5, and the list of
//! parameters that follows from them. Refuses what it would compute wrongly (other families, other RoPE kinds, cross
//! attention), naming the key. Between the file (`weights`) and the arithmetic (`transformer`).

use crate::error::{Error, Result, Status};
use crate::model::arena::{Parameter, Part};
use crate::model::language::{gpt2, llama};
use serde_json::{Map, Value};

/// The families whose arithmetic is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Llama,
    Gpt2,
}

/// What the final hidden states become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// Logits over the vocabulary: a causal language model.
    Language,
    /// So many scores of a whole text, read at its last token: a reward model.
    Scores(i64),
}

/// The nonlinearity of the feed-forward block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    Silu,
    Gelu,
    GeluTanh,
    Relu,
}

/// How rotary frequencies are stretched beyond the trained context.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RopeScaling {
    None,
    Linear { factor: f64 },
    Llama3 { factor: f64, low_frequency: f64, high_frequency: f64, original_positions: f64 },
}

/// Rotary position embedding: its base and its scaling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rope {
    pub theta: f64,
    pub scaling: RopeScaling,
}

/// The parsed configuration of a causal language model, or of a reward model on the trunk of one.
#[derive(Clone, Debug, PartialEq)]
pub struct Architecture {
    pub family: Family,
    pub vocabulary: i64,
    pub hidden: i64,
    pub layers: i64,
    pub heads: i64,
    pub key_value_heads: i64,
    pub head_dim: i64,
    pub intermediate: i64,
    /// The longest sequence, prompt and response together.
    pub positions: i64,
    pub norm_epsilon: f64,
    pub activation: Activation,
    pub head: Head,
    /// The head of a language model is its embedding.
    pub tied: bool,
    pub attention_bias: bool,
    pub mlp_bias: bool,
    pub rope: Rope,
    pub scale_attention: bool,
    pub scale_by_layer: bool,
    pub initializer_range: f64,
}

/// The name of the parameter that reads scores.
pub const SCORE: &str = "score.weight";

impl Architecture {
    /// Reads a parsed `config.json`; `Config` names the key at fault, `Unsupported` what keel cannot compute.
    pub fn parse(config: &Value) -> Result<Architecture> {
        let map = config.as_object().ok_or_else(|| Error::config("expected a JSON object with a \"model_type\""))?;
        let reader = Reader { map };
        let mut architecture = match reader.text("model_type", None)? {
            "llama" => parse_llama(&reader)?,
            "gpt2" => parse_gpt2(&reader)?,
            other => return Err(unsupported("model_type", other, "\"llama\" or \"gpt2\"")),
        };
        architecture.head = reader.head()?;
        architecture.check()?;
        Ok(architecture)
    }

    /// Every parameter in the order of the forward pass, under the name that transformers gives it.
    pub fn parameters(&self) -> Vec<Parameter> {
        let mut list = match self.family {
            Family::Llama => llama::parameters(self),
            Family::Gpt2 => gpt2::parameters(self),
        };
        let part = Part::Linear { fan_in: self.hidden };
        match self.head {
            Head::Scores(count) => list.push(Parameter::new(SCORE, &[count, self.hidden], part)),
            Head::Language if self.tied => {}
            Head::Language => list.push(Parameter::new("lm_head.weight", &[self.vocabulary, self.hidden], part)),
        }
        list
    }

    /// How many scores it gives a text; 0 = none, it is a language model.
    pub fn scores(&self) -> usize {
        match self.head {
            Head::Scores(count) => count as usize,
            Head::Language => 0,
        }
    }

    /// What the scores of attention in `layer` are multiplied with.
    pub fn attention_scale(&self, layer: usize) -> f64 {
        let scale = if self.scale_attention { (self.head_dim as f64).powf(-0.5) } else { 1.0 };
        if self.scale_by_layer {
            scale / (layer as f64 + 1.0)
        } else {
            scale
        }
    }

    /// The prefix that a checkpoint of the bare trunk leaves out.
    pub fn prefix(&self) -> &'static str {
        match self.family {
            Family::Llama => "model.",
            Family::Gpt2 => "transformer.",
        }
    }

    /// The name of the token embedding, which is the head too when `tied`.
    pub fn embedding_name(&self) -> &'static str {
        match self.family {
            Family::Llama => "model.embed_tokens.weight",
            Family::Gpt2 => "transformer.wte.weight",
        }
    }

    fn check(&self) -> Result<()> {
        let refuse = |sentence: String| Err(Error::config(sentence));
        if self.heads % self.key_value_heads != 0 {
            return refuse(format!(
                "num_key_value_heads: expected a divisor of num_attention_heads ({}), got {}",
                self.heads, self.key_value_heads
            ));
        }
        if self.family == Family::Llama && self.head_dim % 2 != 0 {
            return refuse(format!("head_dim: expected an even number, got {}", self.head_dim));
        }
        let elements = self.parameters().iter().try_fold(0i64, |sum, parameter| {
            let count = parameter.shape.iter().try_fold(1i64, |product, size| product.checked_mul(*size))?;
            sum.checked_add(count)
        });
        match elements {
            Some(elements) if elements < 1 << 44 => Ok(()),
            _ => refuse("the sizes describe a model of more than 2^44 parameters".into()),
        }
    }
}

fn parse_llama(reader: &Reader) -> Result<Architecture> {
    let hidden = reader.size(&["hidden_size"], None)?;
    let heads = reader.size(&["num_attention_heads"], None)?;
    let head_dim = match reader.get("head_dim") {
        Some(_) => reader.size(&["head_dim"], None)?,
        None if hidden % heads == 0 => hidden / heads,
        None => {
            let sentence = format!("hidden_size: expected a multiple of num_attention_heads ({heads}), got {hidden}");
            return Err(Error::config(sentence));
        }
    };
    let positions = reader.size(&["max_position_embeddings"], Some(2048))?;
    Ok(Architecture {
        family: Family::Llama,
        vocabulary: reader.size(&["vocab_size"], None)?,
        hidden,
        layers: reader.layers(&["num_hidden_layers"])?,
        heads,
        key_value_heads: reader.size(&["num_key_value_heads"], Some(heads))?,
        head_dim,
        intermediate: reader.size(&["intermediate_size"], None)?,
        positions,
        norm_epsilon: reader.positive("rms_norm_eps", Some(1e-6))?,
        activation: activation("hidden_act", reader.text("hidden_act", Some("silu"))?)?,
        head: Head::Language,
        tied: reader.flag("tie_word_embeddings", false)?,
        attention_bias: reader.flag("attention_bias", false)?,
        mlp_bias: reader.flag("mlp_bias", false)?,
        rope: parse_rope(reader, positions)?,
        scale_attention: true,
        scale_by_layer: false,
        initializer_range: reader.positive("initializer_range", Some(0.02))?,
    })
}

fn parse_gpt2(reader: &Reader) -> Result<Architecture> {
    let hidden = reader.size(&["n_embd", "hidden_size"], None)?;
    let heads = reader.size(&["n_head", "num_attention_heads"], None)?;
    if hidden % heads != 0 {
        return Err(Error::config(format!("n_embd: expected a multiple of n_head ({heads}), got {hidden}")));
    }
    if reader.flag("add_cross_attention", false)? {
        return Err(unsupported("add_cross_attention", "true", "false"));
    }
    let default_intermediate = hidden.checked_mul(4).ok_or_else(|| Error::config("n_embd: too large"))?;
    Ok(Architecture {
        family: Family::Gpt2,
        vocabulary: reader.size(&["vocab_size"], None)?,
        hidden,
        layers: reader.layers(&["n_layer", "num_hidden_layers"])?,
        heads,
        key_value_heads: heads,
        head_dim: hidden / heads,
        intermediate: reader.size(&["n_inner"], Some(default_intermediate))?,
        positions: reader.size(&["n_positions", "max_position_embeddings"], Some(1024))?,
        norm_epsilon: reader.positive("layer_norm_epsilon", Some(1e-5))?,
        activation: activation("activation_function", reader.text("activation_function", Some("gelu_new"))?)?,
        head: Head::Language,
        tied: reader.flag("tie_word_embeddings", true)?,
        attention_bias: true,
        mlp_bias: true,
        rope: Rope { theta: 1.0, scaling: RopeScaling::None },
        scale_attention: reader.flag("scale_attn_weights", true)?,
        scale_by_layer: reader.flag("scale_attn_by_inverse_layer_idx", false)?,
        initializer_range: reader.positive("initializer_range", Some(0.02))?,
    })
}

fn parse_rope(reader: &Reader, positions: i64) -> Result<Rope> {
    let (place, section) = match reader.object("rope_parameters")? {
        Some(section) => ("rope_parameters", Some(section)),
        None => ("rope_scaling", reader.object("rope_scaling")?),
    };
    let top_theta = reader.positive("rope_theta", Some(10000.0))?;
    let Some(map) = section else {
        return Ok(Rope { theta: top_theta, scaling: RopeScaling::None });
    };
    let section = Reader { map };
    let within = |error: Error| error.within(place);
    let theta = section.positive("rope_theta", Some(top_theta)).map_err(within)?;
    if section.positive("partial_rotary_factor", Some(1.0)).map_err(within)? != 1.0 {
        return Err(unsupported("partial_rotary_factor", "another", "1"));
    }
    let old_kind = section.text("type", Some("default")).map_err(within)?;
    let number = |key: &str, default| section.positive(key, default).map_err(within);
    let scaling = match section.text("rope_type", Some(old_kind)).map_err(within)? {
        "default" => RopeScaling::None,
        "linear" => RopeScaling::Linear { factor: number("factor", None)? },
        "llama3" => RopeScaling::Llama3 {
            factor: number("factor", None)?,
            low_frequency: number("low_freq_factor", None)?,
            high_frequency: number("high_freq_factor", None)?,
            original_positions: number("original_max_position_embeddings", Some(positions as f64))?,
        },
        other => return Err(unsupported("rope_type", other, "\"default\", \"linear\" or \"llama3\"")),
    };
    Ok(Rope { theta, scaling })
}

fn activation(key: &str, name: &str) -> Result<Activation> {
    match name {
        "silu" | "swish" => Ok(Activation::Silu),
        "gelu" => Ok(Activation::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Ok(Activation::GeluTanh),
        "relu" => Ok(Activation::Relu),
        other => Err(unsupported(key, other, "silu, swish, gelu, gelu_new, gelu_pytorch_tanh, gelu_fast or relu")),
    }
}

fn unsupported(key: &str, found: &str, known: &str) -> Error {
    Error::new(Status::Unsupported, format!("{key}: keel computes {known}, got \"{found}\""))
}

/// Typed look-ups in one JSON object; `null` counts as absent, as in transformers.
struct Reader<'a> {
    map: &'a Map<String, Value>,
}

impl<'a> Reader<'a> {
    fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// A size under the first of `keys` that is present: a positive integer below 2^31.
    fn size(&self, keys: &[&str], default: Option<i64>) -> Result<i64> {
        let found = keys.iter().find_map(|key| self.get(key).map(|value| (*key, value)));
        match (found, default) {
            (Some((key, value)), _) => match value.as_i64() {
                Some(size) if size > 0 && size < 1 << 31 => Ok(size),
                _ => Err(expected(key, "a positive integer below 2^31", value)),
            },
            (None, Some(default)) => Ok(default),
            (None, None) => Err(missing(keys[0])),
        }
    }

    /// The number of layers: bounded, because the list of parameters grows with it before any file is seen.
    fn layers(&self, keys: &[&str]) -> Result<i64> {
        match self.size(keys, None)? {
            layers if layers <= 4096 => Ok(layers),
            layers => Err(Error::config(format!("{}: expected 1 to 4096, got {layers}", keys[0]))),
        }
    }

    fn positive(&self, key: &str, default: Option<f64>) -> Result<f64> {
        match (self.get(key), default) {
            (Some(value), _) => match value.as_f64() {
                Some(number) if number.is_finite() && number > 0.0 => Ok(number),
                _ => Err(expected(key, "a positive number", value)),
            },
            (None, Some(default)) => Ok(default),
            (None, None) => Err(missing(key)),
        }
    }

    /// The head that transformers builds for the class in `architectures`: two labels where nothing says how many.
    fn head(&self) -> Result<Head> {
        let class = self.get("architectures").and_then(|classes| classes[0].as_str()).unwrap_or_default();
        if !class.ends_with("ForSequenceClassification") {
            return Ok(Head::Language);
        }
        let labels = self.object("id2label")?.map_or(2, |labels| labels.len() as i64);
        match self.size(&["num_labels"], Some(labels))? {
            count if (1..=1024).contains(&count) => Ok(Head::Scores(count)),
            count => Err(Error::config(format!("num_labels: expected 1 to 1024, got {count}"))),
        }
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool> {
        match self.get(key) {
            Some(value) => value.as_bool().ok_or_else(|| expected(key, "true or false", value)),
            None => Ok(default),
        }
    }

    fn text(&self, key: &str, default: Option<&'a str>) -> Result<&'a str> {
        match (self.get(key), default) {
            (Some(value), _) => value.as_str().ok_or_else(|| expected(key, "a string", value)),
            (None, Some(default)) => Ok(default),
            (None, None) => Err(missing(key)),
        }
    }

    fn object(&self, key: &str) -> Result<Option<&'a Map<String, Value>>> {
        match self.get(key) {
            Some(value) => value.as_object().map(Some).ok_or_else(|| expected(key, "an object", value)),
            None => Ok(None),
        }
    }
}

fn missing(key: &str) -> Error {
    Error::config(format!("{key}: missing"))
}

fn expected(key: &str, what: &str, found: &Value) -> Error {
    let found: String = found.to_string().chars().take(60).collect();
    Error::config(format!("{key}: expected {what}, got {found}"))
}
