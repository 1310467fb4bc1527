// The listener of a native application: a loopback address whose port nobody registered (RFC 8252 section 7.3).

import { createServer } from "node:http";
import { demo } from "./checks.mjs";

/**
 * Listens on a free port of the host of the registered redirect URI, under the same path. `answer` may serve more than
 * an empty page. Gives the redirect URI, the origin, and what ends it.
 */
export async function listen(answer = (_, response) => response.end("You can close this page.")) {
  const registered = new URL(demo.redirect_uri);
  const server = createServer(answer);
  await new Promise((ready) => server.listen(0, registered.hostname, ready));
  const redirectUri = new URL(registered);
  redirectUri.port = server.address().port;
  const close = () => {
    server.closeAllConnections();
    return new Promise((done) => server.close(done));
  };
  return { redirectUri: redirectUri.href, origin: redirectUri.origin, close };
}
