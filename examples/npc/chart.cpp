//! Draws in a box that the page scales.
#include "chart.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <sstream>

namespace npc {
namespace {

constexpr double HEIGHT = 250, LEFT = 46, RIGHT = 14, TOP = 30, BOTTOM = 36;
constexpr std::size_t MOST_DOTS = 60;

struct Scale {
  double low, high, from, to;
  double operator()(double value) const { return from + (value - low) / (high - low) * (to - from); }
};

struct Frame {
  double width;
  Scale x, y;
  std::vector<double> x_ticks, y_ticks;
};

bool finite(double value) { return std::isfinite(value); }

Frame frame_of(const Chart &chart, double width) {
  double left = 1e300, right = -1e300, low = chart.y_min.value_or(1e300), high = chart.y_max.value_or(-1e300);
  for (const Series &series : chart.series)
    for (std::size_t i = 0; i < series.x.size(); ++i) {
      if (!finite(series.y[i])) continue;
      left = std::min(left, series.x[i]);
      right = std::max(right, series.x[i]);
      if (!chart.y_min) low = std::min(low, series.y[i]);
      if (!chart.y_max) high = std::max(high, series.y[i]);
    }
  if (right <= left) right = left + 1;
  if (high <= low) high = low + 1;
  Frame frame{width,
              {left, right, LEFT, width - RIGHT},
              {low, high, HEIGHT - BOTTOM, TOP},
              ticks(left, right, 6),
              ticks(low, high, 5)};
  frame.y.low = chart.y_min.value_or(std::min(low, frame.y_ticks.front()));
  frame.y.high = chart.y_max.value_or(std::max(high, frame.y_ticks.back()));
  return frame;
}

int decimals_of(const std::vector<double> &ticks) {
  const double step = ticks.size() > 1 ? ticks[1] - ticks[0] : 1;
  return step >= 1 ? 0 : step >= 0.1 ? 1 : 2;
}

std::string text(double x, double y, const char *kind, const std::string &words) {
  return "<text x='" + number(x, 1) + "' y='" + number(y, 1) + "' class='" + kind + "'>" + escaped(words) + "</text>";
}

std::string axes(const Chart &chart, const Frame &frame) {
  std::ostringstream svg;
  if (chart.shaded_until > frame.x.low) {
    const double from = LEFT, to = frame.x(std::min(chart.shaded_until, frame.x.high));
    svg << "<rect class='shade' x='" << number(from, 1) << "' y='" << TOP << "' width='" << number(to - from, 1)
        << "' height='" << HEIGHT - TOP - BOTTOM << "'/>"
        << text(from + 4, HEIGHT - BOTTOM - 6, "note", chart.shaded_note);
  }
  const int y_decimals = decimals_of(frame.y_ticks);
  for (double tick : frame.y_ticks) {
    const double y = frame.y(tick);
    if (y < TOP - 1 || y > HEIGHT - BOTTOM + 1) continue;
    svg << "<line class='grid' x1='" << LEFT << "' x2='" << frame.width - RIGHT << "' y1='" << number(y, 1) << "' y2='"
        << number(y, 1) << "'/>" << text(LEFT - 7, y + 3.5, "tick right", number(tick, y_decimals));
  }
  for (double tick : frame.x_ticks) {
    if (tick < frame.x.low || tick > frame.x.high) continue;
    const double x = frame.x(tick);
    svg << "<line class='axis' x1='" << number(x, 1) << "' x2='" << number(x, 1) << "' y1='" << HEIGHT - BOTTOM
        << "' y2='" << HEIGHT - BOTTOM + 4 << "'/>" << text(x, HEIGHT - BOTTOM + 16, "tick middle", number(tick, 0));
  }
  svg << "<line class='axis' x1='" << LEFT << "' x2='" << frame.width - RIGHT << "' y1='" << HEIGHT - BOTTOM << "' y2='"
      << HEIGHT - BOTTOM << "'/>" << text(frame.width - RIGHT, HEIGHT - 5, "tick right", chart.x_label);
  return svg.str();
}

std::string path(const Series &series, const std::vector<double> &values, const Frame &frame, const std::string &kind) {
  std::string data;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!finite(values[i])) continue;
    data += (data.empty() ? "M" : "L") + number(frame.x(series.x[i]), 1) + " " + number(frame.y(values[i]), 1);
  }
  return "<path class='" + kind + "' d='" + data + "'/>";
}

