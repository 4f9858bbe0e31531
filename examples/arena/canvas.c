#include "canvas.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "font.h"
#include "picture.h"

enum { PARTS = 96, SPANS = 600 }; /* of a circle; rows of a disc, at most */

SDL_Color canvas_colour(unsigned code, double opacity) {
  return (SDL_Color){(Uint8)(code >> 16), (Uint8)(code >> 8), (Uint8)code, (Uint8)(255 * opacity + 0.5)};
}

/* What covers is written, which is quicker than mixing it in. */
static void use(SDL_Renderer *to, SDL_Color colour) {
  SDL_SetRenderDrawBlendMode(to, colour.a == 255 ? SDL_BLENDMODE_NONE : SDL_BLENDMODE_BLEND);
  SDL_SetRenderDrawColor(to, colour.r, colour.g, colour.b, colour.a);
}

void canvas_box(SDL_Renderer *to, float x, float y, float width, float height, SDL_Color colour) {
  use(to, colour);
  SDL_RenderFillRectF(to, &(SDL_FRect){x, y, width, height});
}

void canvas_line(SDL_Renderer *to, float x0, float y0, float x1, float y1, float thickness, SDL_Color colour) {
  const float size = hypotf(x1 - x0, y1 - y0), across = size > 0 ? thickness / 2 / size : 0;
  const float x = (y0 - y1) * across, y = (x1 - x0) * across;
  const SDL_Vertex corners[] = {{{x0 + x, y0 + y}, colour, {0, 0}},
                                {{x0 - x, y0 - y}, colour, {0, 0}},
                                {{x1 + x, y1 + y}, colour, {0, 0}},
                                {{x1 - x, y1 - y}, colour, {0, 0}}};
  SDL_SetRenderDrawBlendMode(to, SDL_BLENDMODE_BLEND);
  SDL_RenderGeometry(to, NULL, corners, 4, (const int[]){0, 1, 2, 1, 2, 3}, 6);
}

/* A band between two radii, of one colour at each. */
static void band(SDL_Renderer *to, float x, float y, float inner, SDL_Color inside, float outer, SDL_Color outside) {
  SDL_Vertex corners[2 * PARTS];
  int order[6 * PARTS];
  for (int i = 0; i < PARTS; ++i) {
    const float angle = (float)i * 6.2831853f / PARTS, across = cosf(angle), up = sinf(angle);
    const int next = (i + 1) % PARTS;
    const int square[] = {2 * i, 2 * i + 1, 2 * next, 2 * i + 1, 2 * next, 2 * next + 1};
    corners[2 * i] = (SDL_Vertex){{x + inner * across, y + inner * up}, inside, {0, 0}};
    corners[2 * i + 1] = (SDL_Vertex){{x + outer * across, y + outer * up}, outside, {0, 0}};
    for (int j = 0; j < 6; ++j) order[6 * i + j] = square[j];
  }
  SDL_SetRenderDrawBlendMode(to, SDL_BLENDMODE_BLEND);
  SDL_RenderGeometry(to, NULL, corners, 2 * PARTS, order, 6 * PARTS);
}

void canvas_disc(SDL_Renderer *to, float x, float y, float radius, SDL_Color colour) {
  SDL_Rect spans[SPANS];
  int count = 0;
  for (int row = (int)ceilf(y - radius); row <= y + radius && count < SPANS; ++row) {
    const float half = sqrtf(fmaxf(0, radius * radius - ((float)row - y) * ((float)row - y)));
    spans[count++] = (SDL_Rect){(int)lroundf(x - half), row, (int)lroundf(2 * half), 1};
  }
  use(to, colour);
  SDL_RenderFillRects(to, spans, count);
}

void canvas_ring(SDL_Renderer *to, float x, float y, float inner, float outer, SDL_Color colour) {
  const SDL_Color clear = {colour.r, colour.g, colour.b, 0};
  band(to, x, y, inner - 1, clear, inner, colour);
  band(to, x, y, inner, colour, outer, colour);
  band(to, x, y, outer, colour, outer + 1.2f, clear);
}

void canvas_text(SDL_Renderer *to, float x, float y, float dot, SDL_Color colour, const char *text) {
  for (; *text; ++text, x += (FONT_WIDTH + 1) * dot) {
    const unsigned char *rows = font_rows(*text);
    for (int dots = 0; rows && dots < FONT_WIDTH * FONT_HEIGHT; ++dots) {
      const int row = dots / FONT_WIDTH, column = dots % FONT_WIDTH;
      if (rows[row] >> (FONT_WIDTH - 1 - column) & 1)
        canvas_box(to, x + (float)column * dot, y + (float)row * dot, dot, dot, colour);
    }
  }
}

int canvas_save(SDL_Renderer *from, const char *path) {
  int width, height, fine = 0;
  if (SDL_GetRendererOutputSize(from, &width, &height) != 0) return fprintf(stderr, "arena: %s\n", SDL_GetError()), 0;
  unsigned char *rgb = malloc(3 * (size_t)width * (size_t)height);
  if (rgb && SDL_RenderReadPixels(from, NULL, SDL_PIXELFORMAT_RGB24, rgb, 3 * width) == 0)
    fine = picture_write(path, width, height, rgb);
  free(rgb);
  if (!fine) fprintf(stderr, "arena: cannot write %s\n", path);
  return fine;
}
