#!/usr/bin/env python3
"""Writes a C++ table of every function that keel.h declares: name, parameters, a way to call it, and which pointers its
doc calls nullable. The tests walk over this table, so that no function can be forgotten.

usage: functions.py <keel.h> <output>
"""

import re
import sys


def declarations(header):
    for doc, prototype in re.findall(r"((?:^//[^\n]*\n)+)KEEL_API ([^;]+);", header, flags=re.M):
        prototype = " ".join(prototype.replace("KEEL_CALL ", "").split())
        returned, name, parameters = re.match(r"(.*?)\s*(keel_\w+)\((.*)\)$", prototype).groups()
        parameters = [] if parameters == "void" else [split(one) for one in parameters.split(", ")]
        yield name, returned, parameters, " ".join(line.lstrip("/ ") for line in doc.splitlines())


def split(parameter):
    kind, name = re.match(r"(?:struct )?(.*?)(\w+)$", parameter).groups()
    return re.sub(r"\s+(\*+)$", r" \1", kind.strip()), name


def nullable(doc, name):
    """Whether the part of the doc that explains a parameter says so."""
    explained = re.search(rf"\b{name}: (.*?)(?= [a-z_]+: | Threads: | Status: |$)", doc)
    return bool(explained and "nullable" in explained.group(1))


def row(name, returned, parameters, doc):
    listed = ", ".join(f'{{"{kind}", "{one}", {str(nullable(doc, one)).lower()}}}' for kind, one in parameters)
    values = ", ".join(f"as<{kind}>(values[{index}])" for index, (kind, _) in enumerate(parameters))
    call = f"{name}({values})"
    body = f"return {call};" if returned == "keel_status" else f"(void){call}; return KEEL_OK;"
    fallible = str(returned == "keel_status").lower()
    return f'  {{"{name}", {fallible}, {{{listed}}}, [](const uint64_t *values) -> keel_status {{ (void)values; {body} }}}},'


def main():
    header, output = sys.argv[1:]
    with open(header, encoding="utf-8") as file:
        rows = [row(*one) for one in declarations(file.read())]
    if len(rows) < 65:
        sys.exit(f"functions.py: only {len(rows)} functions were found in {header}")
    with open(output, "w", encoding="utf-8") as file:
        file.write("\n".join(rows) + "\n")


main()
