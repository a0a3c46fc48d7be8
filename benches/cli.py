#!/usr/bin/env python3
"""What the command line costs: cli.py --umcp PROGRAM --work DIR [--rounds 60] [--strict].

`--version` against `true`, a warm read command against `--version`, completion of names, and a durable write
through the daemon against fdatasync on the same disk. All are taken in turns; medians are shown. What the program
does not have yet is named as skipped. Exit code 1 for a figure twice beyond its goal (`--strict`: beyond it).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

SERVERS = 50


class Home:
    """A fresh home with servers, and its daemon, spoken to over the local socket."""

    def __init__(self, program: str, folder: Path):
        self.program, self.folder = program, folder
        self.env = {**os.environ, "UMCP_HOME": str(folder), "NO_COLOR": "1"}
        self.daemon = subprocess.Popen([program, "__daemon"], env=self.env, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.daemon.stdout.readline()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(folder / "run/umcp.sock"))
        self.stream = self.socket.makefile("rwb")
        self.say({"umcp": 1, "version": "0.1.0", "mode": "call", "client": "bench", "pid": os.getpid()})
        self.stream.readline()
        self.ask({"store": {"server": {"add": {"servers": [server(i) for i in range(SERVERS)], "replace": True}}}})

    def say(self, value) -> None:
        self.stream.write(json.dumps(value).encode() + b"\n")
        self.stream.flush()

    def ask(self, request) -> dict:
        self.say(request)
        for line in self.stream:
            frame = json.loads(line)
            if "error" in frame:
                raise RuntimeError(frame["error"])
            if "reply" in frame:
                return frame["reply"]
        raise RuntimeError("the daemon hung up")

    def run(self, *words: str) -> subprocess.CompletedProcess:
        return subprocess.run([self.program, *words], env=self.env, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=20)

    def close(self) -> None:
        self.socket.close()
        self.daemon.terminate()
        self.daemon.wait(20)


def server(number: int) -> dict:
    none = lambda *keys: dict.fromkeys(keys)
    return {"id": f"srv_{number:03}", "name": f"server-{number:02}", "env": {}, "headers": {}, "tags": [], "roots": [],
            "transport": {"stdio": {"command": "/bin/true", "args": []}}, **none("cwd", "description", "origin"),
            "sharing": "shared", "enabled": True, "verbatim": False, "era": "auto", "tools": {"include": [], "exclude": []},
            "limits": none("start_timeout_ms", "call_timeout_ms", "idle_stop_ms", "concurrency", "queue"),
            "created": 1, "revision": 1}


def timed(f) -> tuple[float, float]:
    """Milliseconds of the clock, and of CPU in children."""
    cpu = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    c, t = cpu(), time.perf_counter()
    f()
    return (time.perf_counter() - t) * 1e3, (cpu() - c) * 1e3


def fdatasync(file: int) -> None:
    os.pwrite(file, b"x" * 4096, 0)
    os.fdatasync(file)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--umcp", required=True)
    p.add_argument("--work", required=True)
    p.add_argument("--rounds", type=int, default=60)
    p.add_argument("--strict", action="store_true")
    a = p.parse_args()
    work = Path(a.work).resolve() / f"c{os.getpid()}"
    work.mkdir(parents=True)
    home = Home(str(Path(a.umcp).resolve()), work / "u")
    file = os.open(work / "plain", os.O_RDWR | os.O_CREAT)
    toggle = iter(range(1 << 30))
    complete = ("__complete", "server", "show", "server-1")
    tasks = {
        "true": lambda: subprocess.run(["/bin/true"], stdin=subprocess.DEVNULL, capture_output=True),
        "version": lambda: home.run("--version"),
        "list": lambda: home.run("server", "list"),
        "complete": lambda: home.run(*complete),
        "write": lambda: home.ask({"store": {"server": {"enable": {"names": ["server-00"], "enabled": next(toggle) % 2 == 0}}}}),
        "fdatasync": lambda: fdatasync(file),
    }
    # Names for completion are written soon after a change, not with it.
    deadline = time.monotonic() + 2
    while "server-10" not in home.run(*complete).stdout and time.monotonic() < deadline:
        time.sleep(0.05)
    works = {
        "version": home.run("--version").returncode == 0,
        "list": "server-00" in home.run("server", "list").stdout,
        "complete": "server-10" in home.run(*complete).stdout,
    }
    try:
        times = {name: [] for name in tasks if works.get(name, True)}
        for _ in range(a.rounds):
            for name, rows in times.items():
                rows.append(timed(tasks[name]))
    finally:
        os.close(file)
        home.close()
        shutil.rmtree(work, ignore_errors=True)
    wall = {name: statistics.median(t for t, _ in rows) for name, rows in times.items()}
    # The clock of a process's CPU ticks finely enough here; the mean evens out what a median of ticks would hide.
    cpu = {name: statistics.fmean(c for _, c in rows) for name, rows in times.items()}
    show(works, wall, cpu, a.strict)


def show(works: dict, wall: dict, cpu: dict, strict: bool) -> None:
    rows = []
    if works["version"]:
        rows.append(("CPU of `--version` over `true`, ms", cpu["version"] - cpu["true"], 3))
    if works["version"] and works["list"]:
        rows.append(("`server list` over `--version`, ms", wall["list"] - wall["version"], 2))
    if works["complete"]:
        rows.append(("completion of a name, ms", wall["complete"], 20))
    rows.append((f"durable write through the daemon, ms (fdatasync {wall['fdatasync']:.3g})", wall["write"], 2.5 * wall["fdatasync"] + 0.3))
    print("| metric | umcp | goal | verdict |\n|---|---|---|---|")
    for metric, value, goal in rows:
        verdict = "ok" if value <= goal else "MISS" if value <= 2 * goal else "GROSS MISS"
        print(f"| {metric} | {value:.3g} | ≤ {goal:.3g} | {verdict} |")
    for name in (name for name, good in works.items() if not good):
        print(f"skipped: {name}, the program does not answer it")
    sys.exit(any(value > goal * (1 if strict else 2) for _, value, goal in rows))


if __name__ == "__main__":
    main()
