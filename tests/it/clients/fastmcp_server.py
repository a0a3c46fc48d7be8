"""A small fastmcp server for the test of real upstreams. usage: fastmcp_server.py http|sse PORT"""

import sys

from fastmcp import Context, FastMCP

server = FastMCP("real")


@server.tool
def double(number: int) -> int:
    """Doubles a number."""
    return 2 * number


@server.tool
async def steps(count: int, ctx: Context) -> str:
    """Reports progress."""
    for step in range(1, count + 1):
        await ctx.report_progress(step, count)
    return f"{count} steps"


@server.resource("real://greeting")
def greeting() -> str:
    """A greeting."""
    return "hello from a resource"


server.run(transport=sys.argv[1], host="127.0.0.1", port=int(sys.argv[2]), show_banner=False)
