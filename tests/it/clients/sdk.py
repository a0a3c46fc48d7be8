"""The official Python client, used as an application would. Prints one line of JSON that the test compares.

usage: sdk.py auto|legacy stdio COMMAND   |   sdk.py auto|legacy http URL
"""

import asyncio
import json
import os
import sys

import mcp
from mcp import types


async def elicited(context, params):
    return types.ElicitResult(action="accept", content={"answer": "given"})


async def sampled(context, params):
    content = types.TextContent(type="text", text="sampled")
    return types.CreateMessageResult(role="assistant", content=content, model="none", stop_reason="endTurn")


async def roots(context):
    return types.ListRootsResult(roots=[types.Root(uri="file:///the/root", name="root")])


def text(result):
    return result.content[0].text


async def everything(client):
    tools, cursor = [], None
    while True:
        page = await client.list_tools(cursor=cursor)
        tools += [tool.name for tool in page.tools]
        cursor = page.next_cursor
        if cursor is None:
            break
    steps = []

    async def progressed(progress, total, message):
        steps.append(int(progress))

    said = {"revision": client.protocol_version, "listed": "fx__echo" in tools}
    said["echo"] = text(await client.call_tool("fx__echo", {"text": "grüße"}))
    said["sum"] = (await client.call_tool("fx__add", {"a": 1, "b": 2})).structured_content["sum"]
    await client.call_tool("fx__progress", {"steps": 5, "ms": 5}, progress_callback=progressed)
    said["progress"] = steps
    said["failed"] = (await client.call_tool("fx__fail", {"message": "no"})).is_error
    said["asked"] = text(await client.call_tool("fx__ask", {"message": "which?"}))
    said["sampled"] = text(await client.call_tool("fx__sample", {"prompt": "say"}))
    said["roots"] = "file:///the/root" in text(await client.call_tool("fx__roots", {}))
    said["resource"] = (await client.read_resource("test://static-text")).contents[0].text
    arguments = {"arg1": "x", "arg2": "y"}
    said["prompt"] = (await client.get_prompt("fx__test_prompt_with_arguments", arguments)).messages[0].content.text
    reference = types.PromptReference(type="ref/prompt", name="fx__test_prompt_with_arguments")
    completed = await client.complete(reference, {"name": "arg1", "value": "par"})
    said["completed"] = completed.completion.values
    try:
        await client.call_tool("fx__nothing", {})
    except mcp.MCPError as error:
        said["unknown"] = error.error.code
    before = int(text(await client.call_tool("fx__cancelled_count", {})))
    try:
        await asyncio.wait_for(client.call_tool("fx__sleep", {"ms": 60000}), 0.3)
    except TimeoutError:
        pass
    for _ in range(100):
        after = int(text(await client.call_tool("fx__cancelled_count", {})))
        if after > before:
            break
        await asyncio.sleep(0.02)
    said["cancelled"] = after - before
    return said


async def main():
    mode, door, target = sys.argv[1:]
    server = target
    if door == "stdio":
        server = mcp.StdioServerParameters(command=target, args=["serve"], env={"UMCP_HOME": os.environ["UMCP_HOME"]})
    callbacks = {"elicitation_callback": elicited, "sampling_callback": sampled, "list_roots_callback": roots}
    async with mcp.Client(server, mode=mode, **callbacks) as client:
        print(json.dumps(await everything(client)))


asyncio.run(asyncio.wait_for(main(), 30))
