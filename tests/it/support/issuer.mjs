// An issuer of signed tokens (oidc-provider) on loopback. `issuer.mjs ROOM AUDIENCE` prints one line of JSON: its address, and a
// token for the audience in each algorithm.
import { createServer } from 'node:http';
import { generateKeyPairSync } from 'node:crypto';
import { pathToFileURL } from 'node:url';

const [room, audience] = process.argv.slice(2);
console.info = console.warn = () => {};
const { default: Provider } = await import(pathToFileURL(`${room}/node_modules/oidc-provider/lib/index.js`));

const jwk = (type, options, more) => ({
  ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }), use: 'sig', ...more,
});
const keys = [
  jwk('rsa', { modulusLength: 2048 }, { kid: 'r', alg: 'RS256' }),
  jwk('ec', { namedCurve: 'P-256' }, { kid: 'e', alg: 'ES256' }),
  jwk('ed25519', {}, { kid: 'd', alg: 'EdDSA' }),
];
let provider;
const server = createServer((request, response) => provider.callback()(request, response));
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const issuer = `http://127.0.0.1:${server.address().port}`;
let alg;
provider = new Provider(issuer, {
  clients: [{ client_id: 'robot', client_secret: 'robot-secret', grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }],
  jwks: { keys },
  cookies: { keys: ['a'] },
  scopes: ['tools:read', 'tools:call'],
  extraTokenClaims: () => ({ realm: { roles: ['operator'] } }),
  features: {
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: async () => ({ scope: 'tools:read tools:call', audience, accessTokenFormat: 'jwt', accessTokenTTL: 300, jwt: { sign: { alg } } }),
    },
  },
});

const tokens = {};
for (alg of ['RS256', 'ES256', 'EdDSA']) {
  const response = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from('robot:robot-secret').toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', resource: audience, scope: 'tools:read' }),
  });
  const answer = await response.json();
  tokens[alg] = answer.access_token ?? JSON.stringify(answer);
}
console.log(JSON.stringify({ issuer, tokens }));
