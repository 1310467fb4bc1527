// Signing in, in the right order and in others: wrong passwords, old pages, forms sent twice, and the session's cookie.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { demo } from "../harness/checks.mjs";
import { ask, native, redeem, web } from "./asking.mjs";
import { eachBy, sessionCookieName } from "./visitor.mjs";

const WRONG = "certainly not this one";

export async function signingIn(suite, start) {
  const each = eachBy(suite, start, "signing in");

  await each("the controls keep their ids and tell password managers what they are", async (visitor) => {
    const page = await visitor.open(ask(web).url);
    assert.equal(await page.getAttribute("#username", "autocomplete"), "username");
    assert.equal(await page.getAttribute("#password", "autocomplete"), "current-password");
    assert.equal(await page.getAttribute("#password", "type"), "password");
    assert.equal(await page.getAttribute("#sign-in", "type"), "submit");
    const hidden = await page.locator("form input[type=hidden]").evaluateAll((all) => all.map(({ name }) => name));
    assert.deepEqual(hidden, ["csrf"], "nothing of the request");
  });

  await each("an unknown name and a wrong password get exactly the same answer", async (visitor) => {
    const unknown = `nobody-${randomBytes(6).toString("hex")}`;
    await visitor.open(ask(native).url);
    const answers = [];
    for (const username of [unknown, demo.username]) {
      await visitor.signIn({ username, password: WRONG });
      assert.equal(await visitor.page.inputValue("#username"), username, "what was typed is kept");
      assert.equal(await visitor.page.inputValue("#password"), "", "the password is not");
      const html = (await visitor.page.content()).replaceAll(username, "NAME");
      answers.push({ status: visitor.status(), html });
    }
    assert.deepEqual(answers[1], answers[0]);
    assert.ok(answers[0].status >= 400 && answers[0].status < 500, String(answers[0].status));
    await visitor.signIn();
    assert.ok(visitor.isAt("/consent/"), "and the right one is taken afterwards");
  });

  await each("too many failures are reported with the time to wait, for an unknown name too", async (visitor) => {
    await visitor.open(ask(web).url);
    const username = `nobody-${randomBytes(6).toString("hex")}`;
    const statuses = [];
    for (let attempt = 0; attempt < 6; attempt += 1) {
      const { action, fields } = await visitor.form("#sign-in");
      const form = new URLSearchParams(fields);
      form.set("username", username);
      form.set("password", WRONG);
      statuses.push((await visitor.post({ action, fields: form.toString() })).status);
    }
    assert.ok(statuses.slice(0, 5).every((status) => status === statuses[0]), statuses.join(" "));
    assert.equal(statuses[5], 429);
    await visitor.signIn({ username, password: WRONG });
    assert.match(await visitor.page.innerText("#problem"), /Too many attempts\s+.*next attempt is possible in /);
    assert.equal(await visitor.page.inputValue("#username"), username);
  });

  await each("a stranger's failures do not lock out a browser that signed in before", async (visitor) => {
    const owner = { username: demo.admin_username, password: demo.admin_password };
    await visitor.openAccount(owner);
    await visitor.press("#sign-out");
    const stranger = await start();
    await stranger.open("/account");
    for (let attempt = 0; attempt < 6; attempt += 1) await stranger.signIn({ ...owner, password: WRONG });
    await stranger.signIn(owner);
    assert.equal(stranger.status(), 429, "not even with the right password");
    await visitor.open("/account");
    await visitor.signIn(owner);
    assert.ok(visitor.isAt("/account"), visitor.page.url());
    await stranger.signIn(owner);
    assert.ok(stranger.isAt("/account"), "a success clears the name's counter");
    await stranger.leave();
  });

  await each("the session's cookie is out of reach of scripts, and new at each sign-in", async (visitor) => {
    await visitor.open("/account");
    for (const cookie of await visitor.context.cookies(demo.issuer)) {
      assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.path], [true, "Lax", "/"], cookie.name);
    }
    await visitor.signIn();
    const first = await visitor.sessionCookie();
    const { httpOnly, sameSite, path, domain, secure } = first;
    const expected = { httpOnly: true, sameSite: "Lax", path: "/", domain: "localhost", secure: false };
    assert.deepEqual({ httpOnly, sameSite, path, domain, secure }, expected);
    assert.equal(await visitor.page.evaluate(() => document.cookie), "");
    await visitor.open(ask(web, { prompt: "login" }).url);
    await visitor.signIn();
    const second = await visitor.sessionCookie();
    assert.notEqual(second.value, first.value);
    await visitor.context.addCookies([first]);
    await visitor.open("/account");
    assert.ok(visitor.isAt("/sign-in"), "the old session is over");
  });

  await each("a session that somebody planted before is not taken over", async (visitor) => {
    await visitor.open(demo.issuer);
    const planted = { name: sessionCookieName(demo.issuer), value: "A".repeat(43), url: demo.issuer };
    await visitor.context.addCookies([planted]);
    await visitor.open("/account");
    assert.ok(visitor.isAt("/sign-in"));
    await visitor.signIn();
    assert.notEqual((await visitor.sessionCookie()).value, planted.value);
  });

  await each("the form sent twice signs in once, and leads on to the consent", async (visitor) => {
    await visitor.open(ask(native).url);
    await visitor.page.fill("#username", demo.username);
    await visitor.page.fill("#password", demo.password);
    const form = await visitor.form("#sign-in");
    const first = await visitor.post(form);
    assert.equal(first.status, 303);
    const session = await visitor.sessionCookie();
    const second = await visitor.post(form);
    assert.ok(second.status < 500, String(second.status));
    assert.deepEqual(await visitor.sessionCookie(), session);
    await visitor.open(first.location);
    assert.ok(visitor.isAt("/consent/"), visitor.page.url());
  });

  await each("a double click on Sign in leads on to the consent", async (visitor) => {
    await visitor.open(ask(native).url);
    await visitor.page.fill("#username", demo.username);
    await visitor.page.fill("#password", demo.password);
    await visitor.page.dblclick("#sign-in", { noWaitAfter: true });
    await visitor.page.waitForURL(/\/consent\//);
  });

  await each("Back from the consent does not ask for the password again", async (visitor) => {
    await visitor.openConsent(ask(native));
    await visitor.page.goBack();
    assert.ok(visitor.isAt("/consent/"), visitor.page.url());
  });

  await each("a form from before another tab signed in says why it comes again, and then works", async (visitor) => {
    const [one, two] = [ask(native), ask(native)];
    const other = await visitor.tab();
    await visitor.open(one.url);
    await visitor.open(two.url, other);
    await visitor.signIn();
    await visitor.signIn({ page: other });
    assert.ok(visitor.status(other) < 500);
    if (!visitor.isAt("/consent/", other)) {
      assert.match(await other.innerText("main"), /expired/i, "an expired page says so (pages.md)");
      await visitor.signIn({ page: other });
    }
    const [first, second] = [await visitor.decide("allow"), await visitor.decide("allow", { page: other })];
    assert.equal(first.searchParams.get("state"), one.state);
    assert.equal(second.searchParams.get("state"), two.state);
  });

  await each("the account's form from before another tab signed in leads there, or says why not", async (visitor) => {
    const other = await visitor.tab();
    await visitor.open("/account");
    await visitor.open("/account", other);
    await visitor.signIn();
    await visitor.signIn({ page: other });
    if (!visitor.isAt("/account", other)) {
      assert.match(await other.innerText("main"), /expired/i, "an expired page says so (pages.md)");
    }
  });

  await each("two tabs with two requests each get their own answer", async (visitor) => {
    const [one, two] = [ask(native), ask(web, { scope: "openid notes:read", prompt: "consent" })];
    const other = await visitor.tab();
    await visitor.open(one.url);
    await visitor.open(two.url, other);
    await visitor.signIn();
    await other.reload();
    assert.ok(visitor.isAt("/consent/", other), other.url());
    assert.notEqual(await visitor.heading(other), await visitor.heading());
    const second = await visitor.decide("allow", { page: other });
    const first = await visitor.decide("allow");
    assert.equal(first.searchParams.get("state"), one.state);
    assert.equal(second.searchParams.get("state"), two.state);
    const [ofOne, ofTwo] = [await redeem(one, first), await redeem(two, second)];
    assert.ok(ofOne.scope.includes("notes:write"), JSON.stringify(ofOne));
    assert.deepEqual(ofTwo.scope.split(" ").sort(), ["notes:read", "openid"]);
  });

  await each("a form without the page's token signs nobody in", async (visitor) => {
    await visitor.open("/account");
    const { action } = await visitor.form("#sign-in");
    const fields = new URLSearchParams({ username: demo.username, password: demo.password }).toString();
    const forged = await visitor.post({ action, fields });
    assert.equal(forged.status, 403);
    assert.equal(await visitor.sessionCookie(), undefined);
  });
}
