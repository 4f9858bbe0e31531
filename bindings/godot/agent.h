/* A policy that acts for many bodies and learns while the game runs: keel, and nothing of the engine. */
#ifndef KEEL_GODOT_AGENT_H
#define KEEL_GODOT_AGENT_H

#include <keel/keel.h>

/* What a record consists of: nothing but float, nothing but int32_t, or more than one type. */
typedef enum { RECORD_FLOATS, RECORD_INTS, RECORD_BYTES } Record;

typedef struct {
  keel_session session; /* 0 before agent_begin and agent_open */
  keel_actor actor;
  keel_job update; /* under way, or 0 */
  int beside;      /* whether a thread of keel's has the update */
  Record observation, action;
  size_t action_bytes; /* of one record */
  keel_error error;    /* of the last call that failed */
} Agent;

/* Whether a call did nothing: below 0, or where a queue is full. */
static inline int agent_failed(keel_status status) { return status < 0 || status == KEEL_FULL; }

/* Each gives a status, and where it failed the sentence in error. */
keel_status agent_begin(Agent *agent, const char *model, const char *session);
keel_status agent_open(Agent *agent, const char *path);
keel_status agent_save(Agent *agent, const char *path);
keel_status agent_restore(Agent *agent, const char *path);
keel_status agent_configure(Agent *agent, const char *settings);
/* A share of learning: so many microseconds here, or a look at the thread that learns. KEEL_OK when an update has ended. */
keel_status agent_learn(Agent *agent, uint64_t budget_us, keel_report *report);
keel_status agent_learn_beside(Agent *agent, keel_report *report);
/* JSON, to be freed; NULL says that error has a sentence. */
char *agent_metrics(Agent *agent);
char *agent_layout(Agent *agent);

/* A sentence of this extension's; gives the status back. */
keel_status agent_refuse(Agent *agent, keel_status status, const char *sentence);

/* Ends all that the agent has; an update under way comes to no end. */
void agent_end(Agent *agent);
/* Ends what all agents share. */
void agents_end(void);

#endif
