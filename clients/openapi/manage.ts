// A client in TypeScript: creates a client of the server, changes it, finds it in the list, and deletes it.

import createClient from "openapi-fetch";
import type { paths } from "./doorward.js";

const [issuer, key] = process.argv.slice(2);
const doorward = createClient<paths>({ baseUrl: issuer, headers: { Authorization: `Bearer ${key}` } });

function expect(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

const created = await doorward.POST("/v1/clients", {
  params: { header: { "Idempotency-Key": crypto.randomUUID() } },
  body: {
    client_name: "TypeScript client",
    grant_types: ["authorization_code"],
    redirect_uris: ["https://app.example/callback"],
    scope: "openid",
  },
});
expect(created.data !== undefined, `not created: ${JSON.stringify(created.error)}`);
const client_id = created.data.client_id;
expect(typeof created.data.client_secret === "string", "no secret");

const changed = await doorward.PATCH("/v1/clients/{client_id}", {
  params: { path: { client_id }, header: { "If-Match": created.response.headers.get("etag") ?? "" } },
  body: { client_name: "Changed by TypeScript" },
  headers: { "Content-Type": "application/merge-patch+json" },
});
expect(changed.data?.client_name === "Changed by TypeScript", `not changed: ${JSON.stringify(changed.error)}`);

let cursor: string | undefined;
let found = false;
do {
  const page = await doorward.GET("/v1/clients", { params: { query: { limit: 2, cursor } } });
  expect(page.data !== undefined, `not listed: ${JSON.stringify(page.error)}`);
  found ||= page.data.items.some((client) => client.client_id === client_id);
  cursor = page.data.next ?? undefined;
} while (cursor !== undefined);
expect(found, "not in the list");

const deleted = await doorward.DELETE("/v1/clients/{client_id}", { params: { path: { client_id } } });
expect(deleted.response.status === 204, `not deleted: ${JSON.stringify(deleted.error)}`);
const gone = await doorward.GET("/v1/clients/{client_id}", { params: { path: { client_id } } });
expect(gone.response.status === 404 && gone.error?.code === "id_unknown", "still there");
