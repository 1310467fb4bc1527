// Every page in every state that people meet, and the shortest way there for somebody who has never been here.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { demo } from "../harness/checks.mjs";
import { ask, native, redeem, refresh, web } from "./asking.mjs";
import { KEY_STATES } from "./key_states.mjs";
import { allowTooLate, changePasswordTooLate } from "./late.mjs";
import { whileLocked } from "./locked.mjs";

const WRONG = "certainly not this one";
/** So many failures are free for one name, and fifty for the one address that the suite has. */
const FREE_FAILURES = 5;
const ADMIN = { username: demo.admin_username, password: demo.admin_password };

const strangersName = () => `nobody-${randomBytes(6).toString("hex")}`;

/** Each takes a visitor with a fresh profile, and leaves the visitor's tab in the state. */
export const STATES = {
  "sign-in": (visitor) => visitor.open(ask(web).url),

  "sign-in with a hint": (visitor) => visitor.open(ask(web, { login_hint: demo.username }).url),

  "sign-in after a wrong password": async (visitor) => {
    await visitor.open(ask(web).url);
    await visitor.signIn({ username: strangersName(), password: WRONG });
    assert.match(await visitor.page.title(), /^Wrong username or password/);
  },

  "sign-in after too many attempts": async (visitor) => {
    await visitor.open(ask(web).url);
    const username = strangersName();
    for (let attempt = 0; attempt <= FREE_FAILURES; attempt += 1) await visitor.signIn({ username, password: WRONG });
    assert.equal(visitor.status(), 429);
    assert.match(await visitor.page.title(), /^Too many attempts/);
    assert.match(await visitor.page.innerText("#problem"), /next attempt is possible in \d+ (second|minute)/);
  },

  "sign-in for the account": (visitor) => visitor.open("/account"),

  "sign-in for the account, expired": async (visitor) => {
    await visitor.open("/account");
    await visitor.context.clearCookies();
    await visitor.signIn();
    assert.equal(visitor.status(), 403);
    assert.match(await visitor.page.title(), /^This page has expired – Sign in/);
  },

  "sign-in again (prompt=login)": async (visitor) => {
    await visitor.openAccount();
    await visitor.open(ask(web, { prompt: "login" }).url);
    assert.match(await visitor.heading(), /^Confirm/);
  },

  "sign-in again, after a wrong password": async (visitor) => {
    await visitor.openAccount();
    await visitor.open(ask(web, { prompt: "login" }).url);
    await visitor.signIn({ password: WRONG });
    assert.match(await visitor.page.title(), /^Wrong password/);
  },

  "sign-in again, after signing out elsewhere": async (visitor) => {
    await visitor.openAccount();
    await visitor.open(ask(web, { prompt: "login" }).url);
    const other = await visitor.tab();
    await visitor.open("/account", other);
    await visitor.press("#sign-out", other);
    await visitor.signIn();
    assert.equal(visitor.status(), 403);
    assert.match(await visitor.page.title(), /^This page has expired – Sign in/);
    assert.match(await visitor.page.innerText("#problem"), /Your password was not checked\. Sign in again/);
  },

  "sign-in with the hint of an id_token": async (visitor) => {
    const asked = ask(web);
    const tokens = await redeem(asked, await visitor.allow(asked));
    // The browser stays known as one in which this user signed in.
    await visitor.open("/account");
    await visitor.press("#sign-out");
    await visitor.open(ask(web, { id_token_hint: tokens.id_token }).url);
    assert.ok(visitor.isAt("/sign-in/"));
    assert.equal(await visitor.page.inputValue("#username"), demo.username);
  },

  "sign-in with another account": async (visitor) => {
    await visitor.openConsent(ask(web, { prompt: "consent" }));
    await visitor.press("#switch-account");
    assert.equal(await visitor.page.locator("#username[readonly]").count(), 0);
  },

  consent: async (visitor) => {
    await visitor.openConsent(ask(web, { prompt: "consent" }));
    assert.ok(visitor.isAt("/consent/"));
  },

  "consent of a public client": async (visitor) => {
    await visitor.openConsent(ask(native));
    assert.ok(visitor.isAt("/consent/"));
  },

  "consent to nothing but the identity": async (visitor) => {
    await visitor.openConsent(ask(web, { scope: "openid", prompt: "consent" }));
    assert.match(await visitor.heading(), /wants to know who you are$/);
  },

  "consent, expired": async (visitor) => {
    await allowTooLate(visitor);
    assert.match(await visitor.page.title(), /^This page has expired – /);
    assert.equal(await visitor.page.isChecked('[id="scope-notes:write"]'), false, "as it was ticked");
  },

  "answer by form_post": async (visitor) => {
    // The application answers that there is nothing to show, and the browser stays on the page.
    const sent = [];
    await visitor.context.route(demo.redirect_uri, (route) => {
      sent.push(route.request());
      return route.fulfill({ status: 204 });
    });
    const asked = ask(web, { response_mode: "form_post", prompt: "consent" });
    await visitor.openConsent(asked);
    const posted = visitor.page.waitForRequest((request) => request.url() === demo.redirect_uri);
    // The script sends the form before the page is loaded, so there is no event to land by.
    await visitor.page.click("#allow", { noWaitAfter: true });
    await posted;
    await visitor.page.waitForSelector("#continue");
    assert.deepEqual(sent.map((request) => request.method()), ["POST"], "the page's own script sent it, once");
    const fields = new URLSearchParams(sent[0].postData());
    assert.ok(fields.get("code"));
    assert.deepEqual([fields.get("state"), fields.get("iss")], [asked.state, demo.issuer]);
    assert.equal(await visitor.heading(), "Back to the app");
  },

  "account with no app": (visitor) => visitor.openAccount(ADMIN),

  "account with apps and sessions": async (visitor) => {
    await visitor.allow(ask(web));
    await visitor.allow(ask(native));
    await elsewhere(visitor);
    await visitor.open("/account");
    assert.equal(await visitor.page.locator("[id^=disconnect-]").count(), 2);
    assert.ok(await visitor.page.locator("#end-others").count());
  },

  ...KEY_STATES,

  "account after disconnecting": async (visitor) => {
    await visitor.allow(ask(native));
    await visitor.open("/account");
    await visitor.press(`#disconnect-${native.id}`);
    assert.match(await visitor.page.locator("#notice").innerText(), /is disconnected\.$/);
  },

  "account after the reuse of a refresh token": async (visitor) => {
    const asked = ask(native);
    const tokens = await redeem(asked, await visitor.allow(asked));
    const rotated = await refresh(native, tokens.refresh_token);
    await refresh(native, rotated.refresh_token);
    assert.equal((await refresh(native, tokens.refresh_token)).error, "invalid_grant");
    await visitor.open("/account");
    assert.match(await visitor.page.innerText("main"), /Check this: .+ was disconnected/);
  },

  "password": async (visitor) => {
    await visitor.openAccount();
    await visitor.press("#change-password");
    assert.equal(await visitor.heading(), "Change your password");
    assert.equal(await visitor.page.locator("#show-password, #show-new-password").count(), 2);
  },

  "password after a new one that is too short": async (visitor) => {
    await visitor.openAccount();
    await visitor.open("/account/password");
    await visitor.page.fill("#password", WRONG);
    await visitor.page.fill("#new-password", "tiny");
    await visitor.press("#save-password");
    assert.equal(visitor.status(), 422);
    assert.match(await visitor.page.title(), /^Choose another new password – /);
    assert.equal(await visitor.page.evaluate(() => document.activeElement.id), "new-password");
  },

  "password after a wrong one": async (visitor) => {
    await visitor.openAccount(ADMIN);
    await visitor.open("/account/password");
    await visitor.page.fill("#password", WRONG);
    await visitor.page.fill("#new-password", "a staple of another horse");
    await visitor.press("#save-password");
    assert.equal(visitor.status(), 401);
    assert.match(await visitor.page.title(), /^Wrong password – /);
    assert.equal(await visitor.page.evaluate(() => document.activeElement.id), "password");
  },

  "password that was changed meanwhile": async (visitor) => {
    await changePasswordTooLate(visitor);
    assert.equal(visitor.status(), 401);
    assert.match(await visitor.page.title(), /^The password was just changed – /);
    assert.match(await visitor.page.innerText("main"), /Enter the current password, and try again/);
    assert.equal(await visitor.page.evaluate(() => document.activeElement.id), "password");
  },

  "sign-out at the request of an app": async (visitor) => {
    await visitor.openAccount();
    await visitor.open(`/logout?client_id=${web.id}`);
    assert.equal(await visitor.heading(), "Sign out?");
  },

  "sign-out posted by an app": async (visitor) => {
    await visitor.openAccount();
    // What the page sends on is answered with nothing to show, and the browser stays on the page.
    const target = `${demo.issuer}/logout/continue`;
    await visitor.context.route(target, (route) => route.fulfill({ status: 204 }));
    const sent = visitor.page.waitForRequest(target);
    await visitor.page.evaluate((id) => {
      const form = Object.assign(document.createElement("form"), { method: "post", action: "/logout" });
      form.append(Object.assign(document.createElement("input"), { name: "client_id", value: id }));
      document.body.append(form);
      form.submit();
    }, web.id);
    assert.equal(new URLSearchParams((await sent).postData()).get("client_id"), web.id);
    await visitor.page.waitForSelector("#continue");
    assert.equal(await visitor.heading(), "Signing out");
  },

  "signed out": async (visitor) => {
    await visitor.openAccount();
    await visitor.press("#sign-out");
    assert.equal(await visitor.heading(), "You are signed out");
  },

  "sign-out where nobody is signed in": async (visitor) => {
    await visitor.open("/logout");
    assert.equal(await visitor.heading(), "You are already signed out");
  },

  "error, sign-out that leads to an address that is not registered": async (visitor) => {
    await visitor.openAccount();
    await visitor.open(`/logout?client_id=${web.id}&post_logout_redirect_uri=https://elsewhere.example/`);
    assert.equal(visitor.status(), 400);
    await visitor.press("#way-on");
    assert.equal(await visitor.heading(), "Sign out?");
  },

  "denials": (visitor) => visitor.open("/denials"),

  "denial with one reason": (visitor) => visitor.open("/denials/scope_missing"),

  "denial with several reasons": (visitor) => visitor.open("/denials/key_unknown"),

  "error, unknown client": async (visitor) => {
    await visitor.open(ask({ id: "cli_nobody" }).url);
    assert.equal(visitor.status(), 400);
  },

  "error, redirect URI not registered": async (visitor) => {
    const elsewhere = `https://elsewhere.example/${"a-path-without-a-place-to-break".repeat(6)}`;
    await visitor.open(ask(web, { redirect_uri: elsewhere }).url);
    assert.equal(visitor.status(), 400);
    assert.ok(visitor.isAt("/authorize"));
    await visitor.page.click("summary");
    assert.ok((await visitor.page.innerText("details")).includes(elsewhere));
  },

  "error, request already answered": async (visitor) => {
    await visitor.openConsent(ask(native));
    const consent = visitor.page.url();
    await visitor.decide("allow");
    await visitor.open(consent);
    assert.equal(await visitor.heading(), "This page has expired");
  },

  "error, sign-in for a request already answered": async (visitor) => {
    await visitor.open(ask(native).url);
    const signIn = visitor.page.url();
    await visitor.signIn();
    await visitor.decide("deny");
    await visitor.open(signIn);
    assert.equal(visitor.status(), 400);
    assert.equal(await visitor.heading(), "This page has expired");
    assert.equal(await visitor.page.innerText("#way-on"), "Start over");
  },

  "error, sign-in for a request that nobody knows": async (visitor) => {
    await visitor.open(`/sign-in/${"0".repeat(32)}`);
    assert.equal(visitor.status(), 400);
    assert.equal(await visitor.heading(), "This page has expired");
    assert.equal(await visitor.page.locator("#way-on").count(), 0, "there is nothing to start over");
  },

  "error, request of another browser": async (visitor) => {
    await visitor.open(`/consent/${"0".repeat(32)}`);
    assert.equal(await visitor.heading(), "This page has expired");
  },

  "error, form of an older session": async (visitor) => {
    await visitor.openAccount();
    const other = await visitor.tab();
    await visitor.open(ask(native, { prompt: "login" }).url, other);
    await visitor.signIn({ page: other });
    await visitor.press("#sign-out");
    assert.equal(visitor.status(), 403);
    assert.equal(await visitor.heading(), "This page has expired");
  },

  "error, nothing at this address": async (visitor) => {
    await visitor.open("/no-such-page");
    assert.equal(visitor.status(), 404);
    assert.match(await visitor.page.innerText("main"), /Check the address for a typing mistake/);
    assert.equal(await visitor.page.innerText("#way-on"), "Go to your account");
  },

  "error, the database is held by another program": async (visitor) => {
    // Each write waits five seconds for it, and another one may be waiting before this one.
    await whileLocked(() => visitor.page.goto(ask(web).url, { timeout: 30_000 }));
    assert.equal(visitor.status(), 503);
    assert.match(await visitor.page.innerText("main"), /try again|load the page again/i);
    assert.match(await visitor.page.innerText("#reference"), /^[0-9a-f]{32}$/);
  },

  "sample app": (visitor) => visitor.open(`${demo.api}/`),

  "sample app with tokens": async (visitor) => {
    await throughSampleApp(visitor, "allow");
    assert.equal(visitor.page.url(), `${demo.api}/call`, "the URL has no code that a reload would send again");
    await visitor.page.reload();
    assert.equal(visitor.status(), 200);
    assert.equal(await visitor.page.locator("#status").innerText(), "200");
  },

  "sample app, refused by the API": async (visitor) => {
    // With no scope of the API left, the token is for the issuer alone (protocol.md, "Audience, scopes, resources").
    await throughSampleApp(visitor, "allow", ["notes:read"]);
    assert.equal(await visitor.page.locator("#status").innerText(), "401");
    assert.match(await visitor.page.innerText("main"), /The API refused the call/);
  },

  "sample app after a refusal": async (visitor) => {
    await throughSampleApp(visitor, "deny");
    assert.match(await visitor.page.locator("main").innerText(), /access_denied/);
  },

  "sample app after an answer that it did not ask for": async (visitor) => {
    await visitor.open(`${demo.redirect_uri}?code=code&state=state`);
    assert.equal(visitor.status(), 400);
  },
};

/** Signs the same person in with a second browser, which is gone afterwards; its session is not. */
async function elsewhere(visitor) {
  const context = await visitor.context.browser().newContext();
  const page = await context.newPage();
  await page.goto(`${demo.issuer}/account`);
  await page.fill("#username", demo.username);
  await page.fill("#password", demo.password);
  await page.click("#sign-in");
  await page.waitForURL(`${demo.issuer}/account`);
  await context.close();
}

async function throughSampleApp(visitor, decision, untick = []) {
  await visitor.open(`${demo.api}/`);
  await visitor.press("#sign-in");
  await visitor.signIn();
  await visitor.answerConsent(decision, { untick });
}
