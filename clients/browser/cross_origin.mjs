// What a page of another origin may read of the server, and what it may not (protocol.md, "CORS"), while the person at
// the browser is signed in there.
//
// Easy to get wrong: loopback ports are one site, so `SameSite=Lax` sends the session's cookie along with these
// requests. That the page learns nothing is CORS alone.

import assert from "node:assert/strict";
import { demo } from "../harness/checks.mjs";

/** What a page's `fetch` gets to see: the answer, or the name of the error. */
const attempt = (page, url, init = {}) => page.evaluate(async ([url, init]) => {
  try {
    const answer = await fetch(url, init);
    return {
      type: answer.type,
      status: answer.status,
      challenge: answer.headers.get("www-authenticate"),
      body: await answer.json().catch(() => null),
    };
  } catch ({ name }) {
    return { refused: name };
  }
}, [url, init]);

const form = (fields) => ({
  method: "POST",
  headers: { "content-type": "application/x-www-form-urlencoded" },
  body: new URLSearchParams(fields).toString(),
});

export async function crossOrigin(suite, page, context) {
  const check = (promise, body) => suite.check(`from another origin: ${promise}`, body);

  for (const path of ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/jwks"]) {
    await check(`${path} is readable`, async () => {
      assert.equal((await attempt(page, `${demo.issuer}${path}`)).status, 200);
    });
  }

  await check("the notes API's metadata is readable", async () => {
    const url = `${demo.api}/.well-known/oauth-protected-resource`;
    assert.deepEqual((await attempt(page, url)).body.authorization_servers, [demo.issuer]);
  });

  await check("an unknown code is answered with a readable invalid_grant", async () => {
    const { status, body } = await attempt(page, `${demo.issuer}/token`, form({
      grant_type: "authorization_code",
      client_id: demo.public_client_id,
      code: "no code at all",
      redirect_uri: demo.redirect_uri,
      code_verifier: "0".repeat(43),
    }));
    assert.deepEqual([status, body.error], [400, "invalid_grant"]);
    assert.match(body.trace_id, /^[0-9a-f]{32}$/);
  });

  await check("an unknown client is answered with a readable invalid_client", async () => {
    const request = form({ grant_type: "client_credentials", client_id: "cli_nobody" });
    const { status, body } = await attempt(page, `${demo.issuer}/token`, request);
    assert.deepEqual([status, body.error], [401, "invalid_client"]);
  });

  await check("a bad token at userinfo is answered with a readable challenge", async () => {
    const headers = { authorization: "Bearer nonsense" };
    const { status, challenge } = await attempt(page, `${demo.issuer}/userinfo`, { headers });
    assert.equal(status, 401);
    assert.match(challenge, /error="invalid_token"/);
  });

  await check("a header that the server does not name is not let through", async () => {
    const answer = await attempt(page, `${demo.issuer}/userinfo`, { headers: { "x-api-key": "nonsense" } });
    assert.deepEqual(answer, { refused: "TypeError" });
  });

  await check("the person is signed in at the server meanwhile", async () => {
    const answer = await context.request.get(`${demo.issuer}/account`, { maxRedirects: 0 });
    assert.equal(answer.status(), 200);
    assert.match(await answer.text(), /Your account/);
  });

  const query = new URLSearchParams({
    response_type: "code",
    client_id: demo.client_id,
    redirect_uri: demo.redirect_uri,
    scope: "openid",
    code_challenge: "A".repeat(43),
    code_challenge_method: "S256",
  });
  for (const path of ["/account", `/authorize?${query}`, "/sign-in", "/v1/keys", "/health", "/"]) {
    await check(`${path.split("?")[0]} is not readable with the person's cookies, nor without`, async () => {
      for (const credentials of ["include", "omit"]) {
        const answer = await attempt(page, `${demo.issuer}${path}`, { credentials });
        assert.deepEqual(answer, { refused: "TypeError" }, credentials);
      }
    });
  }

  await check("introspection is not a page's to read, nor is a form of the account", async () => {
    for (const path of ["/introspect", "/account/sign-out", "/v1/keys/verify"]) {
      const answer = await attempt(page, `${demo.issuer}${path}`, { ...form({ token: "x" }), credentials: "include" });
      assert.deepEqual(answer, { refused: "TypeError" }, path);
    }
    const still = await context.request.get(`${demo.issuer}/account`, { maxRedirects: 0 });
    assert.equal(still.status(), 200, "and nobody was signed out by it");
  });

  await check("what is open to all is not readable with cookies", async () => {
    const answer = await attempt(page, `${demo.issuer}/jwks`, { credentials: "include" });
    assert.deepEqual(answer, { refused: "TypeError" });
  });

  await check("no page of the server can be framed", async () => {
    for (const path of ["/account", "/sign-in"]) {
      await page.evaluate((src) => new Promise((loaded) => {
        const frame = document.createElement("iframe");
        frame.addEventListener("load", loaded, { once: true });
        frame.src = src;
        document.body.append(frame);
      }), `${demo.issuer}${path}`);
      const framed = page.frames().at(-1);
      assert.ok(framed.url().startsWith("chrome-error:"), framed.url());
    }
  });
}
