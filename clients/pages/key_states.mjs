// The pages about API keys, in every state that people meet.

import assert from "node:assert/strict";
import { demo } from "../harness/checks.mjs";

const WRONG = "certainly not this one";

/** Fills in the form of a new key and sends it. */
async function fillInKey(visitor, { name = "backup script", scope = "notes:read", password = demo.password } = {}) {
  await visitor.page.fill("#name", name);
  if (scope) await visitor.page.check(`[id="scope-${scope}"]`);
  await visitor.page.fill("#password", password);
  await visitor.press("#create-key");
}

async function createKey(visitor) {
  await visitor.openAccount();
  await visitor.open("/account/keys/new");
  await fillInKey(visitor);
}

/** Creates a key and opens its page; gives the key. */
async function openKey(visitor) {
  await createKey(visitor);
  const secret = await visitor.page.innerText("#secret");
  await visitor.press("#done");
  await visitor.landing(() => visitor.page.locator("[id^=key-]").first().click({ noWaitAfter: true }));
  return secret;
}

/** Calls the sample API with a key. */
async function use(key) {
  return (await fetch(`${demo.api}/notes`, { headers: { authorization: `Bearer ${key}` } })).status;
}

/** Whether the page shows these sums of the uses. */
async function isUsed(visitor, sums) {
  const shown = visitor.page.locator("#usage-sum");
  return (await shown.count()) > 0 && sums.test(await shown.innerText());
}

/** Loads the page again until `isShown` gives true: uses are written a little later. */
async function reloadUntil(visitor, isShown) {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    await visitor.page.reload();
    if (await isShown()) return;
    await visitor.page.waitForTimeout(300);
  }
  assert.fail(await visitor.page.innerText("main"));
}

async function openRotation(visitor) {
  const secret = await openKey(visitor);
  await visitor.press("#rotate");
  return secret;
}

/** Rotates a new key; gives the old key and the new one. */
async function rotateKey(visitor, overlap) {
  const old = await openRotation(visitor);
  if (overlap) await visitor.page.selectOption("#overlap", overlap);
  await visitor.page.fill("#password", demo.password);
  await visitor.press("#rotate-key");
  return { old, successor: await visitor.page.innerText("#secret") };
}

async function report(key) {
  const body = JSON.stringify({ key, source: "https://git.example/acme/tools/blob/main/config.env" });
  const headers = { "content-type": "application/json" };
  assert.ok((await fetch(`${demo.issuer}/v1/leaks`, { method: "POST", headers, body })).ok);
}

