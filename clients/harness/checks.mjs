// What a suite in JavaScript promises, check by check, and the last line that `cargo xtask test` reads.
//
// Easy to get wrong: checks stand in the order in which a client acts, so one that needs what an earlier one failed to
// get must fail as well and not be left out.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

/** What `doorward demo --json` printed. */
export const demo = JSON.parse(readFileSync(process.env.DOORWARD_DEMO_JSON, "utf8"));

export class Checks {
  #passed = 0;
  #failed = 0;

  /** Runs `body` as the check of `promise`; whatever it throws makes it a failure. */
  async check(promise, body) {
    try {
      await body();
      this.#passed += 1;
      console.log(`ok      ${promise}`);
    } catch (error) {
      this.#failed += 1;
      console.log(`FAILED  ${promise}\n${String(error?.stack ?? error).replace(/^/gm, "        ")}`);
      if (error?.cause) console.log(`        cause: ${error.cause.stack ?? JSON.stringify(error.cause)}`);
    }
  }

  /** Prints the count and sets the exit code. */
  finish() {
    console.log(`${this.#passed} passed, ${this.#failed} failed`);
    process.exitCode = this.#failed === 0 && this.#passed > 0 ? 0 : 1;
  }
}

/** Calls the demo's notes API with an access token, as any program would. */
export function notes(accessToken, method = "GET") {
  const headers = { authorization: `Bearer ${accessToken}` };
  if (method === "GET") return fetch(`${demo.api}/notes`, { headers });
  headers["content-type"] = "application/json";
  return fetch(`${demo.api}/notes`, { method, headers, body: JSON.stringify({ text: "from a client suite" }) });
}

/** Asserts that the API answers a write without `notes:write` with 403 and says which scope would do (RFC 6750 3.1). */
export async function assertMayNotWrite(accessToken) {
  const refusal = await notes(accessToken, "POST");
  assert.equal(refusal.status, 403);
  const challenge = refusal.headers.get("www-authenticate");
  assert.match(challenge, /error="insufficient_scope"/);
  assert.match(challenge, /scope="notes:write"/);
  const problem = await refusal.json();
  assert.equal(problem.status, 403);
  assert.match(problem.trace_id, /^[0-9a-f]{32}$/);
}

/** `at_hash` of an access token under an algorithm with SHA-256, such as RS256 (OpenID Connect Core 3.1.3.6). */
export function atHash(accessToken) {
  return createHash("sha256").update(accessToken).digest().subarray(0, 16).toString("base64url");
}
