#!/usr/bin/env python3
"""Drives `make bench-bindings`: what each call of the Go and C# bindings costs beside the same function of keel called bare.

    bench.py PREFIX     an installed keel, of its release profile

Both languages time the idiomatic call and bare cgo or P/Invoke in turns, in one process; a ratio is the median of the rounds'.
The last line holds each language's largest, in C# over Mono and .NET.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
# What keel means to hold; a figure beyond it is marked, never refused.
RATIO = 1.3


def ran(*command, place=ROOT, **environment):
    done = subprocess.run([str(part) for part in command], cwd=place, env=dict(os.environ, **environment), check=True, text=True,
                          stdout=subprocess.PIPE)
    print(done.stdout, end="", flush=True)
    return done.stdout


def told(text, key):
    """The figures of the lines of JSON that have this key: the largest, and the most allocations."""
    lines = [json.loads(line) for line in re.findall(r"^\{.*\}$", text, re.MULTILINE)]
    found = [line for line in lines if key in line]
    return max(line[key] for line in found), max(line["allocations"] for line in found)


def main():
    prefix = Path(sys.argv[1]).resolve()
    print(f"bench: load average {os.getloadavg()[0]:.1f}", flush=True)
    go, go_allocations = told(ran("go", "run", ".", place=ROOT / "benches/bindings/go", PKG_CONFIG_PATH=f"{prefix}/lib/pkgconfig",
                                  LD_LIBRARY_PATH=f"{prefix}/lib", GOTOOLCHAIN="local", GOPROXY="off",
                                  GOFLAGS="-mod=mod -buildvcs=false"), "go_ratio")
    csharp, csharp_allocations = told(ran("bindings/csharp/test", prefix, "bench"), "csharp_ratio")
    for what, figure in (("Go, idiomatic / bare cgo", go), ("C#, idiomatic / bare P/Invoke", csharp)):
        print(f"{what:44} {figure:9.3f}   asked for ≤ {RATIO}{'' if figure <= RATIO else '   MISSED'}")
    print("BENCH", json.dumps({"go_ratio": round(go, 3), "csharp_ratio": round(csharp, 3), "go_allocations": go_allocations,
                               "csharp_allocations": csharp_allocations}))


main()
