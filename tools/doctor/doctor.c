/* keel-doctor: says whether programs that use keel will run here, and what to do if not. It is linked to the C library alone,
   so that it starts where libkeel does not. */
#include "examine.h"
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char USAGE[] =
    "keel-doctor [--json] [--library PATH]   says what of keel, libtorch and CUDA is found, and what to do\n"
    "keel-doctor --fetch                     brings libtorch with CUDA into this tree (3 GB; needs python3 with pip)\n";

/* The tree is where the doctor's own file lies, whatever name it was called by. */
static bool find_tree(struct tree *tree) {
  const ssize_t length = readlink("/proc/self/exe", tree->prefix, sizeof tree->prefix - 1);
  if (length < 0) return false;
  tree->prefix[length] = '\0';
  for (int level = 0; level < 2; ++level)
    if (strrchr(tree->prefix, '/')) *strrchr(tree->prefix, '/') = '\0';
  snprintf(tree->libraries, sizeof tree->libraries, "%s/" KEEL_DOCTOR_LIBRARIES, tree->prefix);
  snprintf(tree->library, sizeof tree->library, "%s/" KEEL_DOCTOR_LIBRARY, tree->libraries);
  return true;
}

static int fetch(const struct tree *tree) {
  char program[PATH_MAX + 64];
  snprintf(program, sizeof program, "%s/share/keel/torch/wheels.py", tree->prefix);
  execlp("python3", "python3", program, tree->libraries, (char *)NULL);
  fprintf(stderr, "keel-doctor: --fetch needs python3 with pip\n"
                  "  apt-get install python3-pip (Debian, Ubuntu), or dnf install python3-pip (Fedora, RHEL)\n");
  return 1;
}

int main(int count, char **arguments) {
  struct tree tree;
  bool json = false;
  if (!find_tree(&tree)) {
    fprintf(stderr, "keel-doctor: /proc is not mounted\n");
    return 1;
  }
  for (int i = 1; i < count; ++i) {
    if (strcmp(arguments[i], "--fetch") == 0) return fetch(&tree);
    if (strcmp(arguments[i], "--json") == 0) {
      json = true;
    } else if (strcmp(arguments[i], "--library") == 0 && i + 1 < count) {
      snprintf(tree.library, sizeof tree.library, "%s%s", strchr(arguments[i + 1], '/') ? "" : "./", arguments[i + 1]);
      ++i;
    } else {
      const bool asked = strcmp(arguments[i], "--help") == 0;
      fputs(USAGE, asked ? stdout : stderr);
      return asked ? 0 : 2;
    }
  }
  struct keel keel;
  const char *ready_for = "cpu";
  examine_machine();
  const bool loaded = examine_library(&tree, &keel), driver = examine_driver();
  if (loaded) ready_for = examine_devices(&tree, &keel, driver);
  return json ? print_json(ready_for) : print_text(ready_for);
}
