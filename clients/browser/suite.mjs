// `oidc-client-ts` in a browser, from another origin than the server's: every request that it makes is subject to CORS.

import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { atHash, Checks, demo, notes } from "../harness/checks.mjs";
import { CHROMIUM } from "../harness/person.mjs";
import { serve } from "./application.mjs";
import { carried } from "./carried.mjs";
import { crossOrigin } from "./cross_origin.mjs";
import { keysInPages } from "./keys.mjs";

const checks = new Checks();
const check = (promise, body) => checks.check(`oidc-client-ts: ${promise}`, body);
const application = await serve();
const browser = await chromium.launch(CHROMIUM);
const context = await browser.newContext();
context.setDefaultTimeout(10_000);
const page = await context.newPage();

const isReady = () => page.waitForFunction(() => "manager" in globalThis);

/** Sends the person to the pages by the library, and comes back to the application with an answer. */
async function goThrough(parameters = {}, { decision = "allow", settings = {}, separator = "?" } = {}) {
  await page.goto(application.redirectUri);
  await isReady();
  // It leaves this page and so never settles.
  const signIn = ([own, given]) => managerWith(own).signinRedirect(given);
  page.evaluate(signIn, [settings, parameters]).catch(() => {});
  await page.waitForURL(`${demo.issuer}/**`);
  if (new URL(page.url()).pathname.startsWith("/sign-in/")) {
    await page.fill("#username", demo.username);
    await page.fill("#password", demo.password);
    await page.click("#sign-in");
    await page.waitForURL(`${demo.issuer}/consent/**`);
  }
  await page.click(`#${decision}`);
  await page.waitForURL((url) => url.href.startsWith(`${application.redirectUri}${separator}`));
  await isReady();
}

/** What came of a promise of the library, in a form that leaves the browser. */
const settle = (act) => page.evaluate(async (source) => {
  try {
    return { user: JSON.parse((await (0, eval)(source)())?.toStorageString?.() ?? "null") };
  } catch (error) {
    return { name: error.name, error: error.error, message: error.message };
  }
}, String(act));

const callback = () => settle(() => manager.signinRedirectCallback());

const claims = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url"));

async function introspect(token) {
  const authorization = `Basic ${btoa(`${demo.api_client_id}:${demo.api_client_secret}`)}`;
  const body = new URLSearchParams({ token });
  return (await fetch(`${demo.issuer}/introspect`, { method: "POST", headers: { authorization }, body })).json();
}

let user;

