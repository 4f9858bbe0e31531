#include "png.hpp"

#include <cstdio>
#include <cstdlib>
#include <stdexcept>

namespace lander {
namespace {

void put(Bytes &out, std::uint32_t number) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<std::uint8_t>(number >> shift));
}

std::uint32_t checksum(const Bytes &bytes, std::size_t from) {
  std::uint32_t sum = 0xffffffffu;
  for (std::size_t i = from; i < bytes.size(); ++i) {
    sum ^= bytes[i];
    for (int bit = 0; bit < 8; ++bit) sum = sum >> 1 ^ (sum & 1 ? 0xedb88320u : 0);
  }
  return ~sum;
}

void chunk(Bytes &out, const char *name, const Bytes &content) {
  put(out, static_cast<std::uint32_t>(content.size()));
  const std::size_t begin = out.size();
  out.insert(out.end(), name, name + 4);
  out.insert(out.end(), content.begin(), content.end());
  put(out, checksum(out, begin));
}

// Of the neighbours left, above and above left, the one nearest to left + above − corner (Paeth).
int nearest(int left, int above, int corner) {
  const int guess = left + above - corner;
  const int a = std::abs(guess - left), b = std::abs(guess - above), c = std::abs(guess - corner);
  return a <= b && a <= c ? left : b <= c ? above : corner;
}

// A row less what one of the five filters expects of it.
Bytes filtered(int filter, const std::uint8_t *row, const std::uint8_t *above, int length) {
  Bytes out{static_cast<std::uint8_t>(filter)};
  for (int i = 0; i < length; ++i) {
    const int left = i < 3 ? 0 : row[i - 3], up = above ? above[i] : 0, corner = above && i >= 3 ? above[i - 3] : 0;
    const int expected[] = {0, left, up, (left + up) / 2, nearest(left, up, corner)};
    out.push_back(static_cast<std::uint8_t>(row[i] - expected[filter]));
  }
  return out;
}

// The smaller, the better it deflates, by rule of thumb.
long weight(const Bytes &row) {
  long sum = 0;
  for (std::size_t i = 1; i < row.size(); ++i) sum += std::abs(static_cast<std::int8_t>(row[i]));
  return sum;
}

}  // namespace

Bytes png(int width, int height, const Bytes &rgb) {
  const int length = 3 * width;
  Bytes rows;
  for (int y = 0; y < height; ++y) {
    const std::uint8_t *row = rgb.data() + static_cast<std::size_t>(y) * length;
    Bytes best;
    for (int filter = 0; filter < 5; ++filter) {
      Bytes tried = filtered(filter, row, y ? row - length : nullptr, length);
      if (best.empty() || weight(tried) < weight(best)) best = std::move(tried);
    }
    rows.insert(rows.end(), best.begin(), best.end());
  }
  Bytes out{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'}, header;
  put(header, static_cast<std::uint32_t>(width));
  put(header, static_cast<std::uint32_t>(height));
  header.insert(header.end(), {8, 2, 0, 0, 0});  // 8 bits a channel, red green blue
  chunk(out, "IHDR", header);
  chunk(out, "sRGB", {0});
  chunk(out, "IDAT", compressed(rows));
  chunk(out, "IEND", {});
  return out;
}

void write_png(const std::string &path, int width, int height, const Bytes &rgb) {
  const Bytes file = png(width, height, rgb);
  std::FILE *out = std::fopen(path.c_str(), "wb");
  const bool whole = out && std::fwrite(file.data(), 1, file.size(), out) == file.size();
  if ((out && std::fclose(out) != 0) || !whole) throw std::runtime_error("cannot write " + path);
}

}  // namespace lander
