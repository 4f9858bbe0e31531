#include "report.h"

#include <stdarg.h>
#include <stdio.h>

struct finding {
  const char *name;
  enum state state;
  char text[1500], advice[1500];
};

static struct finding findings[32];
static unsigned count;
static const char *const STATES[] = {"ok", "none", "wrong", "broken"};

void found(const char *name, enum state state, const char *format, ...) {
  if (count == sizeof findings / sizeof *findings) return;
  struct finding *finding = &findings[count++];
  finding->name = name;
  finding->state = state;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(finding->text, sizeof finding->text, format, arguments);
  va_end(arguments);
}

void advise(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(findings[count - 1].advice, sizeof findings->advice, format, arguments);
  va_end(arguments);
}

static const struct finding *first_broken(void) {
  for (unsigned i = 0; i < count; ++i)
    if (findings[i].state == BROKEN) return &findings[i];
  return NULL;
}

int print_text(const char *ready_for) {
  for (unsigned i = 0; i < count; ++i) {
    printf("%-14s %-7s %s\n", findings[i].name, STATES[findings[i].state], findings[i].text);
    if (findings[i].advice[0] != '\0') printf("%-14s %-7s do: %s\n", "", "", findings[i].advice);
  }
  const struct finding *broken = first_broken();
  if (broken)
    printf("doctor: not ready: %s\n", broken->advice);
  else
    printf("doctor: ready for %s\n", ready_for);
  return broken != NULL;
}

static void print_string(const char *text) {
  putchar('"');
  for (; *text != '\0'; ++text) {
    if (*text == '"' || *text == '\\') putchar('\\');
    if ((unsigned char)*text < 0x20)
      printf("\\u%04x", (unsigned char)*text);
    else
      putchar(*text);
  }
  putchar('"');
}

int print_json(const char *ready_for) {
  const struct finding *broken = first_broken();
  printf("{\"ready\": ");
  broken ? (void)printf("null") : print_string(ready_for);
  printf(", \"do\": ");
  broken ? print_string(broken->advice) : (void)printf("null");
  printf(", \"findings\": [");
  for (unsigned i = 0; i < count; ++i) {
    printf("%s\n  {\"name\": ", i == 0 ? "" : ",");
    print_string(findings[i].name);
    printf(", \"state\": \"%s\", \"text\": ", STATES[findings[i].state]);
    print_string(findings[i].text);
    printf(", \"do\": ");
    findings[i].advice[0] != '\0' ? print_string(findings[i].advice) : (void)printf("null");
    printf("}");
  }
  printf("\n]}\n");
  return broken != NULL;
}
