// An authorization server (oidc-provider) and an MCP server that lets in whom it knows, both on loopback.
// Modes: `serve ROOM` prints one line of JSON with its addresses; `browse URL [follow]` signs in as a person would,
// by the provider's built-in pages, and prints where the browser was sent back to (and goes there with `follow`).
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';

const DOCUMENT = {
  client_id: 'https://umcp.example/client.json', client_name: 'umcp', application_type: 'native', token_endpoint_auth_method: 'none',
  redirect_uris: ['http://127.0.0.1/callback'], grant_types: ['authorization_code', 'refresh_token'],
};

const json = (response, status, body, headers = {}) => {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
};

const read = async (request) => {
  let text = '';
  for await (const piece of request) text += piece;
  return text;
};

async function serve(room) {
  // Its advice is for those who run it for real.
  console.info = console.warn = () => {};
  const { default: Provider } = await import(pathToFileURL(`${room}/node_modules/oidc-provider/lib/index.js`));
  const stats = { code: 0, refresh: 0, client_credentials: 0, device: 0, revoked: 0, registered: 0, refused: 0, calls: 0, denied: 0, documents: 0 };
  const state = { needed: 'mcp:read', ttl: 3600, flat: false, documents: true };
  let provider;
  const front = createServer((request, response) => provider.callback()(request, response));
  await new Promise((done) => front.listen(0, '127.0.0.1', done));
  const issuer = `http://127.0.0.1:${front.address().port}`;

  const back = createServer(async (request, response) => {
    const place = new URL(request.url, `http://127.0.0.1:${back.address().port}`);
    const text = await read(request);
    if (place.pathname === '/control') {
      Object.assign(state, JSON.parse(text || '{}'));
      if (state.forget) { valid.clear(); state.forget = false; }
      if (state.end) {
        for (const grant of grants) await provider.Grant.adapter.destroy(grant);
        for (const grant of grants) await provider.RefreshToken.adapter.revokeByGrantId(grant);
        valid.clear();
        state.end = false;
      }
      return json(response, 200, stats);
    }
    if (place.pathname.startsWith('/.well-known/oauth-protected-resource')) {
      if (place.pathname !== '/.well-known/oauth-protected-resource/mcp') return json(response, 404, {});
      return json(response, 200, {
        resource: `${place.origin}/mcp`, authorization_servers: [issuer], scopes_supported: ['mcp:read'],
      });
    }
    const token = (request.headers.authorization ?? '').replace(/^Bearer /, '');
    const found = valid.get(token);
    const described = `resource_metadata="${place.origin}/.well-known/oauth-protected-resource/mcp"`;
    if (!found) {
      stats.denied += 1;
      return json(response, 401, { error: 'invalid_token' }, { 'www-authenticate': `Bearer ${described}` });
    }
    if (place.pathname === '/me') return json(response, 200, { who: found.accountId ?? found.clientId });
    const message = JSON.parse(text || '{}');
    if (message.id === undefined) { response.writeHead(202); return response.end(); }
    const answer = (result) => json(response, 200, { jsonrpc: '2.0', id: message.id, result });
    if (message.method === 'initialize') {
      return answer({ protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'private', version: '1' } });
    }
    if (message.method === 'tools/list') {
      return answer({ tools: [{ name: 'whoami', description: 'Tell who asks', inputSchema: { type: 'object' } }] });
    }
    if (message.method === 'tools/call') {
      if (!(found.scope ?? '').split(' ').includes(state.needed)) {
        return json(response, 403, { error: 'insufficient_scope' },
          { 'www-authenticate': `Bearer error="insufficient_scope", scope="${state.needed}", ${described}` });
      }
      stats.calls += 1;
      return answer({ content: [{ type: 'text', text: found.accountId ?? found.clientId }] });
    }
    return json(response, 200, { jsonrpc: '2.0', id: message.id, error: { code: -32601, message: 'unknown' } });
  });
  await new Promise((done) => back.listen(0, '127.0.0.1', done));
  const resource = `http://127.0.0.1:${back.address().port}/mcp`;

  const valid = new Map();
  const grants = new Set();
  const { publicKeyPem, ...keys } = await clientKeys();
  provider = new Provider(issuer, {
    clients: [
      { client_id: 'machine', client_secret: 'machine-secret', grant_types: ['client_credentials'], redirect_uris: [], response_types: [] },
      { client_id: 'signer', grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
        token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: 'ES256', jwks: { keys: [keys.jwk] } },
      { client_id: 'known', client_secret: 'known-secret', application_type: 'native', redirect_uris: ['http://127.0.0.1/callback'],
        grant_types: ['authorization_code', 'refresh_token'] },
      { client_id: 'tv', token_endpoint_auth_method: 'none', redirect_uris: [], response_types: [],
        grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'] },
    ],
    // The document of a client is on a machine that is not there.
    fetch: async (url, options) => {
      if (String(url) !== DOCUMENT.client_id) return fetch(url, options);
      stats.documents += 1;
      return new Response(JSON.stringify(DOCUMENT), { headers: { 'content-type': 'application/json' } });
    },
    clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    scopes: ['openid', 'offline_access', 'mcp:read', 'mcp:write'],
    pkce: { required: () => true },
    rotateRefreshToken: true,
    issueRefreshToken: async (_, client) => client.grantTypeAllowed('refresh_token'),
    cookies: { keys: ['a', 'b'] },
    features: {
      devInteractions: { enabled: true },
      registration: { enabled: true },
      revocation: { enabled: true },
      deviceFlow: { enabled: true },
      clientCredentials: { enabled: true },
      clientIdMetadataDocument: { enabled: true, ack: 'draft-02' },
      resourceIndicators: {
        enabled: true,
        defaultResource: async () => resource,
        useGrantedResource: async () => true,
        getResourceServerInfo: async () => ({ scope: 'mcp:read mcp:write', audience: resource, accessTokenFormat: 'opaque', accessTokenTTL: state.ttl }),
      },
    },
  });
  provider.use(async (ctx, next) => {
    await next();
    if (ctx.path.startsWith('/.well-known/') && !state.documents) delete ctx.body?.client_id_metadata_document_supported;
    if (ctx.path === '/reg' && ctx.status === 201) stats.registered += 1;
    if (ctx.path === '/token/revocation' && ctx.status === 200) stats.revoked += 1;
    if (ctx.path !== '/token') return;
    const grant = ctx.oidc?.params?.grant_type ?? '';
    const name = { authorization_code: 'code', refresh_token: 'refresh', client_credentials: 'client_credentials' }[grant] ?? 'device';
    if (ctx.status === 200) {
      stats[name] += 1;
      const { accountId, grantId } = ctx.oidc.entities.AccessToken ?? ctx.oidc.entities.ClientCredentials ?? {};
      if (grantId) grants.add(grantId);
      valid.set(ctx.body.access_token, { accountId, clientId: ctx.oidc.client?.clientId, scope: ctx.body.scope });
    } else if (ctx.body?.error !== 'authorization_pending') {
      stats.refused += 1;
    }
  });
  console.log(JSON.stringify({ issuer, resource, control: `${new URL(resource).origin}/control`, me: `${new URL(resource).origin}/me`, key: keys.pem }));
}

