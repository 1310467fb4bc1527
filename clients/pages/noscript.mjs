// The whole way with script off: the pages' script is a convenience and nothing else.

import assert from "node:assert/strict";
import { ask, native, redeem, refresh } from "./asking.mjs";

export async function noscript(suite, start) {
  const check = (promise, body) => suite.check(`without script: ${promise}`, body);
  const visitor = await start({ javaScriptEnabled: false });
  const { page } = visitor;
  const asked = ask(native);
  let tokens;

  await check("a wrong password is reported", async () => {
    await visitor.open(asked.url);
    assert.equal(await page.locator("#show-password").count(), 0, "script runs");
    await visitor.signIn({ username: "nobody-without-script", password: "certainly not this one" });
    assert.match(await page.innerText("#credentials-mistake"), /Wrong username or password/);
  });

  await check("signing in leads to the consent", async () => {
    await visitor.signIn();
    assert.ok(visitor.isAt("/consent/"), page.url());
  });

  await check("the consent gives what is ticked", async () => {
    tokens = await redeem(asked, await visitor.decide("allow", { untick: ["notes:write"] }));
    assert.equal(tokens.status, 200, JSON.stringify(tokens));
    assert.ok(tokens.scope.includes("notes:read") && !tokens.scope.includes("notes:write"), tokens.scope);
  });

  await check("an answered page starts over with the same request", async () => {
    const again = ask(native);
    await visitor.openConsent(again);
    const consent = page.url();
    await visitor.decide("deny");
    await visitor.open(consent);
    await visitor.press("#way-on");
    const callback = await visitor.decide("allow");
    assert.equal(callback.searchParams.get("state"), again.state);
  });

  await check("an app is disconnected", async () => {
    await visitor.open("/account");
    await visitor.press(`#disconnect-${native.id}`);
    assert.match(await page.innerText("#notice"), /is disconnected\.$/);
    assert.equal((await refresh(native, tokens.refresh_token)).error, "invalid_grant");
  });

  await check("signing out works", async () => {
    await visitor.press("#sign-out");
    assert.equal(await visitor.heading(), "You are signed out");
    await visitor.open("/account");
    assert.ok(visitor.isAt("/sign-in"));
  });

  await visitor.leave();
}
