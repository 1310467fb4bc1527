// `openid-client`, the high-level client: every rule of the protocol is checked by the library itself, with the
// signature of the ID token checked too (`enableNonRepudiationChecks`).

import assert from "node:assert/strict";
import * as client from "openid-client";
import { assertMayNotWrite, atHash, demo, notes } from "../harness/checks.mjs";

const SCOPE = "openid profile email offline_access notes:read notes:write";

// The demo speaks plain HTTP on loopback.
const discover = async (clientId, authentication) => {
  const execute = [client.allowInsecureRequests, client.enableNonRepudiationChecks];
  return client.discovery(new URL(demo.issuer), clientId, undefined, authentication, { execute });
};

/** Sends the person to the authorization endpoint; gives what the token request needs. */
async function ask(config, person, redirectUri, parameters = {}, acts = {}) {
  const checks = {
    pkceCodeVerifier: client.randomPKCECodeVerifier(),
    expectedState: client.randomState(),
    expectedNonce: client.randomNonce(),
    idTokenExpected: true,
  };
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: redirectUri,
    scope: SCOPE,
    code_challenge: await client.calculatePKCECodeChallenge(checks.pkceCodeVerifier),
    code_challenge_method: "S256",
    state: checks.expectedState,
    nonce: checks.expectedNonce,
    ...parameters,
  });
  return { ...(await person.authorize(url, redirectUri, acts)), checks };
}

const redeem = (config, { callback, checks }) => client.authorizationCodeGrant(config, callback, checks);

const refused = (error) => (actual) => {
  assert.equal(actual.error, error, actual.stack);
  return true;
};

export async function confidential(suite, person) {
  const check = (promise, body) => suite.check(`openid-client, confidential: ${promise}`, body);
  const redirectUri = demo.redirect_uri;
  let config, answer, tokens;

  await check("discovery names the issuer and PKCE with S256", async () => {
    config = await discover(demo.client_id, client.ClientSecretBasic(demo.client_secret));
    assert.equal(config.serverMetadata().issuer, demo.issuer);
    assert.ok(config.serverMetadata().supportsPKCE());
  });

  await check("the code comes back with state and iss after sign-in and consent", async () => {
    answer = await ask(config, person, redirectUri);
    assert.deepEqual(answer.shown, ["sign-in", "consent"]);
    assert.equal(answer.callback.searchParams.get("iss"), demo.issuer);
  });

  await check("the code is redeemed for an access token, a refresh token and an ID token", async () => {
    tokens = await redeem(config, answer);
    assert.equal(tokens.token_type, "bearer");
    assert.deepEqual(new Set(tokens.scope.split(" ")), new Set(SCOPE.split(" ")));
    assert.ok(tokens.refresh_token);
    const claims = tokens.claims();
    assert.equal(claims.iss, demo.issuer);
    assert.deepEqual([claims.aud].flat(), [demo.client_id]);
    assert.equal(claims.nonce, answer.checks.expectedNonce);
    assert.equal(claims.at_hash, atHash(tokens.access_token));
  });

  await check("userinfo names who signed in, under the subject of the ID token", async () => {
    const info = await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub);
    assert.equal(info.sub, tokens.claims().sub);
    assert.equal(info.preferred_username, demo.username);
  });

  await check("the notes API takes the token for reading and for writing", async () => {
    assert.equal((await notes(tokens.access_token)).status, 200);
    assert.equal((await notes(tokens.access_token, "POST")).status, 201);
  });

  await check("a refresh rotates the token, a repeat gets the same successor, a reuse ends the family", async () => {
    const first = tokens.refresh_token;
    const rotated = await client.refreshTokenGrant(config, first);
    assert.ok(rotated.refresh_token && rotated.refresh_token !== first);
    const repeated = await client.refreshTokenGrant(config, first);
    assert.equal(repeated.refresh_token, rotated.refresh_token);
    const second = await client.refreshTokenGrant(config, rotated.refresh_token);
    assert.notEqual(second.refresh_token, rotated.refresh_token);
    assert.equal((await client.tokenIntrospection(config, second.access_token)).active, true);
    await assert.rejects(client.refreshTokenGrant(config, first), refused("invalid_grant"));
    await assert.rejects(client.refreshTokenGrant(config, second.refresh_token), refused("invalid_grant"));
    assert.deepEqual(await client.tokenIntrospection(config, second.access_token), { active: false });
  });

  await check("consent is remembered: prompt=none gets a code without a page", async () => {
    const silent = await ask(config, person, redirectUri, { prompt: "none" });
    assert.deepEqual(silent.shown, []);
    tokens = await redeem(config, silent);
    assert.equal((await notes(tokens.access_token)).status, 200);
  });

  await check("introspection turns from active to inactive when the token is revoked", async () => {
    const before = await client.tokenIntrospection(config, tokens.access_token);
    assert.equal(before.active, true);
    assert.equal(before.client_id, demo.client_id);
    assert.equal(before.sub, tokens.claims().sub);
    await client.tokenRevocation(config, tokens.access_token);
    assert.deepEqual(await client.tokenIntrospection(config, tokens.access_token), { active: false });
    await client.tokenRevocation(config, tokens.refresh_token);
    assert.deepEqual(await client.tokenIntrospection(config, tokens.refresh_token), { active: false });
    await assert.rejects(client.refreshTokenGrant(config, tokens.refresh_token), refused("invalid_grant"));
  });

  await check("a scope that was unticked is not granted, and the API refuses what needs it", async () => {
    const acts = { untick: ["notes:write"] };
    const narrowed = await redeem(config, await ask(config, person, redirectUri, { prompt: "consent" }, acts));
    assert.ok(!narrowed.scope.split(" ").includes("notes:write"), narrowed.scope);
    assert.equal((await notes(narrowed.access_token)).status, 200);
    await assertMayNotWrite(narrowed.access_token);
  });

  await check("a code that is redeemed twice gives nothing and takes back what it gave", async () => {
    const again = await ask(config, person, redirectUri);
    const given = await redeem(config, again);
    await assert.rejects(redeem(config, again), refused("invalid_grant"));
    assert.deepEqual(await client.tokenIntrospection(config, given.access_token), { active: false });
    await assert.rejects(client.refreshTokenGrant(config, given.refresh_token), refused("invalid_grant"));
  });

  await check("a wrong code_verifier is refused and leaves the code good", async () => {
    const asked = await ask(config, person, redirectUri);
    const wrong = { ...asked, checks: { ...asked.checks, pkceCodeVerifier: client.randomPKCECodeVerifier() } };
    await assert.rejects(redeem(config, wrong), refused("invalid_grant"));
    assert.ok((await redeem(config, asked)).access_token);
  });

  await check("a refusal by the person comes back as access_denied", async () => {
    const denied = await ask(config, person, redirectUri, { prompt: "consent" }, { decision: "deny" });
    assert.equal(denied.callback.searchParams.get("iss"), demo.issuer);
    await assert.rejects(redeem(config, denied), refused("access_denied"));
  });

  await check("client_credentials gives a token without a refresh token, for the scopes that were asked", async () => {
    const own = await client.clientCredentialsGrant(config, { scope: "notes:read", resource: demo.api_audience });
    assert.equal(own.scope, "notes:read");
    assert.equal(own.refresh_token, undefined);
    assert.equal((await notes(own.access_token)).status, 200);
    await assertMayNotWrite(own.access_token);
    const seen = await client.tokenIntrospection(config, own.access_token);
    assert.equal(seen.active, true);
    assert.deepEqual([seen.aud].flat(), [demo.api_audience]);
    await client.tokenRevocation(config, own.access_token);
    assert.deepEqual(await client.tokenIntrospection(config, own.access_token), { active: false });
  });

  await check("the secret may stand in the body, and a wrong one is invalid_client", async () => {
    const posting = await discover(demo.client_id, client.ClientSecretPost(demo.client_secret));
    assert.ok((await client.clientCredentialsGrant(posting, { scope: "notes:read" })).access_token);
    const wrong = (authentication) => discover(demo.client_id, authentication(demo.api_client_secret));
    const posted = client.clientCredentialsGrant(await wrong(client.ClientSecretPost), { scope: "notes:read" });
    await assert.rejects(posted, refused("invalid_client"));
    // Basic is answered with a challenge (RFC 6749 5.2), and the library looks at that first.
    const basic = client.clientCredentialsGrant(await wrong(client.ClientSecretBasic), { scope: "notes:read" });
    await assert.rejects(basic, (error) => error.status === 401 && error.cause[0].scheme === "basic");
  });
}

