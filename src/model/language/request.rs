//! What may be asked of a generation: its settings and its prompts, checked against the model before anything is made.

use crate::config;
use crate::error::{Error, Result, Status};
use crate::model::Model;

/// `Config` for a setting that this model cannot follow.
pub(super) fn check_config(model: &Model, config: &config::Generate) -> Result<()> {
    let refuse = |sentence: String| Err(Error::config(sentence));
    if !config.temperature.is_finite() || config.temperature < 0.0 {
        return refuse(format!("/temperature: expected 0 or a positive number, got {}", config.temperature));
    }
    if config.top_p.is_nan() || config.top_p <= 0.0 {
        return refuse(format!("/top_p: expected a number in (0, 1], got {}", config.top_p));
    }
    if config.max_new_tokens == 0 {
        return refuse("/max_new_tokens: expected at least 1, got 0".into());
    }
    if config.samples == 0 {
        return refuse("/samples: expected at least 1, got 0".into());
    }
    if !config.stop.is_empty() && model.tokenizer().is_none() {
        return refuse("/stop: stop strings need a tokenizer, and the model has none".into());
    }
    Ok(())
}

/// `Data` for an empty prompt, an unknown token, a prompt too long for the model with `max_new_tokens` after it.
pub(super) fn check_prompts(model: &Model, prompts: &[Vec<i32>], config: &config::Generate) -> Result<()> {
    let (vocabulary, positions) = (model.architecture().vocabulary, model.architecture().positions);
    for (index, prompt) in prompts.iter().enumerate() {
        if prompt.is_empty() {
            return Err(Error::data(format!("prompt {index}: expected at least one token, got none")));
        }
        if let Some(token) = prompt.iter().find(|token| **token < 0 || i64::from(**token) >= vocabulary) {
            return Err(Error::data(format!(
                "prompt {index}: expected tokens from 0 to {}, got {token}",
                vocabulary - 1
            )));
        }
        if prompt.len() as i64 + i64::from(config.max_new_tokens) > positions {
            return Err(Error::new(
                Status::Data,
                format!(
                    "prompt {index}: its {} tokens and max_new_tokens {} exceed the model's {positions} positions",
                    prompt.len(),
                    config.max_new_tokens
                ),
            ));
        }
    }
    Ok(())
}
