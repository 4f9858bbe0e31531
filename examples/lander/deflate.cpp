// Deflate (RFC 1951): repeats found by hashes of three bytes, everything written in the fixed code.
#include <algorithm>
#include <array>

#include "png.hpp"

namespace lander {
namespace {

constexpr int SHORTEST = 3, LONGEST = 258, WINDOW = 32768, TRIES = 64;

class Bits {
 public:
  /// Least significant bit first, as deflate has all numbers but its codes.
  void number(std::uint32_t value, int width) {
    held_ |= static_cast<std::uint64_t>(value) << count_;
    for (count_ += width; count_ >= 8; count_ -= 8, held_ >>= 8) bytes.push_back(static_cast<std::uint8_t>(held_));
  }
  void code(std::uint32_t value, int width) {
    std::uint32_t turned = 0;
    for (int i = 0; i < width; ++i) turned |= (value >> i & 1) << (width - 1 - i);
    number(turned, width);
  }
  void finish() { number(0, (8 - count_) % 8); }

  Bytes bytes;

 private:
  std::uint64_t held_ = 0;
  int count_ = 0;
};

// A literal, the end (256), or a length's code.
void symbol(Bits &bits, int value) {
  if (value < 144) bits.code(0x30 + value, 8);
  else if (value < 256) bits.code(0x190 + value - 144, 9);
  else if (value < 280) bits.code(value - 256, 7);
  else bits.code(0xc0 + value - 280, 8);
}

// The codes of lengths and of distances grow alike: `ways` codes a width of extra bits, which begin after twice as many.
struct Scale {
  int ways, first;
  int code(int value) const {
    int offset = value - first, extra = 0;
    if (offset < 2 * ways) return offset;
    while (offset >> (extra + 1) >= ways) ++extra;
    return ways * extra + (offset >> extra);
  }
  int extra(int code) const { return code < 2 * ways ? 0 : code / ways - 1; }
  int start(int code) const {
    return first + (code < 2 * ways ? code : (ways + code % ways) << extra(code));
  }
};
constexpr Scale LENGTHS{4, 3}, DISTANCES{2, 1};

void repeat(Bits &bits, int length, int distance) {
  if (length == LONGEST) {
    symbol(bits, 285);  // a code of its own
  } else {
    const int code = LENGTHS.code(length);
    symbol(bits, 257 + code);
    bits.number(length - LENGTHS.start(code), LENGTHS.extra(code));
  }
  const int code = DISTANCES.code(distance);
  bits.code(code, 5);
  bits.number(distance - DISTANCES.start(code), DISTANCES.extra(code));
}

// Where the same three bytes stood before.
class Past {
 public:
  explicit Past(const Bytes &bytes) : bytes_(bytes), before_(bytes.size(), -1) { latest_.fill(-1); }

  void add(int place) {
    if (place + SHORTEST > static_cast<int>(bytes_.size())) return;
    before_[place] = latest_[hash(place)];
    latest_[hash(place)] = place;
  }
  /// The longest repeat at `place`: length and distance; length 0 where there is none.
  std::pair<int, int> longest(int place) const {
    std::pair<int, int> best{0, 0};
    const int limit = std::min<int>(LONGEST, static_cast<int>(bytes_.size()) - place);
    if (limit < SHORTEST) return best;
    int tries = TRIES;
    for (int from = latest_[hash(place)]; from >= 0 && place - from <= WINDOW && tries-- > 0; from = before_[from]) {
      int length = 0;
      while (length < limit && bytes_[from + length] == bytes_[place + length]) ++length;
      if (length >= SHORTEST && length > best.first) best = {length, place - from};
      if (length == limit) break;
    }
    return best;
  }

 private:
  std::uint32_t hash(int place) const {
    const std::uint32_t three = bytes_[place] | bytes_[place + 1] << 8 | bytes_[place + 2] << 16;
    return three * 0x9e3779b1u >> 17;
  }

  const Bytes &bytes_;
  std::vector<int> before_;
  std::array<int, 32768> latest_;
};

std::uint32_t adler(const Bytes &bytes) {
  std::uint32_t low = 1, high = 0;
  for (const std::uint8_t byte : bytes) low = (low + byte) % 65521, high = (high + low) % 65521;
  return high << 16 | low;
}

}  // namespace

Bytes compressed(const Bytes &bytes) {
  Bits bits;
  bits.bytes = {0x78, 0x01};
  bits.number(1, 1);  // the last block
  bits.number(1, 2);  // in the fixed code
  Past past(bytes);
  for (int place = 0; place < static_cast<int>(bytes.size());) {
    const auto [length, distance] = past.longest(place);
    if (length > 0) repeat(bits, length, distance);
    else symbol(bits, bytes[place]);
    for (const int end = place + std::max(length, 1); place < end; ++place) past.add(place);
  }
  symbol(bits, 256);
  bits.finish();
  const std::uint32_t sum = adler(bytes);
  for (int shift = 24; shift >= 0; shift -= 8) bits.bytes.push_back(static_cast<std::uint8_t>(sum >> shift));
  return bits.bytes;
}

}  // namespace lander
