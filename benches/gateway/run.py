#!/usr/bin/env python3
"""The figures umcp must reach, measured against the floor of the same run, and the best peer where it is installed.

  run.py --bin DIR --umcp PROGRAM --work DIR [--inst DIR] [--rounds 5] [--eras legacy,modern] [--rows 1,2,…]
         [--quick] [--search PROGRAM] [--json FILE]

Prints one table. Every ratio is taken between neighbours of one round; the median of the rounds is shown. Exit
code 0 when nothing is a gross miss: twice beyond its goal, a lost or a hung call. `--strict` fails on any miss,
`--wrong-only` on lost, hung and wrong calls only: for machines too noisy to judge speed by.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import bench
from gateways import ALL, crate

CALLS = {"http": "1024:1:{a},1024:16:{b},1024:64:{b},102400:1:{c},102400:16:{d},102400:64:{d},1024:1:50",
         "stdio": "1024:1:{a},1024:16:{b},102400:1:{c},102400:16:{d},102400:64:{d},1024:1:50"}
FULL = {"a": 4000, "b": 16000, "c": 600, "d": 800}
# How far beyond its goal a figure counts that is not slow but wrong: a lost call, a second process.
WRONG = 99
QUICK = {"a": 1500, "b": 4000, "c": 200, "d": 300}
# Hangs for good at many large calls at once, so that a round with it would take minutes.
PEER_CALLS = {"http": "1024:1:{a},1024:16:{b},1024:64:{b},102400:1:{c}", "stdio": "1024:1:{a},1024:16:{b},102400:1:{c}"}
PEER = {"http": "mcp-proxy-rust", "stdio": "mcpzip"}
PEER_CRATE = {"mcp-proxy-rust": "mcp-proxy", "mcpzip": "mcpzip"}


@dataclass
class Line:
    """One line of the table. `worse` is how far beyond its goal the figure is: up to 1 is good."""
    row: int
    metric: str
    floor: str
    peer: str
    umcp: str
    ratio: str
    goal: str
    worse: float | None

    @property
    def verdict(self) -> str:
        return "skipped" if self.worse is None else "ok" if self.worse <= 1 else "MISS" if self.worse <= 2 else "GROSS MISS"


def num(x: float | None, digits: int = 3) -> str:
    return "–" if x is None else f"{x:,.0f}" if abs(x) >= 100 else f"{x:.{digits}g}"


def med(xs):
    xs = [x for x in xs if x is not None]
    return statistics.median(xs) if xs else None


class Run:
    """What was measured: by phase, era and gateway, one result for each round (`None` where it failed)."""

    def __init__(self, a):
        self.a = a
        self.results: dict[tuple, list] = {}
        self.failed: set[str] = set()
        self.peers = [p for p in PEER.values() if a.inst and crate(Path(a.inst), PEER_CRATE[p]).exists()]

    def do(self, phase: str, era: str, name: str, n: int, tools: int, options: list[str], **more) -> None:
        r = bench.once(ALL[name], self.a, n, tools, ["--ready-ms", "20000", *options], era=era, timeout=90, **more)
        why = [r["failed"]] if "failed" in r else [c["first_error"] for c in r.get("cases", []) if c.get("first_error")]
        self.failed |= {f"{name}, {phase}, {era}: {w[:160]}" for w in why}
        self.results.setdefault((phase, era, name), []).append(None if "failed" in r else r)

    def group(self, phase: str, era: str, names: list[str], *args, **more) -> None:
        """Neighbours of one round, in any order."""
        for name in random.sample(names, len(names)):
            self.do(phase, era, name, *args, **more)

    def of(self, phase, era, name, get):
        """One value for each round."""
        return [r and get(r) for r in self.results.get((phase, era, name), [])]


def case(size: int, conc: int, key: str):
    def get(r):
        hits = [c for c in r["cases"] if (c["size"], c["conc"]) == (size, conc) and c.get("n")]
        return hits[0].get(key) if hits else None
    return get


def measure(run: Run, rows: set[int]) -> None:
    a = run.a
    sizes = QUICK if a.quick else FULL
    limit = ["--limit-ms", "800" if a.quick else "2000"]
    settle = ["--settle-ms", "200" if a.quick else "500"]
    # Idle is two seconds after the last work: by then everybody has given back what the start left behind.
    idle = ["--settle-ms", "2500"]
    wants = lambda *which: bool(rows & set(which))
    for _ in range(a.rounds):
        for era in a.eras.split(","):
            for front in ("http", "stdio"):
                if wants(1, 3, 4, 6, 7) if front == "http" else wants(2, 5, 6, 7):
                    cases = CALLS[front].format(**sizes)
                    run.group("calls", era, [f"floor-{front}", f"umcp-{front}"], 1, 1, ["--cases", cases, *limit, *settle])
                    if PEER[front] in run.peers and era == "legacy":
                        cases = PEER_CALLS[front].format(**sizes)
                        run.do("calls", era, PEER[front], 1, 1, ["--cases", cases, *limit, *settle])
        peers = lambda *fronts: [PEER[f] for f in fronts if PEER[f] in run.peers]
        for n in (1, 10, 50):
            if wants(8):
                run.group(f"warm{n}", "legacy", ["umcp-http", "umcp-stdio", *peers("stdio")], n, 1, settle)
            if wants(9) and n == 50 or wants(11) and n != 10:
                names = ["floor-http", "umcp-http", "umcp-stdio", *peers("http")]
                run.group(f"cold{n}", "legacy", names, n, 1, idle if wants(11) else settle, warm=False)
        if wants(10):
            run.group("list", "legacy", ["floor-http", "umcp-http", *peers("http")], 10, 100, ["--list", "50"])
        if wants(12):
            run.group("sessions", "legacy", ["floor-http", "umcp-http", *peers("http")], 1, 1, ["--sessions", "100"])
        if wants(13):
            run.group("equal", "legacy", ["floor-http", "umcp-http", *peers("http")], 1, 1, ["--equal", "10", *settle], counter=True)
        if wants(14):
            run.group("kill", "legacy", ["umcp-http", *peers("http")], 2, 1, ["--kill", "s00", *settle])


def ratio_line(run: Run, row: int, metric: str, phase: str, era: str, front: str, get, goal: float, most: bool, unit="") -> Line:
    """A figure as ratio to the floor's of the same round. `most`: the ratio may be at most `goal`, else at least."""
    floor, ours = run.of(phase, era, f"floor-{front}", get), run.of(phase, era, f"umcp-{front}", get)
    ratio = med([u / f for u, f in zip(ours, floor) if u and f])
    peer = med(run.of(phase, era, PEER[front], get))
    worse = None if ratio is None else ratio / goal if most else goal / ratio
    sign = "≤" if most else "≥"
    return Line(row, metric + unit, num(med(floor)), num(peer), num(med(ours)), num(ratio), f"{sign} {goal}", worse if ratio else WRONG)


