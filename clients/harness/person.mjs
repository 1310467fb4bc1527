// A person at a browser: headless Chromium, driven by Playwright, who signs in and decides on the real pages.
//
// Playwright is handed in, because a module of this folder can't find the suite's own `node_modules`.
// Easy to get wrong: `page.route` does not see redirects, so the way back to an application can't be intercepted;
// something has to listen there. For the confidential client that is the demo's sample app, which redeems no code
// whose `state` it does not know.

import { demo } from "./checks.mjs";

/** Without these Chromium calls home, or needs a display or privileges that a test machine lacks. */
export const CHROMIUM = {
  executablePath: process.env.DOORWARD_CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
};

export class Person {
  #browser;
  #context;

  /** Starts a browser with a fresh profile. `chromium` is Playwright's. */
  static async start(chromium) {
    const person = new Person();
    person.#browser = await chromium.launch(CHROMIUM);
    await person.forget();
    return person;
  }

  /** Goes on with a browser that has no cookies, so that nobody is signed in. */
  async forget() {
    await this.#context?.close();
    this.#context = await this.#browser.newContext();
  }

  /**
   * Follows an authorization request until the browser is back at `redirectUri`, and gives the URL it came back with.
   * Signs in where asked to. `untick` names scopes to leave out, `decision` is the id of the button to press.
   * `shown` in the answer lists the pages that were met on the way: `sign-in`, `consent`.
   */
  async authorize(url, redirectUri, { untick = [], decision = "allow" } = {}) {
    const page = await this.#context.newPage();
    const shown = [];
    const isAt = (path) => new URL(page.url()).origin === demo.issuer && new URL(page.url()).pathname.startsWith(path);
    await page.goto(String(url));
    if (isAt("/sign-in/")) {
      shown.push("sign-in");
      await page.fill("#username", demo.username);
      await page.fill("#password", demo.password);
      await page.click("#sign-in");
      await page.waitForURL((there) => !there.pathname.startsWith("/sign-in/"));
    }
    if (isAt("/consent/")) {
      shown.push("consent");
      for (const scope of untick) await page.uncheck(`[id="scope-${scope}"]`);
      await page.click(`#${decision}`);
    }
    await page.waitForURL((there) => there.href.startsWith(`${redirectUri}?`));
    const callback = new URL(page.url());
    await page.close();
    return { callback, shown };
  }

  async leave() {
    await this.#browser?.close();
  }
}
