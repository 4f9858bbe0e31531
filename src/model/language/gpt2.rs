//! The GPT-2 family: layer norms, learned positions, one projection for query, key and value.
//!
//! Owns its list of parameters, under the names of transformers (matrices [in, out]), and its forward pass over rows.

use crate::error::Result;
use crate::model::arena::{Parameter, Part};
use crate::model::language::activation::activate;
use crate::model::language::packed::Rows;
use crate::model::language::transformer::Attention;
use crate::model::language::Architecture;
use crate::torch;
use tch::Tensor;

/// Every parameter in the order of the forward pass.
pub(super) fn parameters(a: &Architecture) -> Vec<Parameter> {
    let mut list = vec![
        Parameter::new("transformer.wte.weight", &[a.vocabulary, a.hidden], Part::Embedding),
        Parameter::new("transformer.wpe.weight", &[a.positions, a.hidden], Part::Embedding),
    ];
    for layer in 0..a.layers {
        let mut push = |name: &str, shape: &[i64], part: Part| {
            list.push(Parameter::new(format!("transformer.h.{layer}.{name}.weight"), shape, part));
            list.push(Parameter::new(
                format!("transformer.h.{layer}.{name}.bias"),
                &shape[shape.len() - 1..],
                Part::Bias,
            ));
        };
        push("ln_1", &[a.hidden], Part::Gain);
        push("attn.c_attn", &[a.hidden, 3 * a.hidden], Part::Linear { fan_in: a.hidden });
        push("attn.c_proj", &[a.hidden, a.hidden], Part::Residual { fan_in: a.hidden });
        push("ln_2", &[a.hidden], Part::Gain);
        push("mlp.c_fc", &[a.hidden, a.intermediate], Part::Linear { fan_in: a.hidden });
        push("mlp.c_proj", &[a.intermediate, a.hidden], Part::Residual { fan_in: a.intermediate });
    }
    list.push(Parameter::new("transformer.ln_f.weight", &[a.hidden], Part::Gain));
    list.push(Parameter::new("transformer.ln_f.bias", &[a.hidden], Part::Bias));
    list
}

/// A weight and a bias: of a projection (x · W + b) or of a norm.
struct Pair {
    weight: Tensor,
    bias: Tensor,
}

impl Pair {
    fn bind(name: &str, take: &mut dyn FnMut(&str) -> Result<Tensor>) -> Result<Pair> {
        Ok(Pair { weight: take(&format!("{name}.weight"))?, bias: take(&format!("{name}.bias"))? })
    }

    fn project(&self, x: &Tensor) -> Result<Tensor> {
        torch::linear(x, &self.weight.f_transpose(0, 1)?, Some(&self.bias))
    }

    fn normalize(&self, a: &Architecture, x: &Tensor) -> Result<Tensor> {
        Ok(x.f_layer_norm([a.hidden], Some(&self.weight), Some(&self.bias), a.norm_epsilon, true)?)
    }
}

struct Block {
    input_norm: Pair,
    attention: Pair,
    output: Pair,
    middle_norm: Pair,
    up: Pair,
    down: Pair,
}

/// A GPT-2's parameters, bound.
pub(super) struct Gpt2 {
    pub embedding: Tensor,
    positions: Tensor,
    blocks: Vec<Block>,
    norm: Pair,
}

impl Gpt2 {
    pub fn bind(a: &Architecture, take: &mut dyn FnMut(&str) -> Result<Tensor>) -> Result<Gpt2> {
        Ok(Gpt2 {
            embedding: take("transformer.wte.weight")?,
            positions: take("transformer.wpe.weight")?,
            blocks: (0..a.layers).map(|layer| Block::bind(layer, take)).collect::<Result<_>>()?,
            norm: Pair::bind("transformer.ln_f", take)?,
        })
    }

    /// rows → their embeddings, [N, d].
    pub fn embed(&self, rows: &Rows) -> Result<Tensor> {
        let tokens = rows.embed(&self.embedding)?;
        let positions = Tensor::f_embedding(&self.positions, &rows.positions, -1, false, false)?;
        Ok(tokens.f_add(&positions)?)
    }

    /// hidden states [N, d] through one block.
    pub fn block(
        &self,
        a: &Architecture,
        layer: usize,
        hidden: &Tensor,
        attention: &mut dyn Attention,
    ) -> Result<Tensor> {
        self.blocks[layer].forward(a, layer, hidden, attention)
    }

    /// The final norm, [N, d].
    pub fn normalize(&self, a: &Architecture, hidden: &Tensor) -> Result<Tensor> {
        self.norm.normalize(a, hidden)
    }
}

impl Block {
    fn bind(layer: i64, take: &mut dyn FnMut(&str) -> Result<Tensor>) -> Result<Block> {
        let name = |part: &str| format!("transformer.h.{layer}.{part}");
        Ok(Block {
            input_norm: Pair::bind(&name("ln_1"), take)?,
            attention: Pair::bind(&name("attn.c_attn"), take)?,
            output: Pair::bind(&name("attn.c_proj"), take)?,
            middle_norm: Pair::bind(&name("ln_2"), take)?,
            up: Pair::bind(&name("mlp.c_fc"), take)?,
            down: Pair::bind(&name("mlp.c_proj"), take)?,
        })
    }

    fn forward(
        &self,
        a: &Architecture,
        layer: usize,
        hidden: &Tensor,
        attention: &mut dyn Attention,
    ) -> Result<Tensor> {
        let joint = self.attention.project(&self.input_norm.normalize(a, hidden)?)?; // [N, 3d]
        let part = |index: i64| -> Result<Tensor> {
            Ok(joint.f_narrow(1, index * a.hidden, a.hidden)?.f_unflatten(1, [a.heads, a.head_dim])?)
        };
        let mixed = attention.attend(layer, &part(0)?, &part(1)?, &part(2)?, a.attention_scale(layer))?;
        let hidden = hidden.f_add(&self.output.project(&mixed)?)?;
        let x = self.up.project(&self.middle_norm.normalize(a, &hidden)?)?;
        Ok(hidden.f_add(&self.down.project(&activate(a.activation, &x)?)?)?)
    }
}
