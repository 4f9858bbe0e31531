#!/usr/bin/env python3
"""Drives `make bench-frames`: frames at 60 Hz without and with a learner in turns. See README.md.

    bench.py HOST [--quick]     --quick: windows of one second, to try the benchmark out; its figures say nothing
"""

import argparse
import json
import os
import re
import statistics
import subprocess
from pathlib import Path

PLACE = Path(__file__).resolve().parent.parent.parent / "target" / "bench"
MODES = ("off", "job", "pump", "blocking")
# Of its time, that a started job works; the part control_whole tells what one does that never rests.
SHARE = 0.25
# What keel means to hold; a figure beyond it is marked, never refused.
RATIO, LATE, SLICES, CALL = 1.05, 0.001, 1, 10


def say(text):
    print(text, flush=True)


def lines(*command):
    """The lines of JSON that a program prints."""
    ran = subprocess.run([str(part) for part in command], check=True, text=True, stdout=subprocess.PIPE)
    return [json.loads(line) for line in ran.stdout.splitlines()]


def measure(host, quick):
    seconds, rounds = (1, 2) if quick else (10, 10)
    found = []
    for part in (("call",), ("control", seconds, rounds, SHARE), ("control", seconds, max(1, rounds // 5), 1),
                 ("language", seconds, max(1, rounds // 5), SHARE)):
        say(f"bench: {' '.join(map(str, part))}, load average {os.getloadavg()[0]:.1f}")
        found += lines(host, *part)
    return found


# --- what it says ----------------------------------------------------------------------------------------------------


def ratios(of):
    """p99 of the host's work in each window with a learner against that of the window before it, by mode."""
    found = {mode: [] for mode in MODES}
    for before, window in zip(of, of[1:]):
        if before["mode"] == "off" and window["mode"] != "off":
            found[window["mode"]].append(window["work_p99"] / before["work_p99"])
    return found


def late(windows):
    return sum(window["late"] for window in windows) / sum(window["deadlines"] for window in windows)


def frames_table(found, part):
    """The late frames of each mode, and the median of the ratios with a job."""
    of = [line for line in found if line["part"] == part and "mode" in line]
    ratio = ratios(of)
    say(f"\n{part + ', 60 Hz':22} {'windows':>8} {'late':>9} {'work p50 · p99, ms':>20} {'p99 on/off':>11} {'busy':>6} "
        f"{'act, observe: allocations · waits':>35}")
    share = {}
    for mode in MODES:
        own = [window for window in of if window["mode"] == mode]
        share[mode] = late(own)
        work = " · ".join(f"{statistics.median(w[key] for w in own) / 1000:.2f}" for key in ("work_p50", "work_p99"))
        on_off = f"{statistics.median(ratio[mode]):.3f}" if ratio[mode] else ""
        counts = " · ".join(str(sum(window[key] for window in own)) for key in ("allocations", "waits"))
        say(f"{mode:22} {len(own):>8} {share[mode]:9.2%} {work:>20} {on_off:>11} "
            f"{statistics.mean(window['busy'] for window in own):6.2f} {counts:>35}")
    return share, statistics.median(ratio["job"])


def calls_table(found, part):
    """What the learner's calls cost the host's thread, and what it said of its slices."""
    line = next(line for line in found if line["part"] == part and "calls" in line)
    title = f"{part}: pump({line['budget']}), µs"
    say(f"\n{title:36} {'p50':>10} {'p99':>10} {'most':>10}")
    for what, times in line["calls"].items():
        say(f"{what:36} {times['p50']:10.2f} {times['p99']:10.2f} {times['max']:10.2f}")
    return line["calls"]


def call_table(found):
    line = next(line for line in found if line["part"] == "call")
    say("\nns a call: " + ", ".join(f"{what} {time}" for what, time in line.items() if what != "part"))
    return line["Batch::rows"] - line["empty"]


def machine():
    text = Path("/proc/cpuinfo").read_text()
    name = re.search(r"model name\s*: (.+)", text)
    return f"{os.cpu_count()} cores, {name.group(1) if name else 'unknown'}"


def asked(what, figure, most):
    say(f"{what:44} {figure:9.4f}   asked for ≤ {most:.4f}{'' if figure <= most else '   MISSED'}")


def main():
    parser = argparse.ArgumentParser(prog="bench.py", description=__doc__.split("\n\n")[0])
    parser.add_argument("host", type=Path, help="the program frames_bench")
    parser.add_argument("--quick", action="store_true", help="windows of one second")
    chosen = parser.parse_args()
    found = measure(chosen.host.resolve(), chosen.quick)
    PLACE.mkdir(parents=True, exist_ok=True)
    (PLACE / "frames.jsonl").write_text("".join(json.dumps(line) + "\n" for line in found))
    say(f"\n{machine()}; load average {os.getloadavg()[0]:.1f}")
    control, ratio = frames_table(found, "control")
    frames_table(found, "control_whole")
    over = calls_table(found, "control")["pump: overshoot in slices"]["p99"]
    model = next(line["info"] for line in found if line["part"] == "model")
    say(f"\nThe language model has {model['parameters']:,} parameters.")
    language, _ = frames_table(found, "language")
    calls_table(found, "language")
    call = call_table(found)
    say("")
    asked("job: p99 of the host's work, on/off", ratio, RATIO)
    asked("job: late frames", control["job"], control["off"] + LATE)
    asked("pump: late frames", control["pump"], control["off"] + LATE)
    asked("pump: overshoot in slices, p99", over, SLICES)
    asked("a language model by job: late frames", language["job"], language["off"] + LATE)
    asked("a call, ns", call, CALL)
    print("BENCH", json.dumps({"p99_ratio_job": round(ratio, 3), **{f"late_{mode}": round(control[mode], 4)
                               for mode in ("job", "pump", "off", "blocking")},
                               "overshoot_slices_p99": round(over, 3), "call_ns": round(call, 1)}))


if __name__ == "__main__":
    main()
