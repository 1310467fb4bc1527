// The account page: what it lists, and that what it ends is over at once.

import assert from "node:assert/strict";
import { demo } from "../harness/checks.mjs";
import { api, ask, introspect, native, redeem, refresh, web } from "./asking.mjs";
import { eachBy } from "./visitor.mjs";

export async function account(suite, start) {
  const each = eachBy(suite, start, "account");

  await each("without a session it leads to signing in and back", async (visitor) => {
    await visitor.open("/account");
    assert.ok(visitor.isAt("/sign-in"));
    await visitor.signIn();
    assert.equal(visitor.page.url(), `${demo.issuer}/account`);
    assert.match(await visitor.page.innerText("main"), new RegExp(`Signed in as ${demo.username}`));
  });

  await each("an empty list says what will stand in it", async (visitor) => {
    await visitor.openAccount({ username: demo.admin_username, password: demo.admin_password });
    for (let app; (app = visitor.page.locator("[id^=disconnect-]").first()), await app.count();) {
      await visitor.landing(() => app.click({ noWaitAfter: true }));
    }
    assert.match(await visitor.page.innerText("main"), /No app has access yet\. Apps that you allow appear here/);
  });

  await each("an app is listed with what it may do, and when, exactly as well", async (visitor) => {
    await visitor.allow(ask(native, { scope: "openid offline_access notes:read" }));
    await visitor.open("/account");
    const row = visitor.page.locator("li", { has: visitor.page.locator(`#disconnect-${native.id}`) });
    assert.match(await row.innerText(), /Read your notes/i);
    assert.match(await row.innerText(), /Connected .+ · (last used|not used yet)/);
    for (const time of await row.locator("time").all()) {
      assert.match(await time.getAttribute("datetime"), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/);
      assert.match(await time.getAttribute("title"), /\d{4}, \d\d:\d\d UTC$/);
    }
    assert.match(await visitor.page.innerText("main"), /Chrom\w+ on Linux/);
    assert.doesNotMatch(await visitor.page.innerText("main"), /Mozilla\/|AppleWebKit/);
  });

  for (const [kind, client] of [["confidential", web], ["public", native]]) {
    await each(`a disconnected app's next refresh and introspection fail at once (${kind})`, async (visitor) => {
      const asked = ask(client, { prompt: "consent" });
      const tokens = await redeem(asked, await visitor.allow(asked));
      const rotated = await refresh(client, tokens.refresh_token);
      assert.equal((await introspect(api, rotated.access_token)).active, true);
      await visitor.open("/account");
      await visitor.press(`#disconnect-${client.id}`);
      const refusal = await refresh(client, rotated.refresh_token);
      assert.deepEqual([refusal.status, refusal.error], [400, "invalid_grant"]);
      assert.deepEqual(await introspect(api, rotated.access_token), { status: 200, active: false });
      if (client.secret) {
        assert.deepEqual(await introspect(client, rotated.access_token), { status: 200, active: false });
        assert.deepEqual(await introspect(client, rotated.refresh_token), { status: 200, active: false });
      }
      const again = await visitor.openConsent(ask(client));
      assert.ok(visitor.isAt("/consent/"), `asked again, not remembered: ${again.url()}`);
    });
  }

  await each("a code that is under way when its app is disconnected is worth nothing", async (visitor) => {
    const asked = ask(web, { prompt: "consent" });
    const callback = await visitor.allow(asked);
    await visitor.open("/account");
    await visitor.press(`#disconnect-${web.id}`);
    assert.equal((await redeem(asked, callback)).error, "invalid_grant");
  });

  await each("ending another session signs that browser out at once, and this one not", async (visitor) => {
    const other = await start();
    await other.openAccount();
    await visitor.openAccount();
    // Ids of sessions are ordered by time, and this browser's own is not among those that can be ended.
    const ids = await visitor.page.locator("[id^=end-session-]").evaluateAll((all) => all.map(({ id }) => id));
    await visitor.press(`#${ids.sort().at(-1)}`);
    assert.equal(await visitor.page.innerText("#notice"), "That browser is signed out.");
    await other.open("/account");
    assert.ok(other.isAt("/sign-in"), other.page.url());
    await visitor.open("/account");
    assert.equal(visitor.page.url(), `${demo.issuer}/account`);
    await other.leave();
  });

  await each("signing out everywhere else leaves this browser alone", async (visitor) => {
    const others = [await start(), await start()];
    for (const other of others) await other.openAccount();
    await visitor.openAccount();
    await visitor.press("#end-others");
    assert.equal(await visitor.page.locator("[id^=end-session-]").count(), 0);
    assert.equal(await visitor.page.locator("#end-others").count(), 0);
    for (const other of others) {
      await other.open("/account");
      assert.ok(other.isAt("/sign-in"), other.page.url());
      await other.leave();
    }
    await visitor.open("/account");
    assert.equal(visitor.page.url(), `${demo.issuer}/account`);
  });

  await each("somebody else's session can't be ended", async (visitor) => {
    const other = await start();
    await other.openAccount({ username: demo.admin_username, password: demo.admin_password });
    const spare = await start();
    await spare.openAccount({ username: demo.admin_username, password: demo.admin_password });
    const theirs = await spare.page.locator("[name=session]").evaluateAll((all) => all.map(({ value }) => value));
    assert.ok(theirs.length);
    await visitor.openAccount();
    const csrf = await visitor.page.locator("[name=csrf]").first().inputValue();
    for (const session of theirs) {
      const fields = new URLSearchParams({ csrf, session }).toString();
      const answer = await visitor.post({ action: `${demo.issuer}/account/end-session`, fields });
      assert.ok(answer.status < 500);
    }
    await other.open("/account");
    assert.equal(other.page.url(), `${demo.issuer}/account`);
    await Promise.all([other.leave(), spare.leave()]);
  });

  await each("no form of it is taken without its token", async (visitor) => {
    await visitor.allow(ask(native));
    await visitor.open("/account");
    for (const path of ["disconnect", "end-session", "end-other-sessions", "sign-out"]) {
      const action = `${demo.issuer}/account/${path}`;
      assert.equal((await visitor.post({ action, fields: `client=${native.id}` })).status, 403, path);
    }
    await visitor.open("/account");
    assert.equal(await visitor.page.locator(`#disconnect-${native.id}`).count(), 1);
  });

  await each("signing out makes the session's cookie worthless", async (visitor) => {
    await visitor.openAccount();
    const cookie = await visitor.sessionCookie();
    await visitor.press("#sign-out");
    assert.equal(await visitor.sessionCookie(), undefined);
    await visitor.context.addCookies([cookie]);
    await visitor.open("/account");
    assert.ok(visitor.isAt("/sign-in"), visitor.page.url());
    await visitor.open(ask(web, { prompt: "none" }).url);
    assert.equal(visitor.callback().searchParams.get("error"), "login_required");
  });

  await each("Back after signing out shows nothing of the account", async (visitor) => {
    await visitor.openAccount();
    await visitor.press("#sign-out");
    await visitor.page.goBack();
    assert.ok(visitor.isAt("/sign-in"), visitor.page.url());
    assert.doesNotMatch(await visitor.page.innerText("body"), new RegExp(`Signed in as ${demo.username}`));
  });

  await each("the address after an act can be opened again", async (visitor) => {
    await visitor.allow(ask(native));
    await visitor.open("/account");
    await visitor.press(`#disconnect-${native.id}`);
    await visitor.open(visitor.page.url());
    assert.equal(visitor.status(), 200);
    assert.equal(await visitor.heading(), "Your account");
    await visitor.press("#sign-out");
    await visitor.open(visitor.page.url());
    assert.equal(visitor.status(), 200);
    assert.ok(["You are signed out", "Sign in"].includes(await visitor.heading()));
  });

  await each("a form of a session that is over leads to signing in", async (visitor) => {
    await visitor.openAccount();
    const other = await visitor.tab();
    await visitor.open("/account", other);
    await visitor.press("#sign-out");
    await visitor.press("#sign-out", other);
    assert.ok(visitor.isAt("/sign-in", other), other.url());
  });

  await each("what happened is listed in plain words", async (visitor) => {
    await visitor.allow(ask(native));
    await visitor.open("/account");
    await visitor.press(`#disconnect-${native.id}`);
    const activity = await visitor.page.locator("section", { hasText: "Recent activity" }).last().innerText();
    for (const sentence of [/You signed in\./, /You gave .+ access\./, /You disconnected .+\./]) {
      assert.match(activity, sentence);
    }
  });
}
