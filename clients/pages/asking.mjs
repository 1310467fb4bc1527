// The applications of this suite, as far as their servers act: the authorization request (OAuth 2.1 section 4.1.1) that
// sends a person to the pages, and what is done with the code that comes back.
//
// The confidential client's redirect URI is the sample app, which redeems no code whose `state` it does not know: the
// code of the answer is still good here.

import { createHash, randomBytes } from "node:crypto";
import { demo } from "../harness/checks.mjs";

const random = () => randomBytes(32).toString("base64url");

/** The confidential client. Its consent is remembered. */
export const web = { id: demo.client_id, secret: demo.client_secret };
/** The public client. Users are asked about it each time. */
export const native = { id: demo.public_client_id };
/** The notes API, which may ask about the tokens that name it. */
export const api = { id: demo.api_client_id, secret: demo.api_client_secret };

export const SCOPES = ["openid", "profile", "email", "offline_access", "notes:read", "notes:write"];

/** A new authorization request; `parameters` are added to it, or replace what is said here. */
export function ask(client, parameters = {}) {
  const [state, verifier] = [random(), random()];
  const url = new URL(`${demo.issuer}/authorize`);
  url.search = new URLSearchParams({
    response_type: "code",
    client_id: client.id,
    redirect_uri: demo.redirect_uri,
    scope: SCOPES.join(" "),
    state,
    nonce: random(),
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    code_challenge_method: "S256",
    ...parameters,
  });
  return { client, url: url.href, state, verifier };
}

async function post(path, client, form) {
  const headers = {};
  if (client.secret) headers.authorization = `Basic ${btoa(`${client.id}:${client.secret}`)}`;
  const body = new URLSearchParams(client.secret ? form : { ...form, client_id: client.id });
  const response = await fetch(`${demo.issuer}${path}`, { method: "POST", headers, body });
  return { status: response.status, ...(await response.json()) };
}

/** Redeems the code of `callback`, the URL that a person came back with. */
export const redeem = ({ client, verifier }, callback) =>
  post("/token", client, {
    grant_type: "authorization_code",
    code: callback.searchParams.get("code") ?? "",
    redirect_uri: demo.redirect_uri,
    code_verifier: verifier,
  });

export const refresh = (client, refreshToken) =>
  post("/token", client, { grant_type: "refresh_token", refresh_token: refreshToken });

export const introspect = (client, token) => post("/introspect", client, { token });
