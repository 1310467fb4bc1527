// `oauth4webapi`, the low-level client: each request and each answer is a step of its own, and the library checks
// every member of every answer by its RFC.

import assert from "node:assert/strict";
import * as oauth from "oauth4webapi";
import { assertMayNotWrite, atHash, demo, notes } from "../harness/checks.mjs";

const SCOPE = "openid profile offline_access notes:read notes:write";

// The demo speaks plain HTTP on loopback.
const HTTP = { [oauth.allowInsecureRequests]: true };

/** A client with its authentication, and each exchange as one call. */
class Client {
  constructor(as, clientId, authentication) {
    this.as = as;
    this.client = { client_id: clientId };
    this.authentication = authentication;
  }

  async ask(person, redirectUri, parameters = {}, acts = {}) {
    const verifier = oauth.generateRandomCodeVerifier();
    const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()];
    const url = new URL(this.as.authorization_endpoint);
    url.search = new URLSearchParams({
      response_type: "code",
      client_id: this.client.client_id,
      redirect_uri: redirectUri,
      scope: SCOPE,
      state,
      nonce,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
      ...parameters,
    });
    const { callback, shown } = await person.authorize(url, redirectUri, acts);
    return { callback, shown, state, nonce, verifier, redirectUri };
  }

  /** Checks the authorization response and redeems its code; the ID token's signature is checked as well. */
  async redeem({ callback, state, nonce, verifier, redirectUri }) {
    const { as, client, authentication } = this;
    const answer = oauth.validateAuthResponse(as, client, callback, state);
    const response = await oauth.authorizationCodeGrantRequest(
      as, client, authentication, answer, redirectUri, verifier, HTTP,
    );
    const expected = { expectedNonce: nonce, requireIdToken: true };
    const tokens = await oauth.processAuthorizationCodeResponse(as, client, response, expected);
    assert.equal(response.headers.get("cache-control"), "no-store");
    await oauth.validateApplicationLevelSignature(as, response, HTTP);
    return { ...tokens, claims: oauth.getValidatedIdTokenClaims(tokens) };
  }

  async refresh(refreshToken) {
    const { as, client, authentication } = this;
    const response = await oauth.refreshTokenGrantRequest(as, client, authentication, refreshToken, HTTP);
    return oauth.processRefreshTokenResponse(as, client, response);
  }

  async credentials(parameters) {
    const { as, client, authentication } = this;
    const response = await oauth.clientCredentialsGrantRequest(as, client, authentication, parameters, HTTP);
    return oauth.processClientCredentialsResponse(as, client, response);
  }

  async introspect(token) {
    const { as, client, authentication } = this;
    const response = await oauth.introspectionRequest(as, client, authentication, token, HTTP);
    return oauth.processIntrospectionResponse(as, client, response);
  }

  async revoke(token) {
    const { as, client, authentication } = this;
    return oauth.processRevocationResponse(await oauth.revocationRequest(as, client, authentication, token, HTTP));
  }

  async userInfo(accessToken, subject) {
    const response = await oauth.userInfoRequest(this.as, this.client, accessToken, HTTP);
    return oauth.processUserInfoResponse(this.as, this.client, subject, response);
  }
}

async function discover(algorithm = "oidc") {
  const issuer = new URL(demo.issuer);
  const response = await oauth.discoveryRequest(issuer, { ...HTTP, algorithm });
  return oauth.processDiscoveryResponse(issuer, response);
}

const refused = (error) => (actual) => {
  assert.equal(actual.error, error, actual.stack);
  return true;
};

