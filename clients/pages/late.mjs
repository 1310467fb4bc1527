// A consent page that is answered too late: in the meantime its session was replaced by a new sign-in.

import assert from "node:assert/strict";
import { ask, native } from "./asking.mjs";

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
