"""How each gateway is started. One function each; it gets a Ctx and returns a
Launch. `@gateway(front, many)`: front is how the client reaches it (http, sse
or stdio), many says whether it joins several upstreams into one list.

To add one write one function here; see README.md.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable


@dataclass
class Ctx:
    n: int                # upstream servers
    tools: int            # tools of each
    port: int             # a free port for the gateway
    work: Path            # empty folder of this run; HOME points here
    inst: Path            # where the peers are installed
    bin: Path             # where this project's binaries are
    http_upstream: Callable[[], str]   # starts a fixture over HTTP, gives its URL
    era: str = "legacy"   # which era the fixtures speak, and the client
    warm: bool = False    # whether the gateway may have run before with the same upstreams
    counter: bool = False # whether the fixtures have the tool `count`
    umcp: Path = Path("umcp")          # our own program

    @property
    def fixture(self) -> str:
        return str(self.bin / "mcp-fixture")

    @property
    def stdio(self) -> list[str]:
        counter = ["--counter"] if self.counter else []
        return [self.fixture, "stdio", "--tools", str(self.tools), "--era", self.era, *counter]

    def servers(self) -> dict:
        cmd, *args = self.stdio
        names = [f"s{i:02}" for i in range(self.n)]
        return {name: {"command": cmd, "args": [*args, "--name", name]} for name in names}

    def mcp_json(self) -> str:
        p = self.work / "mcp.json"
        p.write_text(json.dumps({"mcpServers": self.servers()}))
        return str(p)

    def node(self, script: str) -> list[str]:
        return ["node", str(self.inst / "npm/node_modules" / script)]

    def crate(self, program: str) -> str:
        """A program that `cargo install --root INST` or `--root INST/cargo` put there."""
        return str(crate(self.inst, program))

    def url(self, path: str = "/mcp") -> str:
        return f"http://127.0.0.1:{self.port}{path}"


def crate(inst: Path, program: str) -> Path:
    places = [inst / "bin" / program, inst / "cargo/bin" / program]
    return next((place for place in places if place.exists()), places[0])


@dataclass
class Launch:
    cmd: list[str]
    url: str = ""
    env: dict = field(default_factory=dict)
    load: list[str] = field(default_factory=list)   # more options for mcp-load
    expect: int | None = None                       # tools when complete


@dataclass
class Gateway:
    name: str
    front: str
    many: bool
    start: Callable[[Ctx], Launch]


ALL: dict[str, Gateway] = {}


def gateway(front: str, many: bool = True):
    def add(f):
        name = f.__name__.replace("_", "-")
        ALL[name] = Gateway(name, front, many, f)
        return f
    return add


# --- baselines -------------------------------------------------------------

@gateway("http", many=False)
def direct_http(c: Ctx) -> Launch:
    return Launch([c.fixture, "http", "--port", str(c.port), "--tools", str(c.tools), "--era", c.era], c.url())


@gateway("stdio", many=False)
def direct_stdio(c: Ctx) -> Launch:
    return Launch(c.stdio)


@gateway("http")
def floor_http(c: Ctx) -> Launch:
    cmd = [str(c.bin / "mcp-floor"), "--config", c.mcp_json(), "--era", c.era, "--port", str(c.port)]
    return Launch(cmd, c.url())


@gateway("stdio")
def floor_stdio(c: Ctx) -> Launch:
    return Launch([str(c.bin / "mcp-floor"), "--config", c.mcp_json(), "--era", c.era])


# --- umcp ------------------------------------------------------------------

class Umcp:
    """One installation of umcp in the folder of a run, spoken to over its local socket: the servers are stored
    and, for a warm start, listed once before the clock runs."""

    def __init__(self, c: Ctx):
        self.c = c
        self.home = c.work / "u"
        self.env = {"UMCP_HOME": str(self.home)}
        self.pid_file = self.home / "state/daemon.lock"
        self.daemon = subprocess.Popen([str(c.umcp), "__daemon"], env={**os.environ, **self.env},
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.daemon.stdout.readline()   # its one-shot report
        try:
            self.ask({"store": {"server": {"add": {"servers": [self.server(*s) for s in c.servers().items()],
                                                   "replace": True}}}})
            if c.warm:
                self.ask({"live": {"refresh": {"names": []}}})
        finally:
            self.daemon.terminate()
            self.daemon.wait(20)

    def server(self, name: str, spec: dict) -> dict:
        none = lambda *keys: dict.fromkeys(keys)
        return {"id": f"srv_{name}", "name": name, "transport": {"stdio": spec}, "env": {}, "headers": {}, "tags": [],
                **none("cwd", "description", "origin"), "sharing": "shared", "enabled": True, "verbatim": False,
                "era": "auto", "tools": {"include": [], "exclude": []}, "roots": [], "revision": 1,
                "limits": none("start_timeout_ms", "call_timeout_ms", "idle_stop_ms", "concurrency", "queue"),
                "created": int(time.time() * 1e6)}

    def ask(self, request: dict):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(self.home / "run/umcp.sock"))
            f = s.makefile("rwb")
            say = lambda v: (f.write(json.dumps(v).encode() + b"\n"), f.flush())
            say({"umcp": 1, "version": "0.1.0", "mode": "call", "client": "bench", "pid": os.getpid()})
            f.readline()
            say(request)
            for line in f:
                frame = json.loads(line)
                if "error" in frame:
                    raise RuntimeError(f"umcp: {frame['error']}")
                if "reply" in frame:
                    return frame["reply"]
        raise RuntimeError("umcp: the daemon hung up")


@gateway("http")
def umcp_http(c: Ctx) -> Launch:
    u = Umcp(c)
    return Launch([str(c.umcp), "serve", "--http", f"127.0.0.1:{c.port}", "--no-key"], c.url(), u.env)


@gateway("stdio")
def umcp_stdio(c: Ctx) -> Launch:
    u = Umcp(c)
    return Launch([str(c.umcp), "serve"], env=u.env, load=["--daemon", str(u.pid_file)])


# --- gateways that join many upstreams -------------------------------------

@gateway("http")
def fastmcp_http(c: Ctx) -> Launch:
    cmd = [str(c.inst / "v-fastmcp/bin/fastmcp"), "run", c.mcp_json(), "--transport", "http",
           "--host", "127.0.0.1", "--port", str(c.port), "--no-banner", "--log-level", "ERROR"]
    return Launch(cmd, c.url())


@gateway("stdio")
def fastmcp_stdio(c: Ctx) -> Launch:
    return Launch([str(c.inst / "v-fastmcp/bin/fastmcp"), "run", c.mcp_json(),
                   "--transport", "stdio", "--no-banner", "--log-level", "ERROR"])


@gateway("sse")
def mcp_hub(c: Ctx) -> Launch:
    cmd = c.node("mcp-hub/dist/cli.js") + ["--port", str(c.port), "--config", c.mcp_json()]
    return Launch(cmd, c.url())


@gateway("stdio")
def mcpm(c: Ctx) -> Launch:
    d = c.work / ".config/mcpm"
    d.mkdir(parents=True)
    more = {"enabled": None, "env": {}}
    (d / "servers.json").write_text(json.dumps(
        {k: {"name": k, "profile_tags": ["bench"], **more, **v} for k, v in c.servers().items()}))
    (d / "profiles_metadata.json").write_text(json.dumps(
        {"bench": {"name": "bench", "api_key": None, "description": None}}))
    return Launch([str(c.inst / "v-mcpm/bin/mcpm"), "profile", "run", "bench"])


@gateway("http")
def mcp_proxy_rust(c: Ctx) -> Launch:
    rows = [f'[proxy]\nname = "bench"\nversion = "1.0.0"\nseparator = "__"\n'
            f'[proxy.listen]\nhost = "127.0.0.1"\nport = {c.port}\n'
            f'[observability]\naudit = false\nlog_level = "error"\n']
    for k, v in c.servers().items():
        rows.append(f'[[backends]]\nname = "{k}"\ntransport = "stdio"\n'
                    f'command = {json.dumps(v["command"])}\nargs = {json.dumps(v["args"])}\n')
    p = c.work / "gateway.toml"
    p.write_text("\n".join(rows))
    return Launch([c.crate("mcp-proxy"), "--config", str(p)], c.url("/"))


def _mcp_gateway(c: Ctx, *front: str, url: str = "") -> Launch:
    """mcp-gateway (Rust): shows about 15 meta-tools; results come back as JSON
    text inside the text. Counts as ready when its list is there. Its result
    cache and its limit of 100 calls a second, both on by default, are off here."""
    rows = [f'server:\n  host: "127.0.0.1"\n  port: {c.port}\nmeta_mcp:\n  enabled: true\n'
            'cache:\n  enabled: false\nfailsafe:\n  rate_limit:\n    enabled: false\nbackends:\n']
    for k, v in c.servers().items():
        rows.append(f'  {k}:\n    command: {json.dumps(" ".join([v["command"], *v["args"]]))}\n    description: "bench"\n')
    p = c.work / "gateway.yaml"
    p.write_text("".join(rows))
    p.chmod(0o600)
    call = {"name": "gateway_invoke", "arguments": {"server": "s00", "tool": "echo", "arguments": {"text": "@TEXT@"}}}
    cmd = [c.crate("mcp-gateway"), "serve", "--config", str(p), "--log-level", "error", *front]
    return Launch(cmd, url, expect=10, load=["--call", json.dumps(call)])


@gateway("http")
def mcp_gateway_rust_http(c: Ctx) -> Launch:
    return _mcp_gateway(c, url=c.url())


@gateway("stdio")
def mcp_gateway_rust_stdio(c: Ctx) -> Launch:
    return _mcp_gateway(c, "--stdio")


@gateway("stdio")
def mcpd(c: Ctx) -> Launch:
    """Shows two meta-tools only and starts upstreams at the first use."""
    d = c.work / ".config/mcpd"
    d.mkdir(parents=True)
    (d / "registry.json").write_text(json.dumps({"tools": {
        k: {"name": k, "command": [v["command"], *v["args"]], "env": {}}
        for k, v in c.servers().items()}}))
    call = {"name": "use_tool", "arguments": {"tool_name": "s00__echo", "arguments": {"text": "@TEXT@"}}}
    return Launch([c.crate("mcpd"), "serve"], expect=2,
                  load=["--call", json.dumps(call)])


@gateway("stdio")
def mcpzip(c: Ctx) -> Launch:
    """Shows three meta-tools, from a catalog it refreshes in the background."""
    call = {"name": "execute_tool", "arguments": {"name": "s00__echo", "arguments": {"text": "@TEXT@"}}}
    return Launch([c.crate("mcpzip"), "serve", "--config", c.mcp_json()], expect=3,
                  load=["--call", json.dumps(call)])


@gateway("http")
def contextforge(c: Ctx) -> Launch:
    """Takes HTTP upstreams, kept in its own SQLite store. They are registered
    in a first run, and the run that is measured starts with them in place.
    Sign-in and rate limits are off: it is measured as a bare gateway."""
    key = lambda: secrets.token_urlsafe(48)
    env = {"AUTH_REQUIRED": "false", "ALLOW_UNAUTHENTICATED_ADMIN": "true", "MCP_CLIENT_AUTH_ENABLED": "true",
           "MCP_REQUIRE_AUTH": "false", "JWT_SECRET_KEY": key(), "AUTH_ENCRYPTION_SECRET": key(),
           "PLATFORM_ADMIN_EMAIL": "admin@example.com", "PLATFORM_ADMIN_PASSWORD": key() + "aA1",
           "DEFAULT_USER_PASSWORD": key() + "aA1", "BASIC_AUTH_PASSWORD": key() + "aA1",
           "DATABASE_URL": f"sqlite:///{c.work}/mcp.db", "CACHE_TYPE": "memory", "REDIS_URL": "",
           "SSRF_ALLOW_LOCALHOST": "true", "SSRF_ALLOW_PRIVATE_NETWORKS": "true",
           "RATE_LIMITING_ENABLED": "false", "RATE_LIMITING_REDIS_ENABLED": "false",
           "LOG_LEVEL": "ERROR", "MCPGATEWAY_UI_ENABLED": "false", "PLUGINS_ENABLED": "false"}
    cmd = [str(c.inst / "v-contextforge/bin/mcpgateway"), "--host", "127.0.0.1", "--port", str(c.port)]
    log = open(c.work / "prepare.log", "w")
    p = subprocess.Popen(cmd, env={**os.environ, "HOME": str(c.work), **env}, cwd=c.work,
                         stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        until = time.time() + 120
        while time.time() < until:
            try:
                urllib.request.urlopen(c.url("/health"), timeout=5).read()
                break
            except OSError:
                time.sleep(0.3)
        for i in range(c.n):
            body = {"name": f"s{i:02}", "url": c.http_upstream(), "transport": "STREAMABLEHTTP"}
            r = urllib.request.Request(c.url("/gateways"), json.dumps(body).encode(),
                                       {"Content-Type": "application/json"})
            urllib.request.urlopen(r, timeout=60).read()
    finally:
        p.terminate()
        try:
            p.wait(20)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
    return Launch(cmd, c.url("/mcp/"), env)


# --- bridges: one upstream, another transport ------------------------------

@gateway("http", many=False)
def mcp_proxy_npm(c: Ctx) -> Launch:
    cmd = c.node("mcp-proxy/dist/bin/mcp-proxy.mjs") + [
        "--host", "127.0.0.1", "--port", str(c.port), "--server", "stream", "--", *c.stdio]
    return Launch(cmd, c.url())


@gateway("http", many=False)
def mcp_proxy_pypi(c: Ctx) -> Launch:
    cmd = [str(c.inst / "v-mcpproxy/bin/mcp-proxy"), "--host", "127.0.0.1", "--port", str(c.port),
           "--log-level", "ERROR", "--", *c.stdio]
    return Launch(cmd, c.url())


@gateway("http", many=False)
def supergateway(c: Ctx) -> Launch:
    cmd = c.node("supergateway/dist/index.js") + [
        "--stdio", " ".join(c.stdio), "--outputTransport", "streamableHttp", "--stateful",
        "--logLevel", "none", "--port", str(c.port)]
    return Launch(cmd, c.url())


@gateway("stdio", many=False)
def mcp_remote(c: Ctx) -> Launch:
    return Launch(c.node("mcp-remote/dist/proxy.js") + [c.http_upstream(), "--allow-http"])