std::string dots(const Series &series, const std::vector<double> &values, const Frame &frame, const std::string &kind,
                 int decimals) {
  const std::size_t stride = (values.size() + MOST_DOTS - 1) / MOST_DOTS;
  std::string svg;
  for (std::size_t i = 0; i < values.size(); i += std::max<std::size_t>(stride, 1)) {
    if (!finite(values[i])) continue;
    svg += "<circle class='" + kind + "' cx='" + number(frame.x(series.x[i]), 1) + "' cy='" +
           number(frame.y(values[i]), 1) + "' r='" + (kind[0] == 'h' ? "6" : "2.6") + "'><title>" +
           escaped(series.name) + " at " + number(series.x[i], 0) + ": " + number(values[i], decimals) +
           "</title></circle>";
  }
  return svg;
}

std::string last_value(const Series &series, const std::vector<double> &values, const Frame &frame, int place,
                       bool below, int decimals) {
  if (values.empty() || !finite(values.back())) return {};
  const double x = frame.x(series.x.back()), y = frame.y(values.back());
  const std::string mark = std::to_string(place);
  return "<circle class='end end" + mark + "' cx='" + number(x, 1) + "' cy='" + number(y, 1) + "' r='4'/>" +
         text(x, below ? y + 17 : std::max(y - 9, TOP - 8), "value right", number(values.back(), decimals));
}

std::string legend(const Chart &chart) {
  if (chart.series.size() < 2) return {};
  std::string svg;
  double x = LEFT;
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    const std::string mark = std::to_string(i);
    svg += "<line class='line line" + mark + "' x1='" + number(x, 1) + "' x2='" + number(x + 16, 1) +
           "' y1='11' y2='11'/>" + text(x + 21, 14.5, "tick", chart.series[i].name);
    x += 36 + 6.0 * static_cast<double>(chart.series[i].name.size());
  }
  return svg;
}

}  // namespace

std::vector<double> ticks(double low, double high, int count) {
  const double rough = (high - low) / count, power = std::pow(10, std::floor(std::log10(rough)));
  const double part = rough / power, step = power * (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10);
  std::vector<double> list;
  for (double tick = std::floor(low / step) * step; tick < high + step * 0.999; tick += step)
    list.push_back(std::abs(tick) < step * 1e-9 ? 0 : tick);
  return list;
}

std::vector<double> smoothed(const std::vector<double> &values, int window) {
  std::vector<double> result;
  const int count = static_cast<int>(values.size()), reach = window / 2;
  for (int i = 0; i < count; ++i) {
    const int side = std::min({reach, i, count - 1 - i});
    double sum = 0;
    for (int j = i - side; j <= i + side; ++j) sum += values[j];
    result.push_back(sum / (2 * side + 1));
  }
  return result;
}

std::string number(double value, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return std::string(text) == "-0" ? "0" : text;
}

std::string escaped(const std::string &text) {
  std::string safe;
  for (char letter : text) switch (letter) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      case '\'':
        safe += "&#39;";
        break;
      default:
        safe += letter;
    }
  return safe;
}

std::string line_chart(const Chart &chart, double width) {
  std::ostringstream svg;
  svg << "<svg viewBox='0 0 " << width << " " << HEIGHT << "' role='img' aria-label='" << escaped(chart.title) << "'>";
  const bool empty = std::all_of(chart.series.begin(), chart.series.end(), [](const Series &s) { return s.x.empty(); });
  if (empty) {
    svg << text(width / 2, HEIGHT / 2, "tick middle", "nothing was measured") << "</svg>";
    return svg.str();
  }
  const Frame frame = frame_of(chart, width);
  svg << axes(chart, frame) << legend(chart);
  double highest = -1e300;
  for (const Series &series : chart.series) highest = std::max(highest, series.y.empty() ? highest : series.y.back());
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    const Series &series = chart.series[i];
    const std::string mark = std::to_string(i);
    const int window = series.smooth ? std::max(3, static_cast<int>(series.y.size()) / 12) : 1;
    const std::vector<double> bold = smoothed(series.y, window);
    if (series.smooth) svg << path(series, series.y, frame, "raw line" + mark);
    svg << path(series, bold, frame, "line line" + mark);
    if (!series.smooth) svg << dots(series, bold, frame, "dot dot" + mark, chart.decimals);
    svg << dots(series, bold, frame, "hover", chart.decimals)
        << last_value(series, bold, frame, static_cast<int>(i), !series.y.empty() && series.y.back() < highest,
                      chart.decimals);
  }
  svg << "</svg>";
  return svg.str();
}

}  // namespace npc