def value_line(row: int, metric: str, floor, peer, ours, goal: float, ok_too: bool = True) -> Line:
    """A figure that has to be at most `goal`, whatever the floor's is. `ok_too`: what else has to hold."""
    worse = 99.0 if ours is None or not ok_too else ours / goal
    ratio = num(ours / floor) if ours and floor else "–"
    return Line(row, metric, num(floor), num(peer), num(ours), ratio, f"≤ {num(goal)}", worse)


def call_lines(run: Run, era: str):
    p50, per_s, cpu = "p50_us", "per_s", "cpu_us"
    e = f", {era}"
    line = lambda *args, **more: ratio_line(run, *args, **more)
    yield line(1, f"1 KiB p50, HTTP{e}", "calls", era, "http", case(1024, 1, p50), 1.25, True, " µs")
    yield line(2, f"1 KiB p50, stdio{e}", "calls", era, "stdio", case(1024, 1, p50), 1.75, True, " µs")
    yield line(3, f"CPU per 1 KiB call, HTTP, 16 in flight{e}", "calls", era, "http", case(1024, 16, cpu), 1.6, True, " µs")
    yield line(4, f"calls/s HTTP, 16 in flight{e}", "calls", era, "http", case(1024, 16, per_s), 0.6, False)
    yield line(4, f"calls/s HTTP, 64 in flight{e}", "calls", era, "http", case(1024, 64, per_s), 0.7, False)
    yield line(5, f"calls/s stdio, 16 in flight{e}", "calls", era, "stdio", case(1024, 16, per_s), 0.3, False)
    yield line(6, f"100 KiB p50, HTTP{e}", "calls", era, "http", case(102400, 1, p50), 1.3, True, " µs")
    yield line(6, f"100 KiB p50, stdio{e}", "calls", era, "stdio", case(102400, 1, p50), 1.6, True, " µs")
    for front in ("http", "stdio"):
        for conc in (16, 64):
            yield line(7, f"100 KiB calls/s, {front}, {conc} in flight{e}", "calls", era, front, case(102400, conc, per_s), 0.5, False)
        yield lost_line(run, era, front)


