// Forms that are sent too late: a consent page whose session was replaced by a new sign-in meanwhile, and a change of the
// password that another change overtook.

import assert from "node:assert/strict";
import { ask, native } from "./asking.mjs";
import { whileLocked } from "./locked.mjs";

/** Opens the page, signs in again beside it, unticks a scope and allows: the page comes again. */
export async function allowTooLate(visitor) {
  await visitor.openConsent(ask(native));
  const other = await visitor.tab();
  await visitor.open(ask(native, { prompt: "login" }).url, other);
  await visitor.signIn({ page: other });
  await visitor.page.uncheck('[id="scope-notes:write"]');
  await visitor.press("#allow");
  assert.equal(visitor.status(), 403);
}

/**
 * Sends two changes of the password at once, from two tabs: the database is held until both are on their way. The one
 * that loses leaves its tab with the page again, which becomes the visitor's. The other one gives the account its
 * password back.
 */
export async function changePasswordTooLate(visitor) {
  await visitor.openAccount();
  const tabs = [visitor.page, await visitor.tab()];
  const chosen = new Map(tabs.map((tab, at) => [tab, `a staple of another horse, number ${at}`]));
  for (const tab of tabs) {
    await visitor.open("/account/password", tab);
    await fillIn(tab, visitor.credentials.password, chosen.get(tab));
  }
  const landed = tabs.map((tab) => tab.waitForEvent("load"));
  await whileLocked(async () => {
    const sent = tabs.map((tab) => tab.waitForRequest((request) => request.method() === "POST"));
    for (const tab of tabs) await tab.click("#save-password", { noWaitAfter: true });
    await Promise.all(sent);
  });
  await Promise.all(landed);
  const late = tabs.filter((tab) => visitor.isAt("/account/password", tab));
  assert.equal(late.length, 1, tabs.map((tab) => tab.url()).join(" "));
  visitor.page = late[0];
  const winner = tabs.find((tab) => tab !== visitor.page);
  await visitor.open("/account/password", winner);
  await fillIn(winner, chosen.get(winner), visitor.credentials.password);
  await visitor.press("#save-password", winner);
  assert.ok(!visitor.isAt("/account/password", winner), "the account has its password back");
}

async function fillIn(tab, password, replacement) {
  await tab.fill("#password", password);
  await tab.fill("#new-password", replacement);
}
