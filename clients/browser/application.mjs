// Serves the application from an origin of its own: a loopback port that nobody registered, so any page below it is
// foreign to the server. All it needs comes from there, the library's browser build as it was published among it.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { demo } from "../harness/checks.mjs";
import { listen } from "../harness/loopback.mjs";

const SCOPE = "openid profile email offline_access notes:read notes:write";
const SETTINGS = { authority: demo.issuer, client_id: demo.public_client_id, scope: SCOPE };

const library = createRequire(import.meta.url).resolve("oidc-client-ts").replace(/dist\/.*$/, "dist/browser/");
const own = (name) => readFileSync(new URL(`app/${name}`, import.meta.url));

const PAGE = ["text/html", own("index.html")];
const FILES = {
  "/app.js": ["text/javascript", own("app.js")],
  "/oidc-client-ts.min.js": ["text/javascript", readFileSync(`${library}oidc-client-ts.min.js`)],
  "/settings.json": ["application/json", JSON.stringify(SETTINGS)],
};

/** Starts it; see `listen`. Every other path is the application's page. */
export function serve() {
  return listen((request, response) => {
    const [type, content] = FILES[request.url] ?? PAGE;
    response.writeHead(200, { "content-type": `${type}; charset=utf-8` }).end(content);
  });
}