def lost_line(run: Run, era: str, front: str) -> Line:
    """Calls of all cases that were answered wrongly or not at all; a run that failed counts as one."""
    def lost(name):
        runs = run.results.get(("calls", era, name), [])
        return sum(1 if r is None else sum(c["errors"] + (not c.get("n")) for c in r["cases"]) for r in runs)
    ours = lost(f"umcp-{front}")
    return Line(7, f"lost or hung calls, {front}, {era}", str(lost(f"floor-{front}")), "–", str(ours), "–", "0", WRONG if ours else 0)


def start_lines(run: Run):
    ready = lambda r: r["ready_ms"]
    get = lambda phase, name, key: med(run.of(phase, "legacy", name, key))
    for front in ("http", "stdio"):
        for n in (1, 10, 50):
            if run.of(f"warm{n}", "legacy", f"umcp-{front}", ready):
                peer = get(f"warm{n}", "mcpzip", ready) if front == "stdio" else None
                yield value_line(8, f"stored catalogue to full list, {front}, {n} upstreams, ms", None, peer,
                                 get(f"warm{n}", f"umcp-{front}", ready), 15)
    if run.of("cold50", "legacy", "umcp-http", ready):
        yield ratio_line(run, 9, "no catalogue to full list, HTTP, 50 upstreams", "cold50", "legacy", "http", ready, 1.5, True, " ms")
    if run.of("list", "legacy", "umcp-http", ready):
        p50 = lambda r: r["list"]["p50_us"] / 1000
        yield value_line(10, "tools/list of 1,000 tools, ms", get("list", "floor-http", p50), get("list", "mcp-proxy-rust", p50),
                         get("list", "umcp-http", p50), 0.5)
    for n, goal in ((1, 14), (50, 16)):
        if run.of(f"cold{n}", "legacy", "umcp-stdio", ready):
            rss = lambda r: r["idle"]["rss_kib"] / 1024
            part = lambda part, key: get(f"cold{n}", "umcp-stdio", lambda r: r["idle"][part][key] / 1024)
            floor, peer = get(f"cold{n}", "floor-http", rss), get(f"cold{n}", "mcp-proxy-rust", rss)
            yield value_line(11, f"daemon RSS, {n} upstreams running, MiB", floor, peer, part("daemon", "rss_kib"), goal)
            yield Line(11, f"daemon PSS, {n} upstreams running, MiB", "–", "–", num(part("daemon", "pss_kib")), "–", "(told)", 0)
            yield value_line(11, f"bridge PSS, {n} upstreams, MiB", None, None, part("front", "pss_kib"), 3)


