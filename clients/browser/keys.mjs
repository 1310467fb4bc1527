// API keys in a page. A live one is refused, readably, and named to the operator. A publishable one works where it may.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { demo } from "../harness/checks.mjs";

/** What a command prints that works on the demo's data, beside its running server. */
function command(...words) {
  // Each name that begins with DOORWARD_ is a key of its configuration.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("DOORWARD_")));
  const printed = execFileSync(process.env.DOORWARD_TEST_PROGRAM, [...words, "--json", "--data", demo.data], { env, timeout: 20_000 });
  return JSON.parse(printed.toString());
}

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

  // Made here, so that the key exists if a check fails.
  command("api", "update", "notes", "--add-public-scope", "notes:write");
  const origin = new URL(demo.api).origin;
  const publishable = ["--kind", "publishable", "--name", "page", "--api", "notes", "--scope", "notes:write"];
  const own = command("key", "create", ...publishable, "--allow-origin", origin).secret;
  const others = command("key", "create", ...publishable, "--allow-origin", "https://app.example.com").secret;
  const init = { method: "POST", body: JSON.stringify({ text: "from a page" }) };

  await check("that is publishable works in the page of its origin", async () => {
    // The server notices a change of another process within a second.
    let found = await send("x-api-key", own, init);
    for (let tries = 0; found.status === 403 && tries < 20; tries += 1) {
      await sleep(100);
      found = await send("x-api-key", own, init);
    }
    assert.equal(found.status, 201, JSON.stringify(found.body));
  });

  await check("that is publishable for another origin is refused", async () => {
    const { status, body } = await send("x-api-key", others, init);
    assert.deepEqual([status, body.code], [403, "key_origin_not_allowed"]);
  });

  await check("that is publishable is refused in a GET to the own origin, which has no Origin", async () => {
    const { status, body } = await send("x-api-key", own);
    assert.deepEqual([status, body.code], [403, "key_origin_not_allowed"]);
  });

  await check("that is publishable is refused from a program that sends no Origin", async () => {
    const headers = { "x-api-key": own, "content-type": "application/json" };
    const answer = await fetch(`${demo.api}/notes`, { ...init, headers });
    assert.deepEqual([answer.status, (await answer.json()).code], [403, "key_origin_not_allowed"]);
  });
}
