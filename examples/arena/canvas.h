/* Shapes and letters on an SDL renderer, without another library. Knows nothing of the game. */
#ifndef KEEL_EXAMPLE_CANVAS_H
#define KEEL_EXAMPLE_CANVAS_H

#include <SDL.h>

/* 0xRRGGBB, and how much of it: 1 covers. */
SDL_Color canvas_colour(unsigned code, double opacity);
void canvas_box(SDL_Renderer *to, float x, float y, float width, float height, SDL_Color colour);
void canvas_line(SDL_Renderer *to, float x0, float y0, float x1, float y1, float thickness, SDL_Color colour);
/* With a hard edge; at most 300 pixels in radius. */
void canvas_disc(SDL_Renderer *to, float x, float y, float radius, SDL_Color colour);
/* Between two radii, with soft edges; inner is at least 1. */
void canvas_ring(SDL_Renderer *to, float x, float y, float inner, float outer, SDL_Color colour);
/* Capital letters, digits and . : % - / ; each 5 by 7 dots of this size, 6 dots from one to the next. */
void canvas_text(SDL_Renderer *to, float x, float y, float dot, SDL_Color colour, const char *text);
/* What is on the renderer as a PNG file; 0, with the reason on stderr, where that fails. */
int canvas_save(SDL_Renderer *from, const char *path);

#endif
