/* What keel-doctor found, in the order in which it looked, and what to do about it. */
#ifndef KEEL_DOCTOR_REPORT_H
#define KEEL_DOCTOR_REPORT_H

/* FOUND: as it should be. ABSENT: not there, and keel works without it. WRONG: something cannot be used. BROKEN: keel cannot. */
enum state { FOUND, ABSENT, WRONG, BROKEN };

void found(const char *name, enum state state, const char *format, ...);
/* What to do about the last finding. */
void advise(const char *format, ...);
/* Prints everything and the verdict; ready_for is "cpu" or "cuda". The exit status: 1 if a finding is BROKEN. */
int print_text(const char *ready_for);
int print_json(const char *ready_for);

#endif
