// Draws the picture of the consent page for the README: `DOORWARD_DEMO_JSON=… node screenshot.mjs [FILE]`.

import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { CHROMIUM } from "../harness/person.mjs";
import { ask, web } from "./asking.mjs";
import { Visitor } from "./visitor.mjs";
import { Watch } from "./watch.mjs";

const file = process.argv[2] ?? fileURLToPath(new URL("../../docs/images/consent.png", import.meta.url));
const browser = await chromium.launch(CHROMIUM);
const options = { viewport: { width: 720, height: 800 }, deviceScaleFactor: 2, colorScheme: "light" };
const visitor = await Visitor.start(browser, new Watch(), options);
await visitor.openConsent(ask(web, { prompt: "consent" }));
await visitor.page.screenshot({ path: file });
await browser.close();
