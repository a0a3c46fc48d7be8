#!/usr/bin/env python3
"""What a run of a workflow costs: workflows.py --umcp PROGRAM --work DIR [--rounds 3] [--steps 1000].

Steps are calls of the built-in `time` server, so that what is measured is the engine: each result is durable before the
next step starts. In turns with them, as many fdatasync of the same disk. Shown are medians: 1,000 steps in a row, as many
side by side at 16 with the syncs counted (by strace, where it is there), 100 steps that hand on 10 KiB, the time from
`umcp workflow execute` to the first step, and from the start of a daemon to the first news of a run whose daemon was
killed in the middle; no step that was finished may begin again.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import time
from pathlib import Path

from cli import Home, fdatasync

CALL = "tool: time.get_current_time, inputs: {timezone: UTC}"


def row(count: int) -> str:
    steps = "".join(f"  - {{id: s{i}, {CALL}}}\n" for i in range(count))
    return f"name: row\nsteps:\n{steps}"


def wide(count: int) -> str:
    items = json.dumps(list(range(count)))
    return (f"name: wide\nsteps:\n  - id: each\n    type: foreach\n    items: {items}\n    max_concurrency: 16\n"
            f"    steps: [{{id: s, {CALL}}}]\n")


def chain(count: int) -> str:
    text = "x" * (10 << 10)
    steps = "".join(f"  - {{id: s{i}, set: {{text: \"${{{{ steps.s{i - 1}.result.text }}}}\"}}, depends_on: [c{i - 1}]}}\n"
                    f"  - {{id: c{i}, {CALL}, depends_on: [s{i}]}}\n" for i in range(1, count))
    return f"name: chain\nsteps:\n  - {{id: s0, set: {{text: \"{text}\"}}}}\n  - {{id: c0, {CALL}}}\n{steps}"


def begin(home: Home, text: str, wait: bool) -> dict:
    source = {"document": {"text": text, "inputs": "{}"}}
    reply = home.ask({"live": {"run_workflow": {"source": source, "by": "bench", "wait": wait}}})
    return reply["live"]["run"]


def journal(home: Home, run: str) -> tuple[dict, list]:
    reply = home.ask({"store": {"workflow": {"run": {"id": run}}}})["workflow"]["run"]
    return reply["run"], reply["journal"]


def timed(home: Home, text: str) -> float:
    """Milliseconds from the first entry of the journal to the last."""
    run = begin(home, text, wait=True)
    assert run["status"] == "completed", run["failure"]
    return (run["ended"] - run["started"]) / 1e3


def syncs(home: Home, text: str) -> int | None:
    if not shutil.which("strace"):
        return None
    words = ["strace", "-f", "-c", "-e", "trace=fsync,fdatasync", "-p", str(home.daemon.pid)]
    tracer = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    time.sleep(1)
    timed(home, text)
    tracer.send_signal(signal.SIGINT)
    said = tracer.communicate(timeout=20)[1]
    counts = re.findall(r"\s(\d+)\s+(?:\d+\s+)?f(?:data)?sync$", said, re.M)
    return sum(map(int, counts)) if counts else None


def first_step(home: Home) -> float:
    """Milliseconds from the start of the command to the start of the first step."""
    began = time.time()
    said = home.run("workflow", "execute", "row-of-three", "--detach", "--json")
    run = json.loads(said.stdout)["data"]["id"]
    while not (entries := journal(home, run)[1]):
        time.sleep(0.002)
    return entries[0]["at"] / 1e3 - began * 1e3


def resumed(program: str, folder: Path, steps: int) -> tuple[float, int]:
    """Milliseconds from the start of the next daemon to the first news, and how many finished steps began again."""
    home = Home(program, folder)
    home.run("server", "add", "builtin:time")
    timed(home, row(3))
    run = begin(home, row(steps), wait=False)["id"]
    while len(journal(home, run)[1]) < steps // 4:
        time.sleep(0.005)
    home.daemon.kill()
    home.daemon.wait()
    began = time.time()
    home = Home(program, folder)
    while journal(home, run)[0]["status"] != "completed":
        time.sleep(0.02)
    entries = journal(home, run)[1]
    home.close()
    after = [entry["at"] for entry in entries if entry["at"] > began * 1e6]
    done, again = set(), 0
    for event in (event for entry in entries for event in entry["events"]):
        # A map of one: what happened, and its fields; what has no fields is a word.
        for kind, fields in event.items() if isinstance(event, dict) else ():
            again += kind == "Started" and fields["path"] in done
            if kind == "Finished":
                done.add(fields["path"])
    assert len(done) == steps, f"{len(done)} of {steps} steps finished"
    return after[0] / 1e3 - began * 1e3, again


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--umcp", required=True)
    p.add_argument("--work", required=True)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--steps", type=int, default=1000)
    a = p.parse_args()
    program, work = str(Path(a.umcp).resolve()), Path(a.work).resolve() / f"w{os.getpid()}"
    work.mkdir(parents=True)
    try:
        home = Home(program, work / "u")
        home.run("server", "add", "builtin:time")
        (work / "three.yaml").write_text(row(3).replace("name: row", "name: row-of-three"))
        home.run("workflow", "create", str(work / "three.yaml"))
        timed(home, row(3))
        file = os.open(work / "plain", os.O_RDWR | os.O_CREAT)
        times: dict[str, list[float]] = {"fdatasync": [], "row": [], "wide": [], "chain": [], "first": []}
        for _ in range(a.rounds):
            for _ in range(200):
                began = time.perf_counter()
                fdatasync(file)
                times["fdatasync"].append((time.perf_counter() - began) * 1e3)
            times["row"].append(timed(home, row(a.steps)))
            times["wide"].append(timed(home, wide(a.steps)))
            times["chain"].append(timed(home, chain(100)))
            times["first"] += [first_step(home) for _ in range(5)]
        counted = syncs(home, wide(a.steps))
        home.close()
        back = [resumed(program, work / f"r{i}", a.steps) for i in range(a.rounds)]
    finally:
        shutil.rmtree(work, ignore_errors=True)
    m = {name: statistics.median(values) for name, values in times.items()}
    sync = m["fdatasync"]
    print(f"fdatasync                    {sync:8.3f} ms")
    print(f"{a.steps} steps in a row        {m['row']:8.1f} ms  {m['row'] / a.steps / sync:6.2f} fdatasync a step")
    print(f"{a.steps} side by side at 16    {m['wide']:8.1f} ms  {'syncs not counted' if counted is None else f'{counted} syncs'}")
    print(f"100 steps of 10 KiB          {m['chain']:8.1f} ms  {m['chain'] / 100 / sync:6.2f} fdatasync a step")
    print(f"execute to the first step    {m['first']:8.1f} ms")
    print(f"killed, to the first news    {statistics.median(ms for ms, _ in back):8.1f} ms  {sum(n for _, n in back)} finished steps began again")


if __name__ == "__main__":
    main()