try {
  await check("discovery is read by the page", async () => {
    await page.goto(application.redirectUri);
    await isReady();
    assert.notEqual(application.origin, demo.issuer);
    const metadata = await page.evaluate(() => manager.metadataService.getMetadata());
    assert.equal(metadata.issuer, demo.issuer);
    const keys = await page.evaluate(() => manager.metadataService.getSigningKeys());
    assert.ok(keys.length > 0);
  });

  await check("sign-in and consent on the real pages give tokens to the page", async () => {
    const nonce = "a-nonce-of-this-suite";
    await goThrough({ nonce });
    const answer = await callback();
    assert.ok(answer.user, JSON.stringify(answer));
    user = answer.user;
    assert.equal(user.token_type, "Bearer");
    assert.ok(user.refresh_token);
    const { iss, aud, sub, nonce: returned, at_hash } = claims(user.id_token);
    assert.equal(iss, demo.issuer);
    assert.deepEqual([aud].flat(), [demo.public_client_id]);
    assert.equal(returned, nonce);
    assert.equal(at_hash, atHash(user.access_token));
    assert.equal(user.profile.sub, sub);
  });

  await check("the profile has the claims of userinfo", async () => {
    assert.equal(user.profile.iss, demo.issuer);
    assert.equal(user.profile.preferred_username, demo.username);
    assert.equal(claims(user.id_token).preferred_username, demo.username, "the id_token has what the scopes tell, too");
    const stored = await settle(() => manager.getUser());
    assert.deepEqual(stored.user, user);
  });

  await check("the access token opens the notes API, which is no browser's to call from elsewhere", async () => {
    assert.equal((await notes(user.access_token)).status, 200);
    const fromPage = await page.evaluate(async ([url, token]) => {
      const headers = { authorization: `Bearer ${token}` };
      return fetch(url, { headers }).then(({ status }) => status, ({ name }) => name);
    }, [`${demo.api}/notes`, user.access_token]);
    assert.equal(fromPage, "TypeError", "the sample API allows no other origin");
  });

  await check("signinSilent renews with the refresh token, and rotates it", async () => {
    const { user: renewed, ...problem } = await settle(() => manager.signinSilent());
    assert.ok(renewed, JSON.stringify(problem));
    assert.notEqual(renewed.refresh_token, user.refresh_token);
    assert.notEqual(renewed.access_token, user.access_token);
    assert.equal(renewed.profile.sub, user.profile.sub);
    assert.equal((await notes(renewed.access_token)).status, 200);
    user = renewed;
    const { user: again } = await settle(() => manager.signinSilent());
    assert.notEqual(again.refresh_token, user.refresh_token);
    user = again;
  });

  await check("two renewals at once get one successor", async () => {
    const tokens = await page.evaluate(async () => {
      const before = await manager.getUser();
      const { token_endpoint } = await manager.metadataService.getMetadata();
      const { client_id } = manager.settings;
      const body = new URLSearchParams({ grant_type: "refresh_token", refresh_token: before.refresh_token, client_id });
      const answers = await Promise.all([1, 2].map(() => fetch(token_endpoint, { method: "POST", body })));
      return Promise.all(answers.map(async (answer) => (await answer.json()).refresh_token));
    });
    assert.ok(tokens[0] && tokens[0] !== user.refresh_token);
    assert.equal(tokens[1], tokens[0]);
    // The library still holds the predecessor and is given the same successor, as after a lost answer.
    const { user: renewed } = await settle(() => manager.signinSilent());
    assert.equal(renewed.refresh_token, tokens[0]);
    user = renewed;
  });

  await check("revokeTokens ends both tokens, and a refresh after it is refused", async () => {
    assert.equal((await introspect(user.access_token)).active, true);
    const { message } = await settle(() => manager.revokeTokens());
    assert.equal(message, undefined);
    assert.deepEqual(await introspect(user.access_token), { active: false });
    const refusal = await page.evaluate(async ([refresh_token, client_id]) => {
      const { token_endpoint } = await manager.metadataService.getMetadata();
      const body = new URLSearchParams({ grant_type: "refresh_token", refresh_token, client_id });
      const answer = await fetch(token_endpoint, { method: "POST", body });
      return { status: answer.status, ...(await answer.json()) };
    }, [user.refresh_token, demo.public_client_id]);
    assert.deepEqual([refusal.status, refusal.error], [400, "invalid_grant"]);
  });

  await check("the library learns the code of a refused refresh", async () => {
    await page.evaluate(async (refreshToken) => {
      const revoked = await manager.getUser();
      revoked.refresh_token = refreshToken;
      await manager.storeUser(revoked);
    }, user.refresh_token);
    const { name, error } = await settle(() => manager.signinSilent());
    assert.deepEqual([name, error], ["ErrorResponse", "invalid_grant"]);
    await page.evaluate(() => manager.removeUser());
  });

  await check("signinSilent without a refresh token gets consent_required from its hidden frame", async () => {
    const { name, error } = await settle(() => manager.signinSilent());
    assert.deepEqual([name, error], ["ErrorResponse", "consent_required"]);
  });

  await check("a wrong code_verifier has a code of its own", async () => {
    await goThrough();
    await page.evaluate(() => {
      const key = `oidc.${new URL(location.href).searchParams.get("state")}`;
      const request = JSON.parse(sessionStorage.getItem(key));
      request.code_verifier = "0".repeat(64);
      sessionStorage.setItem(key, JSON.stringify(request));
    });
    const { name, error } = await callback();
    assert.deepEqual([name, error], ["ErrorResponse", "invalid_grant"]);
  });

  await check("a refusal by the person is access_denied", async () => {
    await goThrough({}, { decision: "deny" });
    const { name, error } = await callback();
    assert.deepEqual([name, error], ["ErrorResponse", "access_denied"]);
  });

  await check("an answer in the fragment is read by the library that asks for it", async () => {
    await goThrough({}, { settings: { response_mode: "fragment" }, separator: "#" });
    const read = () => managerWith({ response_mode: "fragment" }).signinRedirectCallback();
    const { user, ...problem } = await settle(read);
    assert.ok(user?.access_token, JSON.stringify(problem));
    await page.evaluate(() => manager.removeUser());
  });

  await crossOrigin(checks, page, context);
  await carried(checks, page, context);
  await keysInPages(checks, page);
} finally {
  await browser.close();
  await application.close();
}
checks.finish();
