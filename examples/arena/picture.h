/* A PNG file by examples/lander's writer. */
#ifndef KEEL_EXAMPLE_PICTURE_H
#define KEEL_EXAMPLE_PICTURE_H

#ifdef __cplusplus
extern "C" {
#endif

/* rgb: height * width * 3 bytes. 0 where the file cannot be written. */
int picture_write(const char *path, int width, int height, const unsigned char *rgb);

#ifdef __cplusplus
}
#endif
#endif
