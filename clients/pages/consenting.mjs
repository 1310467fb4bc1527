// Consent: what the page says, what comes back, and what happens to pages that are old, sent twice or somebody else's.

import assert from "node:assert/strict";
import { demo } from "../harness/checks.mjs";
import { ask, native, redeem, SCOPES, web } from "./asking.mjs";
import { allowTooLate } from "./late.mjs";
import { eachBy } from "./visitor.mjs";

export async function consenting(suite, start) {
  const each = eachBy(suite, start, "consent");

  await each("it says who asks, for whom, for what in words, and where the answer goes", async (visitor) => {
    const { page } = visitor;
    await visitor.openConsent(ask(web, { prompt: "consent" }));
    const app = (await visitor.heading()).match(/^(.+?) wants to read your notes/)?.[1];
    assert.ok(app, await visitor.heading());
    const text = await page.innerText("main");
    assert.ok(text.includes(`Signed in as ${demo.username}`), text);
    assert.ok(text.includes(`You will return to ${new URL(demo.redirect_uri).host}`), text);
    assert.ok(text.includes(`${app} never sees your password`), text);
    const sentences = [];
    for (const scope of SCOPES) {
      const box = page.locator(`[id="scope-${scope}"]`);
      assert.ok(await box.isChecked(), scope);
      const sentence = await box.evaluate(({ labels }) => labels[0].innerText);
      assert.match(sentence, /^[A-Z]\w+ \w+/, scope);
      assert.doesNotMatch(sentence, /[:_]/, "in words, not by the scope's name");
      sentences.push(sentence);
    }
    assert.equal(new Set(sentences).size, SCOPES.length);
    assert.ok(await page.isDisabled("#scope-openid"), "what is required can't be unticked");
    assert.match(await page.locator("#scope-openid").evaluate(({ labels }) => labels[0].innerText), /Required/);
  });

  await each("a public client looks different, since any program may use its name", async (visitor) => {
    await visitor.openConsent(ask(native));
    assert.match(await visitor.page.innerText("main"), /Did you start this\?/);
    await visitor.decide("deny");
    await visitor.openConsent(ask(web, { prompt: "consent" }));
    assert.doesNotMatch(await visitor.page.innerText("main"), /Did you start this\?/);
  });

  await each("on a small phone the warning and both buttons are in sight", async (visitor) => {
    await visitor.page.setViewportSize({ width: 360, height: 740 });
    await visitor.openConsent(ask(native));
    for (const selector of [".notice", "#allow", "#deny"]) {
      const { y, height } = await visitor.page.locator(selector).boundingBox();
      assert.ok(y >= 0 && y + height <= 740, `${selector}: ${y} to ${y + height}`);
    }
    assert.equal(await visitor.page.evaluate(() => scrollY), 0);
  });

  await each("the refusal is as easy to find, and comes back as access_denied with state and iss", async (visitor) => {
    const asked = ask(web, { prompt: "consent" });
    await visitor.openConsent(asked);
    const [allow, deny] = await Promise.all(["#allow", "#deny"].map((id) => visitor.page.locator(id).boundingBox()));
    assert.ok(Math.abs(allow.width - deny.width) < 1 && Math.abs(allow.height - deny.height) < 1);
    const { searchParams } = await visitor.decide("deny");
    assert.equal(searchParams.get("error"), "access_denied");
    assert.equal(searchParams.get("state"), asked.state);
    assert.equal(searchParams.get("iss"), demo.issuer);
    assert.equal(searchParams.get("code"), null);
  });

  await each("Back after the consent says that it is over, and starting over gives a new code", async (visitor) => {
    const asked = ask(native);
    await visitor.openConsent(asked);
    const first = await visitor.decide("allow");
    await visitor.page.goBack();
    assert.ok(visitor.isAt("/consent/"), visitor.page.url());
    assert.equal(await visitor.heading(), "This page has expired");
    assert.match(await visitor.page.innerText("#reference"), /^[0-9a-f]{32}$/);
    await visitor.press("#way-on");
    assert.ok(visitor.isAt("/consent/"), "users are asked about a public client each time");
    const second = await visitor.decide("allow");
    assert.equal(second.searchParams.get("state"), asked.state);
    assert.notEqual(second.searchParams.get("code"), first.searchParams.get("code"));
    assert.equal((await redeem(asked, second)).status, 200);
    assert.equal((await redeem(asked, first)).status, 200, "the first answer is still good");
  });

  await each("Back after a refusal starts over with the same request, and can then be allowed", async (visitor) => {
    const asked = ask(web, { prompt: "consent" });
    await visitor.openConsent(asked);
    await visitor.decide("deny");
    await visitor.page.goBack();
    await visitor.press("#way-on");
    const callback = await visitor.decide("allow", { untick: ["email"] });
    assert.equal(callback.searchParams.get("state"), asked.state);
    const tokens = await redeem(asked, callback);
    assert.equal(tokens.scope.split(" ").length, SCOPES.length - 1, tokens.scope);
  });

  await each("the form sent twice gives one code, and a page that explains", async (visitor) => {
    const asked = ask(native);
    await visitor.openConsent(asked);
    const form = await visitor.form("#allow");
    const answers = [await visitor.post(form), await visitor.post(form)];
    assert.equal(answers[0].status, 303);
    assert.ok(answers[0].location.startsWith(`${demo.redirect_uri}?`));
    assert.equal(answers[1].status, 400);
    assert.match(answers[1].text, /This page has expired/);
    assert.match(answers[1].text, /Start over/);
    assert.equal((await redeem(asked, new URL(answers[0].location))).status, 200, "the repeat took nothing back");
  });

  await each("the form sent six times at once gives one code", async (visitor) => {
    const asked = ask(native);
    await visitor.openConsent(asked);
    const form = await visitor.form("#allow");
    const answers = await Promise.all(Array.from({ length: 6 }, () => visitor.post(form)));
    const given = answers.filter(({ status }) => status === 303);
    assert.equal(given.length, 1, answers.map(({ status }) => status).join(" "));
    assert.ok(answers.every(({ status }) => status === 303 || status === 400));
    const tokens = await redeem(asked, new URL(given[0].location));
    assert.equal(tokens.status, 200, "the repeats took nothing back");
  });

  await each("a double click on Allow comes back to the app, or says how to", async (visitor) => {
    const asked = ask(native);
    await visitor.openConsent(asked);
    await visitor.page.dblclick("#allow", { noWaitAfter: true });
    // Whichever of the two answers the browser shows: the app has a way to sign in, the page that is over a way on.
    await visitor.page.locator("#sign-in, #way-on").waitFor();
    assert.ok(visitor.status() < 500);
    if (visitor.isAt("/consent/")) {
      await visitor.press("#way-on");
      await visitor.decide("allow");
    }
    const callback = visitor.callback();
    assert.equal(callback.searchParams.get("state"), asked.state);
    assert.equal((await redeem(asked, callback)).status, 200);
  });

  await each("a decision without the page's token decides nothing", async (visitor) => {
    await visitor.openConsent(ask(native));
    const { action } = await visitor.form("#allow");
    const forged = await visitor.post({ action, fields: "decision=allow&scope=notes%3Aread" });
    assert.equal(forged.status, 403);
    assert.equal(forged.location, undefined);
    const callback = await visitor.decide("allow");
    assert.ok(callback.searchParams.get("code"), "the page is still good");
  });

  await each("a page from before a new sign-in grants nothing, and says why it comes again", async (visitor) => {
    await allowTooLate(visitor);
    assert.match(await visitor.page.innerText("main"), /expired/i, "an expired page says so (pages.md)");
    const callback = await visitor.decide("allow");
    assert.ok(callback.searchParams.get("code"));
  });

  await each("a request belongs to the browser that began it", async (visitor) => {
    await visitor.openConsent(ask(native));
    const [consent, form] = [visitor.page.url(), await visitor.form("#allow")];
    const stranger = await start();
    await stranger.openAccount();
    await stranger.open(consent);
    assert.equal(stranger.status(), 400);
    assert.equal(await stranger.heading(), "This page has expired");
    assert.equal(await stranger.page.locator("#way-on").count(), 0, "it is not this browser's to start over");
    const posted = await stranger.post(form);
    assert.equal(posted.status, 400);
    assert.equal(posted.location, undefined);
    await stranger.leave();
  });

  await each("a session that ended while the page was open asks to sign in, and continues", async (visitor) => {
    const asked = ask(native);
    await visitor.openConsent(asked);
    const account = await visitor.tab();
    await visitor.open("/account", account);
    await visitor.press("#sign-out", account);
    await visitor.press("#allow");
    assert.ok(visitor.isAt("/sign-in/"), visitor.page.url());
    await visitor.signIn();
    const callback = await visitor.decide("allow");
    assert.equal(callback.searchParams.get("state"), asked.state);
  });

  await each("what was allowed is remembered for the confidential client alone", async (visitor) => {
    await visitor.allow(ask(web));
    await visitor.open(ask(web).url);
    assert.ok(visitor.callback().searchParams.get("code"));
    await visitor.allow(ask(native));
    await visitor.open(ask(native).url);
    assert.ok(visitor.isAt("/consent/"));
  });

  await each("another account can be chosen, and nobody is signed out by looking", async (visitor) => {
    const asked = ask(native);
    await visitor.openConsent(asked);
    await visitor.press("#switch-account");
    await visitor.page.goBack();
    assert.ok(visitor.isAt("/consent/"), "still signed in");
    await visitor.press("#switch-account");
    await visitor.signIn({ username: demo.admin_username, password: demo.admin_password });
    assert.ok((await visitor.page.innerText("main")).includes(`Signed in as ${demo.admin_username}`));
    const tokens = await redeem(asked, await visitor.decide("allow"));
    assert.equal(tokens.status, 200, JSON.stringify(tokens));
  });
}