export async function native(suite, person, redirectUri) {
  const check = (promise, body) => suite.check(`openid-client, public: ${promise}`, body);
  let config, api, answer, tokens;

  await check("the code flow works on a loopback port that was not registered", async () => {
    config = await discover(demo.public_client_id, client.None());
    api = await discover(demo.api_client_id, client.ClientSecretBasic(demo.api_client_secret));
    answer = await ask(config, person, redirectUri);
    assert.deepEqual(answer.shown, ["sign-in", "consent"]);
    tokens = await redeem(config, answer);
    assert.deepEqual([tokens.claims().aud].flat(), [demo.public_client_id]);
    assert.equal(tokens.claims().at_hash, atHash(tokens.access_token));
    assert.equal((await notes(tokens.access_token)).status, 200);
  });

  await check("userinfo answers under the same subject", async () => {
    const info = await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub);
    assert.equal(info.sub, tokens.claims().sub);
  });

  await check("consent is asked each time, so prompt=none gets consent_required", async () => {
    const silent = await ask(config, person, redirectUri, { prompt: "none" });
    await assert.rejects(redeem(config, silent), refused("consent_required"));
  });

  await check("a refresh rotates the token, and the old one is refused after the new one's use", async () => {
    const rotated = await client.refreshTokenGrant(config, tokens.refresh_token);
    assert.notEqual(rotated.refresh_token, tokens.refresh_token);
    await client.refreshTokenGrant(config, rotated.refresh_token);
    await assert.rejects(client.refreshTokenGrant(config, tokens.refresh_token), refused("invalid_grant"));
  });

  await check("without offline_access there is no refresh token", async () => {
    const brief = await redeem(config, await ask(config, person, redirectUri, { scope: "openid notes:read" }));
    assert.equal(brief.refresh_token, undefined);
  });

  await check("revoking the refresh token ends its access token for the API that asks", async () => {
    const fresh = await redeem(config, await ask(config, person, redirectUri));
    const seen = await client.tokenIntrospection(api, fresh.access_token);
    assert.equal(seen.active, true);
    assert.equal(seen.client_id, demo.public_client_id);
    await client.tokenRevocation(config, fresh.refresh_token);
    assert.deepEqual(await client.tokenIntrospection(api, fresh.access_token), { active: false });
    await assert.rejects(client.refreshTokenGrant(config, fresh.refresh_token), refused("invalid_grant"));
  });
}
