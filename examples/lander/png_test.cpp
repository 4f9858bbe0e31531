//! Tests of the PNG writer: known checksums, and streams that Python's zlib takes apart again.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "dice.hpp"
#include "png.hpp"

namespace lander {
namespace {

Bytes read(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(file), {});
}

void write(const std::string &path, const Bytes &bytes) {
  std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char *>(bytes.data()), bytes.size());
}

std::string scratch(const std::string &name) { return testing::TempDir() + "lander_" + name; }

int python(const std::string &program, const std::string &in, const std::string &out) {
  return std::system(("'" PYTHON "' -c '" + program + "' '" + in + "' '" + out + "'").c_str());
}

// What zlib makes of our stream.
Bytes decompressed(const Bytes &stream) {
  const std::string in = scratch("in.z"), out = scratch("out.bin");
  write(in, stream);
  EXPECT_EQ(python("import sys, zlib; open(sys.argv[2], \"wb\").write(zlib.decompress(open(sys.argv[1], \"rb\").read()))",
                   in, out), 0);
  Bytes bytes = read(out);
  std::remove(in.c_str()), std::remove(out.c_str());
  return bytes;
}

TEST(Deflate, EmptyIsTheShortestStream) {
  EXPECT_EQ(compressed({}), (Bytes{0x78, 0x01, 0x03, 0x00, 0x00, 0x00, 0x00, 0x01}));
}

TEST(Deflate, TheLongestRepeatHasACodeOfItsOwn) {
  // By hand: 1, 10; the literal 10010001; 285 is 11000101; the distance 00000; the end 0000000; from the lowest bit on.
  EXPECT_EQ(compressed(Bytes(259, 'a')), (Bytes{0x78, 0x01, 0x4b, 0x1c, 0x05, 0x00, 0xd9, 0xa8, 0x62, 0x24}));
}

TEST(Deflate, ZlibGivesBackEveryLengthAndManyDistances) {
  Bytes bytes;
  Dice dice(1);
  const auto noise = [&](int count) {
    while (count-- > 0) bytes.push_back(static_cast<std::uint8_t>(dice.uniform(0, 256)));
  };
  noise(40000);
  for (int length = 3; length <= 300; ++length) {
    const std::size_t from = bytes.size() - 1 - static_cast<std::size_t>(dice.uniform(300, 32760));
    for (int i = 0; i < length; ++i) bytes.push_back(bytes[from + i]);
    noise(1 + length % 3);
  }
  for (int i = 0; i < 500; ++i) bytes.push_back(bytes[bytes.size() - 33000]);  // too far back to be named
  for (int run = 1; run < 600; run += 7) bytes.insert(bytes.end(), run, static_cast<std::uint8_t>(run));
  const Bytes stream = compressed(bytes);
  EXPECT_LT(stream.size(), bytes.size() * 3 / 4);
  EXPECT_EQ(decompressed(stream), bytes);
}

TEST(Png, PixelsComeBackThroughTheFilters) {
  constexpr int width = 37, height = 200;
  Bytes rgb;
  Dice dice(2);
  for (int i = 0; i < 3 * width * height; ++i) {  // each row is such that another filter suits it best
    const int column = i % (3 * width), row = i / (3 * width);
    const int left = column < 3 ? 0 : rgb[i - 3], above = row ? rgb[i - 3 * width] : 0;
    const int corner = row && column >= 3 ? rgb[i - 3 * width - 3] : 0;
    const int expected[] = {0, left, above, (left + above) / 2, left + above - corner};
    const double step = row % 5 ? (row % 5 == 1 ? 24 : 6) : (column / 3 % 2 ? 3 : 250);
    rgb.push_back(static_cast<std::uint8_t>(expected[row % 5] + dice.uniform(0, step)));
  }
  const std::string in = scratch("in.png"), out = scratch("out.rgb");
  write_png(in, width, height, rgb);
  // A reader of its own: checks each chunk's sum, undoes the filters.
  ASSERT_EQ(python(R"(
import struct, sys, zlib
data, at, rows = open(sys.argv[1], "rb").read(), 8, b""
assert data[:8] == b"\x89PNG\r\n\x1a\n"
while at < len(data):
    size, = struct.unpack(">I", data[at:at + 4])
    body, total = data[at + 4:at + 8 + size], struct.unpack(">I", data[at + 8 + size:at + 12 + size])[0]
    assert zlib.crc32(body) == total, body[:4]
    if body[:4] == b"IHDR": wide, high = struct.unpack(">II", body[4:12])
    if body[:4] == b"IDAT": rows += body[4:]
    at += 12 + size
rows, before, pixels, used = zlib.decompress(rows), bytearray(3 * wide), b"", set()
for y in range(high):
    kind, row = rows[y * (3 * wide + 1)], bytearray(rows[y * (3 * wide + 1) + 1:(y + 1) * (3 * wide + 1)])
    used.add(kind)
    for i in range(3 * wide):
        a, b, c = (row[i - 3] if i >= 3 else 0), before[i], (before[i - 3] if i >= 3 else 0)
        paeth = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
        row[i] = (row[i] + (0, a, b, (a + b) // 2, paeth)[kind]) % 256
    before, pixels = row, pixels + bytes(row)
assert len(used) == 5, used
open(sys.argv[2], "wb").write(pixels))", in, out), 0);
  EXPECT_EQ(read(out), rgb);
  std::remove(in.c_str()), std::remove(out.c_str());
}

TEST(Png, AFileThatCannotBeWrittenIsAnError) {
  EXPECT_THROW(write_png("/no such folder/a.png", 1, 1, {0, 0, 0}), std::runtime_error);
}

}  // namespace
}  // namespace lander