async function clientKeys() {
  const { generateKeyPairSync } = await import('node:crypto');
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { jwk: { ...publicKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256', kid: '1' }, pem: privateKey.export({ type: 'pkcs8', format: 'pem' }) };
}

// A browser: cookies, redirects, and the forms of the built-in pages.
async function browse(start, follow) {
  const cookies = new Map();
  let [url, init] = [start, {}];
  for (let step = 0; step < 30; step += 1) {
    const place = new URL(url);
    if (place.pathname.startsWith('/callback')) {
      if (follow) await fetch(url);
      return console.log(url);
    }
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, { ...init, redirect: 'manual', headers: { ...init.headers, cookie } });
    for (const line of response.headers.getSetCookie()) {
      const [pair] = line.split(';');
      cookies.set(pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1));
    }
    if (response.status >= 300 && response.status < 400) {
      [url, init] = [new URL(response.headers.get('location'), url).href, {}];
      continue;
    }
    const page = await response.text();
    const action = /<form[^>]*action="([^"]+)"/.exec(page)?.[1];
    if (!action) { console.log(/signed-in|success|Sign-in Success/i.test(page) ? 'done' : page); return; }
    const fields = new URLSearchParams();
    for (const [, tag] of page.matchAll(/<input([^>]*)>/g)) {
      const name = /name="([^"]+)"/.exec(tag)?.[1];
      if (name) fields.set(name, /value="([^"]*)"/.exec(tag)?.[1] ?? 'someone');
    }
    if (page.includes('user_code') && place.searchParams.get('user_code') && !fields.get('user_code')) {
      fields.set('user_code', place.searchParams.get('user_code'));
    }
    [url, init] = [new URL(action, url).href, { method: 'POST', body: fields.toString(), headers: { 'content-type': 'application/x-www-form-urlencoded' } }];
  }
  throw new Error('the pages lead nowhere');
}

const [mode, ...words] = process.argv.slice(2);
if (mode === 'serve') await serve(words[0]);
else await browse(words[0], words[1] === 'follow');