def other_lines(run: Run, search: str | None):
    get = lambda phase, name, key: med(run.of(phase, "legacy", name, key))
    names = ("floor-http", "mcp-proxy-rust", "umcp-http")
    if run.results.get(("sessions", "legacy", "umcp-http")):
        s = lambda key: [get("sessions", n, lambda r: r["sessions"][key]) for n in names]
        good, fixtures = s("good")[2], s("fixtures")[2]
        yield Line(12, "100 clients at once: served", *map(num, s("good")), "–", "100", 0 if good == 100 else WRONG)
        yield value_line(12, "100 clients at once: all done, s", *s("secs"), 0.15)
        yield value_line(12, "100 clients at once: RSS added, MiB",
                         *[x and x / 1024 for x in s("rss_added_kib")], 10)
        yield Line(12, "100 clients at once: upstream processes", *map(num, s("fixtures")), "–", "1", 0 if fixtures == 1 else WRONG)
    if run.results.get(("equal", "legacy", "umcp-http")):
        reached = [get("equal", n, lambda r: r["equal"]["reached"]) for n in names]
        yield Line(13, "equal calls that reach the upstream, of 10", *map(num, reached), "–", "10", 0 if reached[2] == 10 else WRONG)
    if run.results.get(("kill", "legacy", "umcp-http")):
        k = lambda key: [get("kill", n, lambda r: r["kill"][key]) for n in names[1:]]
        tries, ms, others = k("tries"), k("recovered_ms"), k("others_failed")
        yield Line(14, "calls until a killed upstream answers", "–", num(tries[0]), num(tries[1]), "–", "1", tries[1] if tries[1] else WRONG)
        yield value_line(14, "time until then, ms", None, ms[0], ms[1], 50)
        yield Line(14, "failed calls of the other upstream", "–", num(others[0]), num(others[1]), "–", "0", 0 if others[1] == 0 else WRONG)
    if search:
        yield from search_lines(search)


def search_lines(program: str):
    """The search benchmark's own words: `search   p50 312µs, p99 1ms, worst …`."""
    text = subprocess.run([program, "--bench"], capture_output=True, text=True, timeout=300).stdout
    unit = {"ns": 1e-6, "µs": 1e-3, "ms": 1.0, "s": 1e3}
    for key, goal in (("p50", 1), ("p99", 3)):
        hit = re.search(rf"^search .*?\b{key} ([\d.]+)(ns|µs|ms|s)\b", text, re.M)
        yield value_line(15, f"search of 10,000 tools, {key}, ms", None, None, hit and float(hit[1]) * unit[hit[2]], goal)


def show(lines: list[Line], run: Run, began: float) -> None:
    print("| # | metric | floor | best peer | umcp | ratio | goal | verdict |\n|---|---|---|---|---|---|---|---|")
    for x in sorted(lines, key=lambda x: x.row):
        print(f"| {x.row} | {x.metric} | {x.floor} | {x.peer} | {x.umcp} | {x.ratio} | {x.goal} | {x.verdict} |")
    count = lambda v: sum(x.verdict == v for x in lines)
    print(f"\n{count('ok')} ok, {count('MISS')} missed, {count('GROSS MISS')} missed grossly; {run.a.rounds} rounds in "
          f"{time.time() - began:.0f} s; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; "
          f"peers: {', '.join(run.peers) or 'none installed'}")
    for why in sorted(run.failed):
        print("failed: " + " ".join(why.split()))


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bin", required=True)
    p.add_argument("--umcp", required=True)
    p.add_argument("--work", required=True)
    p.add_argument("--inst", default="")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--eras", default="legacy,modern")
    p.add_argument("--rows", default=",".join(map(str, range(1, 16))))
    p.add_argument("--quick", action="store_true")
    p.add_argument("--strict", action="store_true")
    p.add_argument("--wrong-only", action="store_true")
    p.add_argument("--search", help="the built search benchmark")
    p.add_argument("--json", help="where to keep every result")
    a = p.parse_args()
    rows = {int(r) for r in a.rows.split(",")}
    began = time.time()
    run = Run(a)
    measure(run, rows)
    lines = [line for era in a.eras.split(",") for line in call_lines(run, era)] if rows & set(range(1, 8)) else []
    lines += [*start_lines(run), *other_lines(run, a.search if 15 in rows else None)]
    lines = [line for line in lines if line.row in rows]
    show(lines, run, began)
    if a.json:
        Path(a.json).write_text(json.dumps([{"phase": k[0], "era": k[1], "gateway": k[2], "rounds": v} for k, v in run.results.items()]))
    limit = WRONG - 1 if a.wrong_only else 1 if a.strict else 2
    bad = [x for x in lines if x.worse is not None and x.worse > limit]
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
