#include "picture.h"

#include <exception>

#include "png.hpp"

int picture_write(const char *path, int width, int height, const unsigned char *rgb) try {
  lander::write_png(path, width, height, lander::Bytes(rgb, rgb + 3L * width * height));
  return 1;
} catch (const std::exception &) {
  return 0;
}
