//! Line charts as inline SVG: axes with round numbers, a faint trace of what was measured, a bold smoothed one.
//! Owns scales, ticks and smoothing. Colours are CSS variables of the page, so that charts follow light and dark.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace npc {

/// A measured quantity over steps. Smoothed series are drawn twice; others as line and dots.
struct Series {
  std::string name;
  std::vector<double> x, y;
  bool smooth = true;
};

struct Chart {
  std::string title, x_label;
  std::vector<Series> series;
  std::optional<double> y_min = std::nullopt, y_max = std::nullopt;
  /// From the first step to this one the background is shaded and carries this note.
  double shaded_until = 0;
  std::string shaded_note = {};
  int decimals = 2;
};

/// An <svg> element of this width and 250 units of height; a legend is part of it when there are two series or more.
/// An empty chart says so.
std::string line_chart(const Chart &chart, double width);

/// Round tick values that cover [low, high], about `count` of them.
std::vector<double> ticks(double low, double high, int count);

/// Centred moving mean; windows shrink at the ends.
std::vector<double> smoothed(const std::vector<double> &values, int window);

/// `value` with this many decimals.
std::string number(double value, int decimals);

/// Text made safe inside an element or a quoted attribute.
std::string escaped(const std::string &text);

}  // namespace npc
