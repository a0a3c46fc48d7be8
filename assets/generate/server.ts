// @name@: an MCP server. Node 22.18 and newer run it as it is, after `npm install` in this folder.
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { z } from "zod";

const server = new McpServer({ name: "@name@", version: "0.1.0" });

server.registerTool(
  "greet",
  { description: "Greets somebody by name", inputSchema: { name: z.string().describe("Whom to greet") } },
  async ({ name }: { name: string }) => ({ content: [{ type: "text" as const, text: `Hello ${name}!` }] }),
);

await server.connect(new StdioServerTransport());
