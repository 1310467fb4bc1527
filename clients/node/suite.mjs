// `openid-client` and `oauth4webapi` against a live demo: what each does for a confidential client (a web
// application) and for a public one (a native application on a loopback port of its own).

import { chromium } from "playwright-core";
import { Checks } from "../harness/checks.mjs";
import { listen } from "../harness/loopback.mjs";
import { Person } from "../harness/person.mjs";
import * as oauth4webapi from "./oauth4webapi.mjs";
import * as openidClient from "./openid-client.mjs";

const checks = new Checks();
const person = await Person.start(chromium);
const native = await listen();
try {
  for (const suite of [openidClient, oauth4webapi]) {
    await person.forget();
    await suite.confidential(checks, person);
    await person.forget();
    await suite.native(checks, person, native.redirectUri);
  }
} finally {
  await native.close();
  await person.leave();
}
checks.finish();