export const KEY_STATES = {
  "API keys, none": async (visitor) => {
    await visitor.openAccount({ username: demo.admin_username, password: demo.admin_password });
    await visitor.open("/account/keys");
    assert.match(await visitor.page.innerText("main"), /You have no keys\. A key that you create appears here/);
  },

  "new API key": async (visitor) => {
    await visitor.openAccount();
    await visitor.open("/account/keys/new");
    assert.equal(await visitor.page.locator("[name=scope]:checked").count(), 0, "people choose what it may do");
  },

  "new API key, after a wrong password": async (visitor) => {
    await visitor.openAccount();
    await visitor.open("/account/keys/new");
    await fillInKey(visitor, { password: WRONG });
    assert.equal(visitor.status(), 401);
    assert.match(await visitor.page.title(), /^Wrong password – /);
    assert.equal(await visitor.page.isChecked('[id="scope-notes:read"]'), true, "as it was ticked");
  },

  "new API key, without a scope": async (visitor) => {
    await visitor.openAccount();
    await visitor.open("/account/keys/new");
    await fillInKey(visitor, { scope: null });
    assert.equal(visitor.status(), 422);
    assert.match(await visitor.page.innerText("#scope-mistake"), /choose at least one/);
  },

  "API key, shown once": async (visitor) => {
    await createKey(visitor);
    assert.match(await visitor.page.innerText("#secret"), /^sk_live_[0-9A-Za-z]{38}$/);
  },

  "API key, sent twice": async (visitor) => {
    await createKey(visitor);
    await visitor.landing(() => visitor.page.reload());
    assert.equal(await visitor.heading(), "This key exists");
  },

  "API keys": async (visitor) => {
    await createKey(visitor);
    await visitor.press("#done");
    assert.ok((await visitor.page.locator("[id^=key-]").count()) >= 1);
  },

  "API key, not used": async (visitor) => {
    await openKey(visitor);
    assert.equal(await visitor.page.locator("#revoke").count(), 1);
    assert.match(await visitor.page.innerText("main"), /Not used\. What a program does with this key is counted here/);
  },

  "API key with uses": async (visitor) => {
    const key = await openKey(visitor);
    assert.equal(await use(key), 200);
    await reloadUntil(visitor, () => isUsed(visitor, /^1 allowed, 0 refused\. At most 1 on one day\.$/));
    assert.match(await visitor.page.locator("svg[role=img]").getAttribute("aria-labelledby"), /usage-sum/);
    await visitor.page.click("#usage-days summary");
    assert.equal(await visitor.page.locator("#usage-days tbody tr").count(), 1, "a row for the one day");
  },

  "API key after a wrong name": async (visitor) => {
    await openKey(visitor);
    await visitor.page.fill("#name", " ");
    await visitor.press("#rename");
    assert.equal(visitor.status(), 422);
    assert.ok(await visitor.page.locator("#name-mistake").count());
  },

  "API keys after revoking one": async (visitor) => {
    await openKey(visitor);
    await visitor.press("#revoke");
    assert.match(await visitor.page.innerText("#notice"), /The key is revoked\./);
  },

  "API key, to be rotated": async (visitor) => {
    await openRotation(visitor);
    assert.match(await visitor.heading(), /^Rotate backup script$/);
  },

  "API key, to be rotated, after a wrong password": async (visitor) => {
    await openRotation(visitor);
    await visitor.page.selectOption("#overlap", "86400");
    await visitor.page.fill("#password", WRONG);
    await visitor.press("#rotate-key");
    assert.equal(visitor.status(), 401);
    assert.match(await visitor.page.title(), /^Wrong password – /);
    assert.equal(await visitor.page.inputValue("#overlap"), "86400", "as it was chosen");
  },

  "API key, rotated": async (visitor) => {
    const { old, successor } = await rotateKey(visitor);
    assert.match(successor, /^sk_live_[0-9A-Za-z]{38}$/);
    assert.deepEqual([await use(old), await use(successor)], [200, 200]);
  },

  "API key, rotated at once": async (visitor) => {
    const { old, successor } = await rotateKey(visitor, "0");
    assert.match(await visitor.page.innerText("main"), /which has ended/);
    assert.deepEqual([await use(old), await use(successor)], [401, 200]);
  },

  "API key, rotated twice by one form": async (visitor) => {
    await rotateKey(visitor);
    await visitor.landing(() => visitor.page.reload());
    assert.equal(await visitor.heading(), "This key exists");
    assert.match(await visitor.page.innerText("main"), /revoke it and rotate the old key again/);
  },

  "API key, being replaced": async (visitor) => {
    const { old, successor } = await rotateKey(visitor);
    await use(successor);
    await visitor.press("#done");
    await visitor.landing(() => visitor.page.locator("[id^=key-]").nth(1).click({ noWaitAfter: true }));
    await reloadUntil(visitor, async () => {
      await use(old);
      return /from (127\.0\.0\.1|::1)/.test(await visitor.page.innerText("main"));
    });
    await reloadUntil(visitor, async () => /is in use\./.test(await visitor.page.innerText("main")));
    assert.equal(await visitor.page.locator("#end-now").count(), 1);
    assert.equal(await visitor.page.locator("#revoke").count(), 0, "one button ends it");
  },

  "API key that replaces another one": async (visitor) => {
    await rotateKey(visitor);
    await visitor.press("#done");
    await visitor.landing(() => visitor.page.locator("[id^=key-]").first().click({ noWaitAfter: true }));
    assert.equal(await visitor.page.locator("#end-predecessor").count(), 1);
    assert.equal(await visitor.page.locator("#rotate").count(), 0, "its predecessor has to end first");
  },

  "API key that was replaced": async (visitor) => {
    const { old } = await rotateKey(visitor, "0");
    assert.equal(await use(old), 401);
    await visitor.press("#done");
    await visitor.landing(() => visitor.page.locator("[id^=key-]").nth(1).click({ noWaitAfter: true }));
    assert.match(await visitor.page.innerText("main"), /This key was replaced/);
    await reloadUntil(visitor, () => isUsed(visitor, /^0 allowed, 1 refused\./));
  },

  "API keys after one leaked": async (visitor) => {
    await report(await openKey(visitor));
    await visitor.open("/account/keys");
    assert.match(await visitor.page.innerText("main"), /backup script leaked/);
  },

  "API key that leaked": async (visitor) => {
    await report(await openKey(visitor));
    await visitor.page.reload();
    assert.match(await visitor.page.innerText("#leaked"), /This key leaked/);
    assert.match(await visitor.page.innerText("#leaked"), /git\.example/);
  },

  "account after an API key leaked": async (visitor) => {
    await visitor.openAccount();
    assert.match(await visitor.page.innerText("#leaked"), /leaked/);
  },
};
