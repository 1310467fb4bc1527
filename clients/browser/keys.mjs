// A live API key in a page: refused, readably, and named to the operator.

import assert from "node:assert/strict";
import { demo } from "../harness/checks.mjs";

export async function keysInPages(suite, page) {
  const check = (promise, body) => suite.check(`a key in a page: ${promise}`, body);

  // A page of the API's own origin, so that no CORS layer is before the guard.
  await page.goto(`${demo.api}/.well-known/oauth-protected-resource`);
  const send = (name, value, init = {}) => page.evaluate(async ([name, value, init]) => {
    const answer = await fetch("/notes", { ...init, headers: { [name]: value, "content-type": "application/json" } });
    return { status: answer.status, body: await answer.json() };
  }, [name, value, init]);

  for (const [name, value] of [["x-api-key", demo.api_key], ["authorization", `Bearer ${demo.api_key}`]]) {
    await check(`is refused in ${name}, and the page reads why`, async () => {
      const { status, body } = await send(name, value);
      assert.deepEqual([status, body.code], [403, "key_in_browser"]);
      assert.match(body.detail, /backend/);
    });
  }

  await check("is refused in a POST, which has an Origin", async () => {
    const init = { method: "POST", body: JSON.stringify({ text: "from a page" }) };
    const { status, body } = await send("x-api-key", demo.api_key, init);
    assert.deepEqual([status, body.code], [403, "key_in_browser"]);
  });

  await check("works from a program", async () => {
    const answer = await fetch(`${demo.api}/notes`, { headers: { "x-api-key": demo.api_key } });
    assert.equal(answer.status, 200);
  });
}
