// The official TypeScript clients, v1 and v2, used as an application would. Prints one line of JSON that the test
// compares. usage: node sdk.mjs v1|v2 MODULES auto|legacy stdio|http COMMAND|URL
import { pathToFileURL } from "node:url";

const [generation, modules, mode, door, target] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(`${modules}/@modelcontextprotocol/${path}`).href);
const v1 = generation === "v1";

const { Client } = await load(v1 ? "sdk/dist/esm/client/index.js" : "client/dist/index.mjs");
const { StdioClientTransport } = await load(v1 ? "sdk/dist/esm/client/stdio.js" : "client/dist/stdio.mjs");
const { StreamableHTTPClientTransport } = await load(v1 ? "sdk/dist/esm/client/streamableHttp.js" : "client/dist/index.mjs");
const schemas = v1 ? await load("sdk/dist/esm/types.js") : undefined;

const options = { capabilities: { elicitation: {}, sampling: {}, roots: {} } };
if (!v1) options.versionNegotiation = { mode };
const client = new Client({ name: "sdk", version: "1" }, options);
const answer = (method, schema, handler) => client.setRequestHandler(v1 ? schemas[schema] : method, handler);
answer("elicitation/create", "ElicitRequestSchema", async () => ({ action: "accept", content: { answer: "given" } }));
answer("sampling/createMessage", "CreateMessageRequestSchema", async () => ({
    role: "assistant", model: "none", stopReason: "endTurn", content: { type: "text", text: "sampled" },
}));
answer("roots/list", "ListRootsRequestSchema", async () => ({ roots: [{ uri: "file:///the/root", name: "root" }] }));

const transport = door === "stdio"
    ? new StdioClientTransport({ command: target, args: ["serve"], env: { UMCP_HOME: process.env.UMCP_HOME } })
    : new StreamableHTTPClientTransport(new URL(target));
await client.connect(transport);

const call = (name, args = {}, options = undefined) =>
    v1 ? client.callTool({ name, arguments: args }, undefined, options) : client.callTool({ name, arguments: args }, options);
const text = async (name, args) => (await call(name, args)).content[0].text;

const said = {};
said.revision = v1 ? transport.protocolVersion ?? "2025-11-25" : client.getNegotiatedProtocolVersion();
said.listed = (await client.listTools()).tools.some((tool) => tool.name === "fx__echo");
said.echo = await text("fx__echo", { text: "grüße" });
said.sum = (await call("fx__add", { a: 1, b: 2 })).structuredContent.sum;
said.progress = [];
await call("fx__progress", { steps: 5, ms: 5 }, { onprogress: (step) => said.progress.push(step.progress) });
said.failed = (await call("fx__fail", { message: "no" })).isError;
said.asked = await text("fx__ask", { message: "which?" });
said.sampled = await text("fx__sample", { prompt: "say" });
said.roots = (await text("fx__roots")).includes("file:///the/root");
said.resource = (await client.readResource({ uri: "test://static-text" })).contents[0].text;
const name = "fx__test_prompt_with_arguments";
said.prompt = (await client.getPrompt({ name, arguments: { arg1: "x", arg2: "y" } })).messages[0].content.text;
const completed = await client.complete({ ref: { type: "ref/prompt", name }, argument: { name: "arg1", value: "par" } });
said.completed = completed.completion.values;
try {
    await call("fx__nothing");
} catch (error) {
    said.unknown = error.code;
}
const count = async () => Number(await text("fx__cancelled_count"));
const before = await count();
const abort = new AbortController();
setTimeout(() => abort.abort(), 300);
await call("fx__sleep", { ms: 60000 }, { signal: abort.signal }).catch(() => {});
let after = before;
for (let i = 0; i < 100 && after === before; i++) {
    after = await count();
    await new Promise((done) => setTimeout(done, 20));
}
said.cancelled = after - before;
console.log(JSON.stringify(said));
await client.close();
