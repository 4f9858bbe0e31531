/* What the snippets of the guide take for granted. */
#include <string.h>
#ifdef __cplusplus
#include <chrono>
#include <optional>
#include <string>
#include <vector>
#include "keel/keel.hpp"
#else
#include "keel/keel.h"
#endif

#ifdef __cplusplus
extern keel::Runtime runtime;
extern keel::Session session;
bool game_runs();
void say(const std::string &sentence);
void act_and_observe();
void draw_frame();
#else
extern keel_error error;
extern keel_runtime runtime;
extern keel_session session;
extern void check(keel_status status);
extern int game_runs(void);
extern void act_and_observe(void);
extern void draw_frame(void);
#endif
