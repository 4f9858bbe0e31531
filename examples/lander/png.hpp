//! Writes PNG files without a library: rows filtered, then deflated with the fixed code of RFC 1951.
//! Refuses palettes, transparency and reading.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lander {

using Bytes = std::vector<std::uint8_t>;

/// `rgb`: height · width · 3 bytes, sRGB. Throws std::runtime_error where the file cannot be written.
void write_png(const std::string &path, int width, int height, const Bytes &rgb);

/// The whole file.
Bytes png(int width, int height, const Bytes &rgb);

/// A zlib stream (RFC 1950) of these bytes.
Bytes compressed(const Bytes &bytes);

}  // namespace lander
