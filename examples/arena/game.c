#include "game.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "canvas.h"
#include "scene.h"

typedef struct {
  const Setup *setup;
  SDL_Window *window;
  SDL_Renderer *renderer;
  Learner learner;
  Hall hall;
  Scene scene;
  Meter meter;
  double first;
  int over, by_person;
} Game;

static int refused(const char *what) {
  fprintf(stderr, "arena: %s: %s\n", what, SDL_GetError());
  return 0;
}

static int open_window(Game *game) {
  const int headless = game->setup->headless;
  if (headless && SDL_setenv("SDL_VIDEODRIVER", "dummy", 0) != 0) return refused("no dummy display");
  if (SDL_Init(SDL_INIT_VIDEO) != 0) return refused("no display");
  game->window = SDL_CreateWindow("arena", SDL_WINDOWPOS_CENTERED, SDL_WINDOWPOS_CENTERED, SCENE_WIDTH, SCENE_HEIGHT, 0);
  if (!game->window) return refused("no window");
  game->renderer = SDL_CreateRenderer(game->window, -1, headless ? SDL_RENDERER_SOFTWARE : 0);
  if (!game->renderer) return refused("no renderer");
  return 1;
}

/* L: the next way to learn; P: the script plays, or a person again; Escape: the end. */
static int press(Game *game, SDL_Keycode key) {
  if (key == SDLK_ESCAPE) game->over = 1;
  if (key == SDLK_p) game->by_person = !game->by_person;
  return key != SDLK_l || learner_change(&game->learner, (game->learner.mode + 1) % LEARNER_MODES);
}

static int listen(Game *game) {
  SDL_Event event;
  while (SDL_PollEvent(&event)) {
    if (event.type == SDL_QUIT) game->over = 1;
    if (event.type == SDL_KEYDOWN && !event.key.repeat && !press(game, event.key.keysym.sym)) return 0;
  }
  return 1;
}

/* Arrows or WASD and space; or the left button towards the pointer and the right one for a dash. */
static Move person(const Game *game) {
  const Uint8 *keys = SDL_GetKeyboardState(NULL);
  int x, y;
  const Uint32 buttons = SDL_GetMouseState(&x, &y);
  const int right = keys[SDL_SCANCODE_RIGHT] || keys[SDL_SCANCODE_D], left = keys[SDL_SCANCODE_LEFT] || keys[SDL_SCANCODE_A];
  const int down = keys[SDL_SCANCODE_DOWN] || keys[SDL_SCANCODE_S], up = keys[SDL_SCANCODE_UP] || keys[SDL_SCANCODE_W];
  Move move = {{(float)(right - left), (float)(down - up)},
               keys[SDL_SCANCODE_SPACE] || buttons & SDL_BUTTON(SDL_BUTTON_RIGHT)};
  if (buttons & (SDL_BUTTON(SDL_BUTTON_LEFT) | SDL_BUTTON(SDL_BUTTON_RIGHT))) {
    const Vector aim = scene_place(x, y), place = game->hall.duels[HALL_SHOWN].discs[PLAYER].place;
    move.thrust = (Vector){8 * (aim.x - place.x), 8 * (aim.y - place.y)};
  }
  return move;
}

static void draw(Game *game) {
  const Learner *learner = &game->learner;
  const Caption caption = {learner_modes[learner->mode], learner->updates, learner->progress, game->by_person};
  scene_draw(game->renderer, &game->scene, &game->hall, &game->meter, caption);
  SDL_RenderPresent(game->renderer);
}

/* All that a frame does but wait. */
static int frame(Game *game) {
  Hall *const hall = &game->hall;
  if (!listen(game)) return 0;
  if (hall_asks(hall) && !learner_act(&game->learner, hall)) return 0;
  const Move move = person(game);
  hall_step(hall, game->by_person ? &move : NULL);
  if (hall_asks(hall) && !learner_observe(&game->learner, hall)) return 0;
  if (!learner_frame(&game->learner)) return 0;
  scene_follow(&game->scene, hall);
  if (hall->rounds <= HALL_RECENT) game->first = hall_skill(hall);
  if (hall->frame % ARENA_RATE == 0) meter_skill(&game->meter, hall_skill(hall));
  if (game->setup->paced || hall->frame % ARENA_RATE == 0) draw(game);
  return 1;
}

static double now_us(void) {
  return 1e6 * (double)SDL_GetPerformanceCounter() / (double)SDL_GetPerformanceFrequency();
}

static int loop(Game *game) {
  const double period = 1e6 / ARENA_RATE;
  const long frames = game->setup->seconds > 0 ? lround(game->setup->seconds * ARENA_RATE) : 0;
  double due = now_us();
  while (!game->over && (!frames || game->hall.frame < frames)) {
    const double begin = now_us();
    if (!frame(game)) return 0;
    const double end = now_us();
    meter_frame(&game->meter, end - begin);
    due = fmax(due + period, end); /* a late frame is not made up for */
    if (game->setup->paced && due > end) SDL_Delay((Uint32)((due - end) / 1000 + 0.5));
  }
  draw(game);
  return !game->setup->screenshot || canvas_save(game->renderer, game->setup->screenshot);
}

static int open_game(Game *game) {
  const Setup *setup = game->setup;
  if (!open_window(game) || !learner_open(&game->learner, setup->model, setup->seed)) return 0;
  game->learner.budget_us = setup->paced ? setup->budget_us : 0;
  game->by_person = !setup->headless;
  hall_open(&game->hall, setup->seed);
  return learner_change(&game->learner, setup->mode);
}

int game_play(const Setup *setup, Played *played) {
  static Game game;
  memset(&game, 0, sizeof game);
  game.setup = setup;
  int fine = open_game(&game) && loop(&game) && learner_hash(&game.learner, &played->hash);
  if (!learner_close(&game.learner, setup->model)) fine = 0;
  played->meter = game.meter;
  played->rounds = game.hall.rounds;
  played->updates = game.learner.updates;
  played->first = game.first;
  played->skill = hall_skill(&game.hall);
  SDL_DestroyRenderer(game.renderer);
  SDL_DestroyWindow(game.window);
  SDL_Quit();
  return fine;
}
