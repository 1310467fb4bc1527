// What the browser itself carries to an application of another origin: the answer to an authorization request by
// `form_post` and in the fragment, and the request to sign out by a form.
//
// Easy to get wrong: Chromium applies `form-action` to every redirect that follows a form, and sends no Lax cookie with
// a form of another site. Loopback ports are one site, so the other site here is `127.0.0.1`.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { demo } from "../harness/checks.mjs";
import { listen } from "../harness/loopback.mjs";

const random = () => randomBytes(32).toString("base64url");

/** An authorization request of the public client. */
function ask(redirectUri, parameters) {
  const [state, verifier] = [random(), random()];
  const url = new URL(`${demo.issuer}/authorize`);
  url.search = new URLSearchParams({
    response_type: "code",
    client_id: demo.public_client_id,
    redirect_uri: redirectUri,
    scope: "openid notes:read",
    state,
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    code_challenge_method: "S256",
    ...parameters,
  });
  return { url: url.href, state, verifier, redirectUri };
}

async function redeem({ verifier, redirectUri }, code) {
  const body = new URLSearchParams({
    grant_type: "authorization_code",
    client_id: demo.public_client_id,
    code,
    redirect_uri: redirectUri,
    code_verifier: verifier,
  });
  const answer = await fetch(`${demo.issuer}/token`, { method: "POST", body });
  return { status: answer.status, ...(await answer.json()) };
}

/** Signs in where that is asked for, and allows what is asked. */
async function allow(page, url) {
  await page.goto(url);
  if (new URL(page.url()).pathname.startsWith("/sign-in/")) {
    await page.fill("#username", demo.username);
    await page.fill("#password", demo.password);
    await page.click("#sign-in");
    await page.waitForURL(`${demo.issuer}/consent/**`);
  }
  // The answer may lead on before the page that it is on has loaded.
  await page.click("#allow", { noWaitAfter: true });
}

/** A page of another site, whose form goes to the server when it is loaded. */
async function foreignForm(action, fields) {
  const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll('"', "&quot;");
  const inputs = Object.entries(fields).map(([name, value]) => `<input name="${name}" value="${escaped(value)}">`);
  const html = `<!doctype html><title>Elsewhere</title><link rel="icon" href="data:,">
    <form method="post" action="${action}">${inputs.join("")}</form><script>document.forms[0].submit()</script>`;
  const server = createServer((_, response) => response.writeHead(200, { "content-type": "text/html" }).end(html));
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  const close = () => {
    server.closeAllConnections();
    return new Promise((done) => server.close(done));
  };
  return { url: `http://127.0.0.1:${server.address().port}/`, close };
}

export async function carried(suite, page, context) {
  const check = (promise, body) => suite.check(`carried by the browser: ${promise}`, body);
  let idToken;

  await check("a callback by form_post that redirects to another origin arrives there", async () => {
    const landing = await listen((_, response) => response.end("arrived"));
    const posted = [];
    const callback = await listen((request, response) => {
      if (request.method !== "POST") return response.writeHead(404).end();
      let body = "";
      request.on("data", (chunk) => (body += chunk));
      request.on("end", () => {
        posted.push({ origin: request.headers.origin, fields: new URLSearchParams(body) });
        response.writeHead(303, { location: `${landing.origin}/landed` }).end();
      });
    });
    try {
      assert.notEqual(landing.origin, callback.origin);
      const asked = ask(callback.redirectUri, { response_mode: "form_post" });
      await allow(page, asked.url);
      await page.waitForURL(`${landing.origin}/landed`);
      assert.equal(posted.length, 1);
      const [{ origin, fields }] = posted;
      assert.equal(origin, demo.issuer, "applications compare it with those that they trust");
      assert.deepEqual([fields.get("state"), fields.get("iss")], [asked.state, demo.issuer]);
      const tokens = await redeem(asked, fields.get("code"));
      assert.equal(tokens.status, 200, JSON.stringify(tokens));
      idToken = tokens.id_token;
    } finally {
      await callback.close();
      await landing.close();
    }
  });

  await check("an answer in the fragment reaches the page's script and no server", async () => {
    const seen = [];
    const application = await listen((request, response) => {
      seen.push(request.url);
      response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><link rel=icon href=data:,>");
    });
    try {
      const asked = ask(application.redirectUri, { response_mode: "fragment" });
      await allow(page, asked.url);
      await page.waitForURL((url) => url.href.startsWith(`${application.redirectUri}#`));
      const answer = new URLSearchParams((await page.evaluate(() => location.hash)).slice(1));
      assert.deepEqual([answer.get("state"), answer.get("iss")], [asked.state, demo.issuer]);
      assert.deepEqual(seen, [new URL(application.redirectUri).pathname]);
      assert.equal((await redeem(asked, answer.get("code"))).status, 200);
    } finally {
      await application.close();
    }
  });

  await check("a form of another site signs out by the id_token, which no URL holds", async () => {
    assert.ok(idToken);
    const urls = [];
    const note = (request) => urls.push(request.url());
    const elsewhere = await foreignForm(`${demo.issuer}/logout`, { id_token_hint: idToken });
    context.on("request", note);
    try {
      // It leads on before it has loaded.
      await page.goto(elsewhere.url, { waitUntil: "commit" });
      await page.waitForURL(`${demo.issuer}/signed-out`);
    } finally {
      context.off("request", note);
      await elsewhere.close();
    }
    assert.ok(urls.includes(`${demo.issuer}/logout`) && urls.includes(`${demo.issuer}/logout/continue`), urls.join());
    assert.ok(!urls.some((url) => url.includes(idToken)), urls.join());
    const account = await context.request.get(`${demo.issuer}/account`, { maxRedirects: 0 });
    assert.equal(account.headers().location, "/sign-in");
  });
}
