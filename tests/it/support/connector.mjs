// A remote connector: the TypeScript SDK's own OAuth client against an endpoint that only gives its address. It plays the owner's
// browser too. `connector.mjs ROOM URL WORD` prints one line of JSON with what it got.
import { pathToFileURL } from 'node:url';

const [room, address, word] = process.argv.slice(2);
const sdk = (name) => import(pathToFileURL(`${room}/node_modules/@modelcontextprotocol/sdk/dist/esm/client/${name}.js`));
const [{ Client }, { StreamableHTTPClientTransport }, { auth }] = await Promise.all(['index', 'streamableHttp', 'auth'].map(sdk));

// The page, the form, and where the browser is sent then.
async function consent(url) {
  const page = await fetch(url, { redirect: 'manual' });
  const html = await page.text();
  if (page.status !== 200) throw new Error(`no page: ${page.status} ${html} ${page.headers.get('location')}`);
  const request = html.match(/name="request" value="([0-9a-f]+)"/)[1];
  const action = new URL(html.match(/action="([^"]+)"/)[1], url);
  const answer = await fetch(action, {
    method: 'POST',
    redirect: 'manual',
    headers: { cookie: page.headers.get('set-cookie').split(';')[0], origin: action.origin },
    body: new URLSearchParams({ request, word, decision: 'allow' }),
  });
  return new URL(answer.headers.get('location'));
}

let tokens, information, verifier, sent;
const provider = {
  redirectUrl: 'http://127.0.0.1:4711/callback',
  clientMetadata: { redirect_uris: ['http://127.0.0.1:4711/callback'], client_name: 'Test Connector', token_endpoint_auth_method: 'none' },
  state: () => 'a state & more',
  clientInformation: () => information,
  saveClientInformation: (given) => { information = given; },
  tokens: () => tokens,
  saveTokens: (given) => { tokens = given; },
  redirectToAuthorization: async (url) => { sent = await consent(url); },
  saveCodeVerifier: (given) => { verifier = given; },
  codeVerifier: () => verifier,
};

const connect = async () => {
  const transport = new StreamableHTTPClientTransport(new URL(address), { authProvider: provider });
  const client = new Client({ name: 'connector', version: '1' });
  try {
    await client.connect(transport);
    return client;
  } catch (error) {
    if (!sent) throw error;
    await transport.finishAuth(sent.searchParams.get('code'));
    return null;
  }
};
const first = await connect();
if (first) throw new Error('it was let in without consent');
const client = await connect();
const tools = (await client.listTools()).tools.map((tool) => tool.name);
const echo = await client.callTool({ name: 'fix__echo', arguments: { text: 'through' } }).catch((error) => ({ error: String(error) }));
const before = tokens;
await auth(provider, { serverUrl: address });
console.log(JSON.stringify({
  tools, echo, state: sent.searchParams.get('state'), iss: sent.searchParams.get('iss'), client: information.client_id,
  before, after: tokens, scope: tokens.scope,
}));
await client.close();
