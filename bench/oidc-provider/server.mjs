// npm's oidc-provider as its documentation sets it up, with the adapter it comes with, which keeps everything in memory.
//
// FORMAT is `opaque` or the JWS algorithm of its JWT access tokens. Prints one line of JSON once it listens.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { Provider } from 'oidc-provider';

const format = process.env.FORMAT;
const SCOPE = 'notes:read';
const AUDIENCE = 'https://notes.example';

const KEY_TYPES = {
  EdDSA: ['ed25519', {}],
  ES256: ['ec', { namedCurve: 'P-256' }],
  RS256: ['rsa', { modulusLength: 2048 }],
};

function signingKey(alg) {
  const [type, options] = KEY_TYPES[alg];
  return { ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: alg };
}

const tokens = format === 'opaque'
  ? { accessTokenFormat: 'opaque' }
  : { accessTokenFormat: 'jwt', jwt: { sign: { alg: format } } };

const client = { client_id: 'bench', client_secret: randomBytes(32).toString('base64url') };

const provider = new Provider('http://localhost', {
  clients: [{
    ...client,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    token_endpoint_auth_method: 'client_secret_basic',
  }],
  // RS256 is what every client's id_token defaults to, so the provider does not start without such a key.
  jwks: { keys: [...new Set(['RS256', format])].filter((alg) => alg in KEY_TYPES).map(signingKey) },
  scopes: [SCOPE],
  enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256', 'EdDSA'] },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => AUDIENCE,
      getResourceServerInfo: () => ({ scope: SCOPE, audience: AUDIENCE, accessTokenTTL: 300, ...tokens }),
    },
  },
});

const server = provider.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify({ port: server.address().port, scope: SCOPE, ...client }));
});
process.on('SIGTERM', () => process.exit(0));
