// The pages as people meet them, over a live demo: read, enlarged, by keyboard alone, without script, and with all
// that people do in the wrong order.

import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { Checks, demo } from "../harness/checks.mjs";
import { CHROMIUM } from "../harness/person.mjs";
import { account } from "./account.mjs";
import { consenting } from "./consenting.mjs";
import { keyboard } from "./keyboard.mjs";
import { noscript } from "./noscript.mjs";
import { reading } from "./reading.mjs";
import { signingIn } from "./signing_in.mjs";
import { STATES } from "./states.mjs";
import { viewport } from "./viewport.mjs";
import { Visitor } from "./visitor.mjs";
import { Watch } from "./watch.mjs";

const checks = new Checks();
const watch = new Watch();
const browser = await chromium.launch(CHROMIUM);
const start = (options) => Visitor.start(browser, watch, options);
const check = (promise, body) => checks.check(promise, body);

try {
  for (const [name, reach] of Object.entries(STATES)) {
    const visitor = await start();
    let isReached = false;
    await check(`${name}: is reached`, async () => {
      await reach(visitor);
      isReached = true;
    });
    const reached = () => {
      assert.ok(isReached, `not reached: ${visitor.page.url()}`);
      return visitor.page;
    };
    await reading(check, name, reached);
    await viewport(check, name, reached);
    await visitor.leave();
  }
  await keyboard(checks, start);
  await noscript(checks, start);
  await signingIn(checks, start);
  await consenting(checks, start);
  await account(checks, start);
} finally {
  await browser.close();
}

await check("all pages: nothing is loaded from elsewhere", () => assert.deepEqual(watch.elsewhere, []));

await check("all pages: the browser complains about nothing", () => assert.deepEqual(watch.complaints(), []));

await check("all pages: no server error was met but the one that was provoked", () => {
  assert.ok(watch.documents.length > 100);
  const errors = watch.documents.filter(({ status }) => status >= 500);
  assert.deepEqual(errors.map(({ url, status }) => `${status} ${new URL(url).pathname}`), ["503 /authorize"]);
  assert.match(errors[0].headers["retry-after"], /^\d+$/);
});

await check("all pages: the security headers are there, and allow nothing inline", () => {
  const pages = watch.documents.filter(({ headers }) => headers["content-type"]?.startsWith("text/html"));
  assert.ok(pages.some(({ url }) => url.startsWith(demo.issuer)) && pages.some(({ url }) => url.startsWith(demo.api)));
  for (const { url, headers } of pages) {
    const policy = headers["content-security-policy"] ?? "";
    assert.match(policy, /^default-src 'none';/, url);
    assert.match(policy, /frame-ancestors 'none'/, url);
    assert.match(policy, /base-uri 'none'/, url);
    assert.doesNotMatch(policy, /unsafe|nonce|\*|https?:/, url);
    assert.equal(headers["cache-control"], "no-store", url);
    assert.equal(headers["x-content-type-options"], "nosniff", url);
    // The page that posts an answer by form_post says where it comes from. It answers the consent.
    const mayTell = new URL(url).pathname.startsWith("/consent/");
    assert.match(headers["referrer-policy"], mayTell ? /^(no-referrer|origin)$/ : /^no-referrer$/, url);
  }
});

checks.finish();
