"""@name@: an MCP server. It needs the package `mcp` (version 2): pip install 'mcp>=2,<3'"""

from mcp.server import MCPServer

server = MCPServer("@name@")


@server.tool()
def greet(name: str) -> str:
    """Greets somebody by name"""
    return f"Hello {name}!"


if __name__ == "__main__":
    server.run()
