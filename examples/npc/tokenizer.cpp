//! Writes the JSON by hand: the grammar's words need no escaping, and the demo needs no JSON library.
#include "tokenizer.hpp"

#include <algorithm>
#include <sstream>

#include "world.hpp"

namespace npc {
namespace {

const std::vector<std::string> SPECIALS = {"<s>", "</s>", "<pad>", "<unk>", "<user>", "<bot>"};

std::vector<std::string> collect() {
  const Grammar &g = grammar();
  std::vector<std::string> known = {"a", "asks", ":"};
  for (const auto *list : {&g.roles, &g.sizes, &g.items, &g.numbers, &g.greetings, &g.price_questions,
                           &g.secret_questions, &g.polite_openers, &g.rude_openers, &g.price_answers, &g.price_evasions,
                           &g.secret_kept, &g.secret_told, &g.tails})
    for (const std::string &text : *list)
      for (const std::string &word : words(text))
        if (word.front() != '{') known.push_back(word);
  std::sort(known.begin(), known.end());
  known.erase(std::unique(known.begin(), known.end()), known.end());
  known.insert(known.begin(), SPECIALS.begin(), SPECIALS.end());
  return known;
}

std::size_t token(const std::string &word) {
  const auto &list = vocabulary();
  return static_cast<std::size_t>(std::find(list.begin(), list.end(), word) - list.begin());
}

}  // namespace

const std::vector<std::string> &vocabulary() {
  static const std::vector<std::string> list = collect();
  return list;
}

std::string tokenizer_json() {
  std::ostringstream json;
  json << R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":[)";
  for (std::size_t i = 0; i < SPECIALS.size(); ++i)
    json << (i ? "," : "") << R"({"id":)" << i << R"(,"content":")" << SPECIALS[i]
         << R"(","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true})";
  json << R"(],"normalizer":null,"pre_tokenizer":{"type":"WhitespaceSplit"},"post_processor":null,"decoder":null,)"
       << R"("model":{"type":"WordLevel","unk_token":"<unk>","vocab":{)";
  const auto &list = vocabulary();
  for (std::size_t i = 0; i < list.size(); ++i) json << (i ? "," : "") << '"' << list[i] << "\":" << i;
  json << "}}}";
  return json.str();
}

std::string llama_json(int hidden, int layers, int heads, int feed_forward) {
  std::ostringstream json;
  json
      << R"({"model_type":"llama","architectures":["LlamaForCausalLM"],"hidden_act":"silu","tie_word_embeddings":true,)"
      << R"("vocab_size":)" << vocabulary().size() << R"(,"hidden_size":)" << hidden << R"(,"num_hidden_layers":)"
      << layers << R"(,"num_attention_heads":)" << heads << R"(,"num_key_value_heads":)" << heads
      << R"(,"intermediate_size":)" << feed_forward
      << R"(,"max_position_embeddings":128,"rms_norm_eps":1e-5,"rope_theta":10000.0,)"
      << R"("initializer_range":0.02,"bos_token_id":)" << token("<s>") << R"(,"eos_token_id":)" << token("</s>")
      << R"(,"pad_token_id":)" << token("<pad>") << "}";
  return json.str();
}

}  // namespace npc
