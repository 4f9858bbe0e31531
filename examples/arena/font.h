/* A font of 5 by 7 dots. */
#ifndef KEEL_EXAMPLE_FONT_H
#define KEEL_EXAMPLE_FONT_H

#ifdef __cplusplus
extern "C" {
#endif

enum { FONT_WIDTH = 5, FONT_HEIGHT = 7 };

/* Seven rows from the top, the leftmost dot is 16; NULL for what has no dots. Small letters are as capital ones. */
const unsigned char *font_rows(char letter);

#ifdef __cplusplus
}
#endif
#endif
