//! The Llama family: RMS norms, rotary positions, grouped-query attention, a gated feed-forward block.
//!
//! Owns its list of parameters, under the names of transformers, and its forward pass over rows.

use crate::error::Result;
use crate::model::arena::{Parameter, Part};
use crate::model::language::activation::activate;
use crate::model::language::packed::Rows;
use crate::model::language::rotary::{Angles, Rotary};
use crate::model::language::transformer::Attention;
use crate::model::language::Architecture;
use crate::torch;
use tch::Tensor;

/// Every parameter in the order of the forward pass.
pub(super) fn parameters(a: &Architecture) -> Vec<Parameter> {
    let (query, key) = (a.heads * a.head_dim, a.key_value_heads * a.head_dim);
    let mut list = vec![Parameter::new("model.embed_tokens.weight", &[a.vocabulary, a.hidden], Part::Embedding)];
    for layer in 0..a.layers {
        let mut linear = |name: &str, out: i64, fan_in: i64, residual: bool, bias: bool| {
            let part = if residual { Part::Residual { fan_in } } else { Part::Linear { fan_in } };
            list.push(Parameter::new(format!("model.layers.{layer}.{name}.weight"), &[out, fan_in], part));
            if bias {
                list.push(Parameter::new(format!("model.layers.{layer}.{name}.bias"), &[out], Part::Bias));
            }
        };
        linear("self_attn.q_proj", query, a.hidden, false, a.attention_bias);
        linear("self_attn.k_proj", key, a.hidden, false, a.attention_bias);
        linear("self_attn.v_proj", key, a.hidden, false, a.attention_bias);
        linear("self_attn.o_proj", a.hidden, query, true, a.attention_bias);
        linear("mlp.gate_proj", a.intermediate, a.hidden, false, a.mlp_bias);
        linear("mlp.up_proj", a.intermediate, a.hidden, false, a.mlp_bias);
        linear("mlp.down_proj", a.hidden, a.intermediate, true, a.mlp_bias);
        for norm in ["input_layernorm", "post_attention_layernorm"] {
            list.push(Parameter::new(format!("model.layers.{layer}.{norm}.weight"), &[a.hidden], Part::Gain));
        }
    }
    list.push(Parameter::new("model.norm.weight", &[a.hidden], Part::Gain));
    list
}

struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    fn bind(name: &str, bias: bool, take: &mut dyn FnMut(&str) -> Result<Tensor>) -> Result<Linear> {
        let bias = if bias { Some(take(&format!("{name}.bias"))?) } else { None };
        Ok(Linear { weight: take(&format!("{name}.weight"))?, bias })
    }

    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        torch::linear(x, &self.weight, self.bias.as_ref())
    }
}

struct Block {
    input_norm: Tensor,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    middle_norm: Tensor,
    gate: Linear,
    up: Linear,
    down: Linear,
}

/// A Llama's parameters, bound.
pub(super) struct Llama {
    pub embedding: Tensor,
    blocks: Vec<Block>,
    norm: Tensor,
    rotary: Rotary,
}

impl Llama {
    pub fn bind(a: &Architecture, take: &mut dyn FnMut(&str) -> Result<Tensor>) -> Result<Llama> {
        let embedding = take("model.embed_tokens.weight")?;
        let blocks = (0..a.layers).map(|layer| Block::bind(a, layer, take)).collect::<Result<_>>()?;
        let rotary = Rotary::new(&a.rope, a.head_dim, embedding.f_kind()?, embedding.device());
        Ok(Llama { embedding, blocks, norm: take("model.norm.weight")?, rotary })
    }

    /// rows → their embeddings, [N, d], and the angles of their positions.
    pub fn embed(&self, rows: &Rows) -> Result<(Tensor, Angles)> {
        Ok((rows.embed(&self.embedding)?, self.rotary.angles(rows)?))
    }

    /// hidden states [N, d] through one block.
    pub fn block(
        &self,
        a: &Architecture,
        layer: usize,
        hidden: &Tensor,
        angles: &Angles,
        attention: &mut dyn Attention,
    ) -> Result<Tensor> {
        self.blocks[layer].forward(a, layer, hidden, angles, attention)
    }

    /// The final norm, [N, d].
    pub fn normalize(&self, a: &Architecture, hidden: &Tensor) -> Result<Tensor> {
        normalize(a, hidden, &self.norm)
    }
}

impl Block {
    fn bind(a: &Architecture, layer: i64, take: &mut dyn FnMut(&str) -> Result<Tensor>) -> Result<Block> {
        let name = |part: &str| format!("model.layers.{layer}.{part}");
        Ok(Block {
            input_norm: take(&name("input_layernorm.weight"))?,
            query: Linear::bind(&name("self_attn.q_proj"), a.attention_bias, take)?,
            key: Linear::bind(&name("self_attn.k_proj"), a.attention_bias, take)?,
            value: Linear::bind(&name("self_attn.v_proj"), a.attention_bias, take)?,
            output: Linear::bind(&name("self_attn.o_proj"), a.attention_bias, take)?,
            middle_norm: take(&name("post_attention_layernorm.weight"))?,
            gate: Linear::bind(&name("mlp.gate_proj"), a.mlp_bias, take)?,
            up: Linear::bind(&name("mlp.up_proj"), a.mlp_bias, take)?,
            down: Linear::bind(&name("mlp.down_proj"), a.mlp_bias, take)?,
        })
    }

    fn forward(
        &self,
        a: &Architecture,
        layer: usize,
        hidden: &Tensor,
        angles: &Angles,
        attention: &mut dyn Attention,
    ) -> Result<Tensor> {
        let x = normalize(a, hidden, &self.input_norm)?;
        let query = angles.rotate(&self.query.apply(&x)?.f_view([-1, a.heads, a.head_dim])?)?;
        let key = angles.rotate(&self.key.apply(&x)?.f_view([-1, a.key_value_heads, a.head_dim])?)?;
        let value = self.value.apply(&x)?.f_view([-1, a.key_value_heads, a.head_dim])?;
        let mixed = attention.attend(layer, &query, &key, &value, a.attention_scale(layer))?;
        let hidden = hidden.f_add(&self.output.apply(&mixed)?)?;
        let x = normalize(a, &hidden, &self.middle_norm)?;
        let gated = activate(a.activation, &self.gate.apply(&x)?)?.f_mul(&self.up.apply(&x)?)?;
        Ok(hidden.f_add(&self.down.apply(&gated)?)?)
    }
}

fn normalize(a: &Architecture, hidden: &Tensor, gain: &Tensor) -> Result<Tensor> {
    Ok(hidden.f_rms_norm([a.hidden], Some(gain), a.norm_epsilon)?)
}
