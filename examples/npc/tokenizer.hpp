//! The files that describe the demo's language model: tokenizer.json and config.json, made in code from the grammar.
//! Owns the vocabulary. Refuses words outside the grammar: they become `<unk>`.
#pragma once

#include <string>
#include <vector>

namespace npc {

/// `<s>`, `</s>`, ... first, then every word of the grammar; a word's place is its token.
const std::vector<std::string> &vocabulary();

/// A Hugging Face tokenizer.json: one token a word, split at spaces.
std::string tokenizer_json();

/// The Hugging Face config.json of the Llama that learns.
std::string llama_json(int hidden, int layers, int heads, int feed_forward);

}  // namespace npc
