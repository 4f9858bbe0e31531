#!/usr/bin/env python3
"""Writes a C++ table of every function of abi.json: name, parameters, a way to call it, and which pointers its doc calls
nullable. The tests walk over this table, so that no function can be forgotten.

usage: functions.py <abi.json> <output>
"""

import json
import sys


def row(function):
    name, returned, parameters = function["name"], function["returns"], function["parameters"]
    listed = ", ".join(f'{{"{one["type"]}", "{one["name"]}", {str(one["nullable"]).lower()}}}' for one in parameters)
    values = ", ".join(f"as<{one['type']}>(values[{index}])" for index, one in enumerate(parameters))
    call = f"{name}({values})"
    body = f"return {call};" if returned == "keel_status" else f"(void){call}; return KEEL_OK;"
    fallible = str(returned == "keel_status").lower()
    return f'  {{"{name}", {fallible}, {{{listed}}}, [](const uint64_t *values) -> keel_status {{ (void)values; {body} }}}},'


def main():
    description, output = sys.argv[1:]
    with open(description, encoding="utf-8") as file:
        rows = [row(one) for one in json.load(file)["functions"]]
    if len(rows) < 65:
        sys.exit(f"functions.py: only {len(rows)} functions were found in {description}")
    with open(output, "w", encoding="utf-8") as file:
        file.write("\n".join(rows) + "\n")


main()
