// The whole way with keys alone: no check of this file touches the mouse.

import assert from "node:assert/strict";
import { ask, native, redeem, refresh } from "./asking.mjs";
import { stops } from "./viewport.mjs";

/** Waits until the page is drawn. A browser gives `autofocus` the focus as it draws, which can be after the load. */
const drawn = (page) =>
  page.evaluate(() => new Promise((painted) => requestAnimationFrame(() => requestAnimationFrame(painted))));

/** The id of the element that has the focus. */
async function focused(page) {
  await drawn(page);
  return page.evaluate(() => document.activeElement?.id);
}

/** Presses Tab until the element of this id has the focus. */
async function tabTo(page, id) {
  for (let turn = 0; (await focused(page)) !== id; turn += 1) {
    assert.ok(turn < 60, `${id} is not reached by the Tab key`);
    await page.keyboard.press("Tab");
  }
}

export async function keyboard(suite, start) {
  const check = (promise, body) => suite.check(`by keyboard: ${promise}`, body);
  const visitor = await start();
  const { page } = visitor;
  const asked = ask(native);
  const enter = () => visitor.landing(() => page.keyboard.press("Enter"));
  const order = async () => (await stops(page)).map(({ key }) => key);
  let tokens;

  await check("sign-in begins in the username and goes on in the order that is seen", async () => {
    await visitor.open(asked.url);
    assert.equal(await focused(page), "username");
    assert.deepEqual(await order(), ["username", "password", "show-password", "sign-in"]);
  });

  await check("a hint puts the focus on the password", async () => {
    await visitor.open(ask(native, { login_hint: "alice" }).url);
    assert.equal(await focused(page), "password");
  });

  await check("the password can be shown and hidden", async () => {
    await tabTo(page, "show-password");
    await page.keyboard.press("Space");
    assert.equal(await page.getAttribute("#password", "type"), "text");
    assert.equal(await page.innerText("#show-password"), "Hide password");
    await page.keyboard.press("Space");
    assert.equal(await page.getAttribute("#password", "type"), "password");
  });

  await check("a wrong password is named in the title and at its field, which has the focus", async () => {
    await visitor.open(asked.url);
    await page.keyboard.type("nobody-at-the-keyboard");
    await tabTo(page, "password");
    await page.keyboard.type("certainly not this one");
    await enter();
    assert.equal(await focused(page), "password");
    assert.match(await page.title(), /^Wrong username or password/);
    const [mistake, ...others] = await page.locator("main .mistake, main .notice").allInnerTexts();
    assert.match(mistake, /^Wrong username or password\. Check what you typed, and try again\.$/);
    assert.deepEqual(others, [], "it is said once");
    const described = await page.getAttribute("#password", "aria-describedby");
    assert.equal((await page.innerText(`#${described}`)).trim(), mistake.trim());
    assert.equal(await page.getAttribute("#username", "aria-invalid"), "true");
  });

  await check("Enter in the password signs in", async () => {
    await tabTo(page, "username");
    await page.keyboard.press("ControlOrMeta+A");
    await page.keyboard.type(visitor.credentials.username);
    await tabTo(page, "password");
    await page.keyboard.type(visitor.credentials.password);
    await enter();
    assert.ok(visitor.isAt("/consent/"), page.url());
  });

  await check("the consent goes through every box that can be unticked, then Allow, then Don’t allow", async () => {
    const open = page.locator("input[type=checkbox]:not(:disabled)");
    const boxes = await open.evaluateAll((all) => all.map(({ id }) => id));
    assert.ok(boxes.includes("scope-notes:write"), boxes.join(" "));
    assert.deepEqual(await order(), ["switch-account", ...boxes, "allow", "deny"]);
  });

  await check("Space unticks a scope, and Enter in a box decides nothing", async () => {
    const consent = page.url();
    await tabTo(page, "scope-notes:write");
    await page.keyboard.press("Space");
    assert.equal(await page.isChecked('[id="scope-notes:write"]'), false);
    await page.keyboard.press("Enter");
    // Were something sent, this would be answered by another page.
    await drawn(page);
    assert.equal(page.url(), consent);
    assert.equal(await page.isChecked('[id="scope-notes:write"]'), false);
  });

  await check("Enter on Allow gives what is ticked and no more", async () => {
    await tabTo(page, "allow");
    await enter();
    tokens = await redeem(asked, visitor.callback());
    assert.equal(tokens.status, 200, JSON.stringify(tokens));
    assert.ok(tokens.scope.split(" ").includes("notes:read") && !tokens.scope.includes("notes:write"), tokens.scope);
  });

  await check("an app is disconnected, and the focus is on the sentence that says so", async () => {
    await visitor.open("/account");
    await tabTo(page, `disconnect-${native.id}`);
    await enter();
    assert.equal(await focused(page), "notice");
    assert.match(await page.innerText("#notice"), /is disconnected\.$/);
    assert.equal(await page.locator(`#disconnect-${native.id}`).count(), 0);
    assert.equal((await refresh(native, tokens.refresh_token)).error, "invalid_grant");
  });

  await check("signing out works from the account page", async () => {
    await tabTo(page, "sign-out");
    await enter();
    assert.equal(await visitor.heading(), "You are signed out");
    await tabTo(page, "sign-in-again");
    await enter();
    assert.ok(visitor.isAt("/sign-in"));
  });

  await visitor.leave();
}
