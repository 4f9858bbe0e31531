//! Writes the page section by section: heading, tiles, traits, curves, answers.
#include "report.hpp"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "style.hpp"

namespace npc {
namespace {

/// The colour of each stage; a page of fewer stages leaves the first ones out.
const std::vector<std::string> TONES = {"untrained", "sft", "dpo", "ppo"};

std::string tone(const Page &page, std::size_t stage) { return TONES[TONES.size() - page.stages.size() + stage]; }

std::string percent(double share) { return number(100 * share, 0) + " %"; }

const char *mark_of(Part part) {
  switch (part) {
    case Part::PoliteOpener:
    case Part::RightBody:
      return "good";
    case Part::RudeOpener:
    case Part::WrongBody:
      return "bad";
    case Part::FireTail:
      return "fire";
    case Part::Tail:
      return "plain";
    case Part::Unknown:
      break;
  }
  return "odd";
}

const char *meaning_of(Part part) {
  switch (part) {
    case Part::PoliteOpener:
      return "polite";
    case Part::RightBody:
      return "right";
    case Part::RudeOpener:
      return "rude, or takes the traveller for someone else";
    case Part::WrongBody:
      return "evasive, wrong, or tells the secret";
    case Part::FireTail:
      return "mentions the fire";
    case Part::Tail:
      return "small talk";
    case Part::Unknown:
      break;
  }
  return "not a sentence of the grammar";
}

void heading(std::ostream &html) {
  const Question sample{Topic::Price, 1, 2, 0, 1, 1};
  html
      << "<header><div class='kicker'>keel &middot; First light</div><h1>The innkeeper learns manners</h1>"
      << "<p class='lead'>Travellers of six trades ask an innkeeper what things cost, or where the treasure is hidden; "
      << "a good answer is polite, names the right price or keeps the secret, and is a sentence of the inn&#39;s small "
      << "grammar. A language model of a million parameters starts from noise inside a C++ program and learns from "
      << "examples of every quality, then from preferences, then from a reward that the program computes: "
      << "be right, and mention the fire.</p><p class='soft'>For example: &ldquo;" << escaped(readable(spoken(sample)))
      << "&rdquo; &mdash; &ldquo;" << escaped(readable(answer(sample, {true, 0, true, 0, 0})))
      << "&rdquo; Every number and answer below comes from held-out prompts, whose combinations of traveller, "
         "greeting, "
      << "question, thing and size were kept out of all training.</p></header>";
}

void tiles(std::ostream &html, const Page &page) {
  html << "<section class='tiles' aria-label='Summary'>";
  for (const Tile &tile : page.tiles)
    html << "<div class='tile"
         << (tile.bound.rfind("goal", 0) != 0 ? " plain"
             : tile.met                       ? ""
                                              : " missed")
         << "'><b>" << escaped(tile.value) << "</b><span>" << escaped(tile.label) << "</span><i>" << escaped(tile.bound)
         << "</i></div>";
  html << "</section>";
}

void traits(std::ostream &html, const Page &page) {
  html << "<section><h2>What each phase changed</h2><p class='soft'>Shares of sampled answers to held-out prompts, as "
          "the "
       << "judge read them. Preferences taught manners and truth but said nothing about the fire; the reward taught "
          "that.</p>"
       << "<div class='traits'>";
  for (const Trait &trait : page.traits) {
    html << "<div class='card trait'><h3>" << escaped(trait.name) << "</h3><div class='soft'>" << escaped(trait.meaning)
         << "</div>";
    for (std::size_t stage = 0; stage < trait.shares.size(); ++stage)
      html << "<div class='bar " << tone(page, stage) << "'><em>" << escaped(page.stages[stage])
           << "</em><u><s style='width:" << number(100 * trait.shares[stage], 1) << "%'></s></u><b>"
           << percent(trait.shares[stage]) << "</b></div>";
    html << "</div>";
  }
  html << "</div></section>";
}

void curves(std::ostream &html, const PhaseCurves &phase, const std::string &tone) {
  const bool three = phase.charts.size() % 3 == 0;
  html << "<section class='" << tone << "'><h2><span class='badge'>" << escaped(phase.method) << "</span>"
       << escaped(phase.name) << "</h2><p class='soft'>" << escaped(phase.explanation) << " It took "
       << number(phase.seconds, 0) << " s.</p><div class='charts" << (three ? " three" : "") << "'>";
  for (const Chart &chart : phase.charts)
    html << "<figure class='card'><h3>" << escaped(chart.title) << "</h3>" << line_chart(chart, three ? 330 : 500)
         << "</figure>";
  html << "</div></section>";
}

void cell(std::ostream &html, const Verdict &verdict) {
  html << "<td>";
  if (verdict.spans.empty()) html << "<span class='soft'>(silence)</span>";
  for (const Span &span : verdict.spans)
    html << "<mark class='" << mark_of(span.part) << "' title='" << escaped(meaning_of(span.part)) << "'>"
         << escaped(readable(span.text)) << "</mark> ";
  html << "<span class='marks'>judged " << number(verdict.score(), 2) << " &middot; reward "
       << number(verdict.reward(), 0) << "</span></td>";
}

void legend(std::ostream &html) {
  html << "<div class='legend'>";
  for (Part part : {Part::PoliteOpener, Part::RudeOpener, Part::FireTail, Part::Tail, Part::Unknown}) {
    const char *name = part == Part::PoliteOpener ? "polite, or right"
                       : part == Part::RudeOpener ? "rude, evasive, or wrong"
                                                  : meaning_of(part);
    html << "<span><mark class='" << mark_of(part) << "'>" << name << "</mark></span>";
  }
  html << "</div>";
}

void exchanges(std::ostream &html, const Page &page) {
  html << "<section><h2>The same questions, before and after</h2><p class='soft'>One answer sampled at temperature 1 "
          "per "
       << "stage, the first drawn, not the best. The colours are what the judge saw.</p>";
  legend(html);
  html << "<div class='card scroll'><table><thead><tr><th>Traveller</th>";
  for (std::size_t stage = 0; stage < page.stages.size(); ++stage)
    html << "<th class='" << tone(page, stage) << "'><span class='badge'>" << escaped(page.stages[stage])
         << "</span></th>";
  html << "</tr></thead><tbody>";
  for (const Exchange &exchange : page.exchanges) {
    html << "<tr><td><span class='who'>a " << escaped(grammar().roles[exchange.question.role]) << " asks</span>"
         << escaped(readable(spoken(exchange.question))) << "</td>";
    for (const Verdict &verdict : exchange.answers) cell(html, verdict);
    html << "</tr>";
  }
  html << "</tbody></table></div></section>";
}

}  // namespace

std::string readable(const std::string &text) {
  std::string result;
  bool starts = true;
  for (std::string word : words(text)) {
    const bool mark = word == "," || word == "." || word == "?";
    if (starts && !mark) word[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(word[0])));
    if (word == "i") word = "I";
    result += (result.empty() || mark ? "" : " ") + word;
    starts = word == "." || word == "?";
  }
  return result;
}

std::string render(const Page &page) {
  std::ostringstream html;
  html << "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
       << "<meta name='viewport' content='width=device-width, initial-scale=1'><title>The innkeeper learns "
          "manners</title>"
       << "<style>" << STYLE << "</style></head><body><main>";
  heading(html);
  tiles(html, page);
  traits(html, page);
  for (std::size_t i = 0; i < page.phases.size(); ++i)
    curves(html, page.phases[i], TONES[TONES.size() - page.phases.size() + i]);
  exchanges(html, page);
  html << "<footer>" << escaped(page.footnote) << "</footer></main></body></html>\n";
  return html.str();
}

void write_file(const std::string &path, const std::string &text) {
  const std::filesystem::path file(path);
  if (file.has_parent_path()) std::filesystem::create_directories(file.parent_path());
  std::ofstream stream(file, std::ios::binary);
  stream << text;
  if (!stream.flush()) throw std::runtime_error("cannot write " + path);
}

}  // namespace npc
