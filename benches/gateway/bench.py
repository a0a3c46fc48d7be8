#!/usr/bin/env python3
"""Measures MCP gateways side by side. See README.md.

  bench.py run --bin DIR --inst DIR --work DIR --out results.jsonl
               [--umcp PROGRAM] [--era legacy|modern] [--only a,b] [--skip a,b] [--phases startup,calls,list,sessions]
               [--rounds 3] [--upstreams 1,10,50]
  bench.py table results.jsonl
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

from gateways import ALL, Ctx, Gateway

CASES = "1024:1:2000,1024:16:4000,1024:64:4000,102400:1:300,102400:16:300"


def free_port() -> int:
    """Below the ephemeral range: a client that polls a port inside it can
    connect to itself and keep the gateway from binding."""
    while True:
        p = random.randint(20000, 30000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", p))
                return p
            except OSError:
                pass


def once(g: Gateway, a, n: int, tools: int, options: list[str], *, era: str = "legacy", warm: bool = True,
         counter: bool = False, timeout: float = 200) -> dict:
    """One start of one gateway, measured. The folder's name is short: sockets live below it."""
    work = Path(a.work).resolve() / f"{g.name}-{time.monotonic_ns() // 1000 % 10**9}"
    work.mkdir(parents=True)
    fixtures: list[subprocess.Popen] = []
    exe = str(Path(a.bin) / "mcp-fixture")

    def http_upstream() -> str:
        p = subprocess.Popen([exe, "http", "--port", "0", "--tools", str(tools)],
                             stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        fixtures.append(p)
        return f"http://127.0.0.1:{int(p.stdout.readline())}/mcp"

    try:
        c = Ctx(n, tools, free_port(), work, Path(a.inst).resolve(), Path(a.bin).resolve(), http_upstream,
                era, warm, counter, Path(a.umcp).resolve())
        launch = g.start(c)
        env = {**os.environ, "HOME": str(work), "XDG_CONFIG_HOME": str(work / ".config"),
               "XDG_STATE_HOME": str(work / ".state"), "XDG_DATA_HOME": str(work / ".data"),
               "XDG_CACHE_HOME": str(work / ".cache"), "NO_COLOR": "1", **launch.env}
        cmd = [str(Path(a.bin).resolve() / "mcp-load"), "--front", g.front, "--url", launch.url,
               "--era", era, "--expect", str(launch.expect or n * (tools + counter)), "--log", str(work / "log"),
               *launch.load, *options, "--", *launch.cmd]
        p = subprocess.run(cmd, env=env, cwd=work, capture_output=True, text=True, timeout=timeout)
        try:
            return json.loads(p.stdout)
        except ValueError:
            return {"failed": (p.stderr or p.stdout)[-300:]}
    except Exception as e:
        return {"failed": f"{type(e).__name__}: {e}"[:300]}
    finally:
        for f in fixtures:
            f.kill()
            f.wait()
        shutil.rmtree(work, ignore_errors=True)


def plan(g: Gateway, phase: str, ups: list[int]):
    """(label, upstreams, tools each, options for mcp-load)"""
    quick = ["--ready-ms", "120000"]
    if phase == "startup":
        for n in ups if g.many else [1]:
            yield f"startup{n}", n, 1, quick
    elif phase == "calls":
        yield "calls", 1, 1, quick + ["--cases", CASES, "--limit-ms", "2000"]
    elif phase == "list":
        n, t = (10, 100) if g.many else (1, 1000)
        yield "list", n, t, quick + ["--list", "30"]
    elif phase == "sessions" and g.front == "http":
        yield "sessions", 1, 1, quick + ["--sessions", "100"]


def run(a) -> None:
    names = a.only.split(",") if a.only else list(ALL)
    names = [n for n in names if n not in a.skip.split(",")]
    ups = [int(x) for x in a.upstreams.split(",")]
    with open(a.out, "a") as out:
        for r in range(a.rounds):
            for phase in a.phases.split(","):
                random.shuffle(names)
                for name in names:
                    g = ALL[name]
                    for label, n, t, options in plan(g, phase, ups):
                        began = time.time()
                        row = {"round": f"{int(a.stamp)}-{r}", "gateway": name, "front": g.front, "phase": label,
                               "load1": os.getloadavg()[0], **once(g, a, n, t, options, era=a.era)}
                        out.write(json.dumps(row) + "\n")
                        out.flush()
                        print(f"{time.strftime('%H:%M:%S')} {name:15} {label:10} {time.time() - began:5.1f}s "
                              f"{row.get('failed') or ''}", file=sys.stderr)


def med(xs):
    xs = [x for x in xs if x is not None]
    return statistics.median(xs) if xs else None


def fmt(x, unit=1.0, digits=3):
    if x is None:
        return "–"
    x *= unit
    return f"{x:.0f}" if x >= 100 else f"{x:.{digits}g}"


def table(path: str) -> None:
    rows = [json.loads(l) for l in open(path)]
    names = [n for n in ALL if any(r["gateway"] == n for r in rows)]
    of = lambda n, ph: [r for r in rows if r["gateway"] == n and r["phase"] == ph and "failed" not in r]
    base = lambda r: "direct-stdio" if r["front"] == "stdio" else "direct-http"
    by = {(r["gateway"], r["phase"], r["round"]): r for r in rows if "failed" not in r}

    def case(r, size, conc):
        return next((c for c in r["cases"] if c["size"] == size and c["conc"] == conc and c["n"]), None)

    print("### tools/call (median of rounds; × = ratio to the direct connection of the same round)\n")
    print("| gateway | front | 1 KiB p50 µs (×) | added p50 µs | p99 µs (×) | calls/s c=1 (×) | c=16 (×) | c=64 (×) | "
          "CPU µs/call c=16 | 100 KiB p50 µs (×) | 100 KiB p99 µs | errors |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for n in names:
        rs = of(n, "calls")
        if not rs:
            continue

        def pair(size, conc, key):
            vals, ratios, added = [], [], []
            for r in rs:
                x = case(r, size, conc)
                d = by.get((base(r), "calls", r["round"]))
                d = d and case(d, size, conc)
                if x:
                    vals.append(x[key])
                    if d and d[key]:
                        ratios.append(x[key] / d[key])
                        added.append(x[key] - d[key])
            return med(vals), med(ratios), med(added)

        def cell(size, conc, key):
            v, q, _ = pair(size, conc, key)
            return f"{fmt(v)} ({fmt(q)}×)" if v is not None else "–"
        errs = sum(c["errors"] for r in rs for c in r["cases"])
        print(f"| {n} | {rs[0]['front']} | {cell(1024, 1, 'p50_us')} | {fmt(pair(1024, 1, 'p50_us')[2])} | "
              f"{cell(1024, 1, 'p99_us')} | {cell(1024, 1, 'per_s')} | {cell(1024, 16, 'per_s')} | "
              f"{cell(1024, 64, 'per_s')} | {fmt(pair(1024, 16, 'cpu_us')[0])} | {cell(102400, 1, 'p50_us')} | "
              f"{fmt(pair(102400, 1, 'p99_us')[0])} | {errs} |")

    phases = sorted({r["phase"] for r in rows if r["phase"].startswith("startup")}, key=lambda p: int(p[7:]))
    print("\n### Start to first complete tools/list, and idle memory\n")
    print("| gateway | " + " | ".join(f"{p[7:]} up: ms (CPU ms)" for p in phases) + " | "
          + " | ".join(f"{p[7:]} up: RSS / PSS MiB, processes" for p in phases) + " |")
    print("|" + "---|" * (1 + 2 * len(phases)))
    for n in names:
        t, m = [], []
        for p in phases:
            rs = of(n, p)
            t.append(f"{fmt(med([r['ready_ms'] for r in rs]))} ({fmt(med([r['ready_cpu_ms'] for r in rs]))})" if rs else "–")
            m.append(f"{fmt(med([r['idle']['rss_kib'] for r in rs]), 1 / 1024)} / "
                     f"{fmt(med([r['idle']['pss_kib'] for r in rs]), 1 / 1024)}, {rs[0]['idle']['procs']}" if rs else "–")
        print(f"| {n} | " + " | ".join(t + m) + " |")

    print("\n### tools/list with 1,000 tools (10 × 100 where the gateway joins, else 1 × 1,000)\n")
    print("| gateway | tools seen | p50 ms (×) | p99 ms | CPU ms |\n|---|---|---|---|---|")
    for n in names:
        rs = [r for r in of(n, "list") if r.get("list")]
        if rs:
            q = [r["list"]["p50_us"] / d["list"]["p50_us"] for r in rs
                 if (d := by.get((base(r), "list", r["round"])))]
            print(f"| {n} | {rs[0]['tools']} | {fmt(med([r['list']['p50_us'] for r in rs]), 1e-3)} ({fmt(med(q))}×) | "
                  f"{fmt(med([r['list']['p99_us'] for r in rs]), 1e-3)} | {fmt(med([r['list']['cpu_us'] for r in rs]), 1e-3)} |")

    print("\n### 100 clients at once: initialize, tools/list, one call each\n")
    print("| gateway | good of 100 | all done s | each p50 ms | RSS added MiB | upstream processes | first error |\n|---|---|---|---|---|---|---|")
    for n in names:
        rs = [r for r in of(n, "sessions") if r.get("sessions")]
        if rs:
            s = [r["sessions"] for r in rs]
            err = next((x["first_error"] for x in s if x["first_error"]), "")
            print(f"| {n} | {fmt(med([x['good'] for x in s]))} | {fmt(med([x['secs'] for x in s]))} | "
                  f"{fmt(med([(x['each'] or {}).get('p50_us') for x in s]), 1e-3)} | "
                  f"{fmt(med([x['rss_added_kib'] for x in s]), 1 / 1024)} | {s[0]['fixtures']} | {str(err)[:60]} |")
    bad = {(r["gateway"], r["phase"], r["failed"][:140]) for r in rows if "failed" in r}
    bad |= {(r["gateway"], f'{c["size"]} B × {c["conc"]}', c["first_error"][:140])
            for r in rows for c in r.get("cases", []) if c.get("first_error")}
    if bad:
        print("\n### Failed runs and calls\n")
        for b in sorted(bad):
            print("- " + ": ".join(" ".join(x.split()) for x in b))
    loads = [r["load1"] for r in rows]
    print(f"\nRuns: {len(rows)}; machine load (1 min) while measuring: median {fmt(med(loads))}, "
          f"{fmt(min(loads))} to {fmt(max(loads))}; {os.cpu_count()} cores.")


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    s = p.add_subparsers(dest="verb", required=True)
    r = s.add_parser("run")
    for name in ("bin", "inst", "work", "out"):
        r.add_argument(f"--{name}", required=True)
    r.add_argument("--umcp", default="umcp", help="our own program")
    r.add_argument("--era", default="legacy", choices=["legacy", "modern"])
    r.add_argument("--only", default="")
    r.add_argument("--skip", default="")
    r.add_argument("--phases", default="startup,calls,list,sessions")
    r.add_argument("--rounds", type=int, default=3)
    r.add_argument("--upstreams", default="1,10,50")
    r.add_argument("--stamp", default=time.time(), help=argparse.SUPPRESS)
    t = s.add_parser("table")
    t.add_argument("results")
    a = p.parse_args()
    run(a) if a.verb == "run" else table(a.results)


if __name__ == "__main__":
    main()