export async function confidential(suite, person) {
  const check = (promise, body) => suite.check(`oauth4webapi, confidential: ${promise}`, body);
  const redirectUri = demo.redirect_uri;
  let as, web, answer, tokens;

  await check("both discovery documents say the same", async () => {
    as = await discover();
    assert.deepEqual(as.response_types_supported, ["code"]);
    assert.ok(as.authorization_response_iss_parameter_supported);
    const oauthOnly = await discover("oauth2");
    for (const member of ["authorization_endpoint", "token_endpoint", "jwks_uri", "revocation_endpoint"]) {
      assert.equal(oauthOnly[member], as[member]);
    }
    web = new Client(as, demo.client_id, oauth.ClientSecretPost(demo.client_secret));
  });

  await check("the API's metadata names this issuer (RFC 9728)", async () => {
    const resource = new URL(demo.api_audience);
    const response = await oauth.resourceDiscoveryRequest(resource, HTTP);
    const metadata = await oauth.processResourceDiscoveryResponse(resource, response);
    assert.deepEqual(metadata.authorization_servers, [demo.issuer]);
    assert.ok(as.protected_resources.includes(metadata.resource));
  });

  await check("code and PKCE give tokens, with an ID token that is signed and for this client", async () => {
    answer = await web.ask(person, redirectUri);
    assert.equal(answer.callback.searchParams.get("iss"), demo.issuer);
    tokens = await web.redeem(answer);
    assert.equal(tokens.claims.iss, demo.issuer);
    assert.deepEqual([tokens.claims.aud].flat(), [demo.client_id]);
    assert.equal(tokens.claims.at_hash, atHash(tokens.access_token));
    assert.ok(tokens.refresh_token);
  });

  await check("the access token is a JWT by RFC 9068, for the API and for userinfo", async () => {
    const validate = (audience, token) => {
      const request = new Request(demo.api, { headers: { authorization: `Bearer ${token}` } });
      return oauth.validateJwtAccessToken(as, request, audience, HTTP);
    };
    const claims = await validate(demo.api_audience, tokens.access_token);
    assert.equal(claims.client_id, demo.client_id);
    assert.equal(claims.sub, tokens.claims.sub);
    assert.equal(claims.scope, tokens.scope);
    await validate(demo.issuer, tokens.access_token);
    await assert.rejects(validate("http://localhost:1/another", tokens.access_token));
  });

  await check("userinfo answers under the subject of the ID token", async () => {
    const info = await web.userInfo(tokens.access_token, tokens.claims.sub);
    assert.equal(info.preferred_username, demo.username);
    assert.equal(info.email, undefined, "email was not asked for");
  });

  await check("the notes API takes the token for reading and for writing", async () => {
    assert.equal((await notes(tokens.access_token)).status, 200);
    assert.equal((await notes(tokens.access_token, "POST")).status, 201);
  });

  await check("a refresh rotates the token, and the old one is refused after the new one's use", async () => {
    const rotated = await web.refresh(tokens.refresh_token);
    assert.notEqual(rotated.refresh_token, tokens.refresh_token);
    const next = await web.refresh(rotated.refresh_token);
    assert.equal((await notes(next.access_token)).status, 200);
    await assert.rejects(web.refresh(tokens.refresh_token), refused("invalid_grant"));
    await assert.rejects(web.refresh(next.refresh_token), refused("invalid_grant"));
  });

  await check("introspection turns from active to inactive when the token is revoked", async () => {
    const fresh = await web.redeem(await web.ask(person, redirectUri));
    const seen = await web.introspect(fresh.access_token);
    assert.equal(seen.active, true);
    assert.equal(seen.iss, demo.issuer);
    assert.equal(seen.sub, fresh.claims.sub);
    await web.revoke(fresh.access_token);
    assert.deepEqual(await web.introspect(fresh.access_token), { active: false });
    assert.equal((await web.introspect(fresh.refresh_token)).active, true);
    await web.revoke(fresh.refresh_token);
    assert.deepEqual(await web.introspect(fresh.refresh_token), { active: false });
    await web.revoke("no token at all");
  });

  await check("a scope that was unticked is not granted, and the API refuses what needs it", async () => {
    const asked = await web.ask(person, redirectUri, { prompt: "consent" }, { untick: ["notes:write"] });
    const narrowed = await web.redeem(asked);
    assert.ok(!narrowed.scope.split(" ").includes("notes:write"), narrowed.scope);
    await assertMayNotWrite(narrowed.access_token);
  });

  await check("a refusal comes back as access_denied, with iss", async () => {
    const denied = await web.ask(person, redirectUri, { prompt: "consent" }, { decision: "deny" });
    await assert.rejects(web.redeem(denied), refused("access_denied"));
  });

  await check("client_credentials narrows to the scope that was asked, and names an unknown resource", async () => {
    const own = await web.credentials({ scope: "notes:read", resource: demo.api_audience });
    assert.equal(own.scope, "notes:read");
    assert.equal((await web.introspect(own.access_token)).active, true);
    await assertMayNotWrite(own.access_token);
    const elsewhere = { scope: "notes:read", resource: "https://api.example/" };
    await assert.rejects(web.credentials(elsewhere), refused("invalid_target"));
    await assert.rejects(web.credentials({ scope: "offline_access" }), refused("invalid_scope"));
  });
}

export async function native(suite, person, redirectUri) {
  const check = (promise, body) => suite.check(`oauth4webapi, public: ${promise}`, body);
  let app, api, tokens;

  await check("code and PKCE work without a secret, on a loopback port that was not registered", async () => {
    const as = await discover();
    app = new Client(as, demo.public_client_id, oauth.None());
    api = new Client(as, demo.api_client_id, oauth.ClientSecretBasic(demo.api_client_secret));
    tokens = await app.redeem(await app.ask(person, redirectUri));
    assert.deepEqual([tokens.claims.aud].flat(), [demo.public_client_id]);
    assert.equal((await notes(tokens.access_token)).status, 200);
  });

  await check("userinfo answers under the subject of the ID token", async () => {
    assert.equal((await app.userInfo(tokens.access_token, tokens.claims.sub)).sub, tokens.claims.sub);
  });

  await check("a refresh rotates the token, and the old one is refused after the new one's use", async () => {
    const rotated = await app.refresh(tokens.refresh_token);
    assert.notEqual(rotated.refresh_token, tokens.refresh_token);
    await app.refresh(rotated.refresh_token);
    await assert.rejects(app.refresh(tokens.refresh_token), refused("invalid_grant"));
  });

  await check("revocation needs no secret, and the API sees the token turn inactive", async () => {
    const fresh = await app.redeem(await app.ask(person, redirectUri));
    assert.equal((await api.introspect(fresh.access_token)).active, true);
    await app.revoke(fresh.refresh_token);
    assert.deepEqual(await api.introspect(fresh.access_token), { active: false });
    await assert.rejects(app.refresh(fresh.refresh_token), refused("invalid_grant"));
  });

  await check("client_credentials is not for a public client", async () => {
    await assert.rejects(app.credentials({ scope: "notes:read" }), refused("unauthorized_client"));
  });
}
