// Somebody with a browser profile of their own, who does on the pages what people do there.

import { demo } from "../harness/checks.mjs";

/** The name of the server's session cookie, which ends with the port. */
export const sessionCookieName = (issuer) => `doorward-session-${new URL(issuer).port || "80"}`;

/** Checks about one subject, each by a visitor of its own, who leaves whatever becomes of the check. */
export const eachBy = (suite, start, about) => (promise, body) => suite.check(`${about}: ${promise}`, async () => {
  const visitor = await start();
  try {
    await body(visitor);
  } finally {
    await visitor.leave();
  }
});

export class Visitor {
  /** Who it is, unless said otherwise. */
  credentials = { username: demo.username, password: demo.password };
  #statuses = new WeakMap();

  /** A fresh profile in `browser`, seen by `watch`. `options` are those of Playwright's `newContext`. */
  static async start(browser, watch, options = {}) {
    const visitor = new Visitor();
    visitor.context = await browser.newContext(options);
    visitor.context.setDefaultTimeout(10_000);
    watch.over(visitor.context);
    visitor.page = await visitor.tab();
    return visitor;
  }

  async tab() {
    const page = await this.context.newPage();
    page.on("response", (response) => {
      if (response.request().isNavigationRequest()) this.#statuses.set(page, response.status());
    });
    return page;
  }

  /** The status of what a tab shows. */
  status(page = this.page) {
    return this.#statuses.get(page);
  }

  async open(url, page = this.page) {
    await page.goto(new URL(url, demo.issuer).href);
    return page;
  }

  /** Clicks, and waits for the page that comes of it. */
  async press(selector, page = this.page) {
    await this.landing(() => page.click(selector, { noWaitAfter: true }), page);
  }

  /** Waits for the page that `act` leads to. */
  async landing(act, page = this.page) {
    const landed = page.waitForEvent("load");
    landed.catch(() => {}); // `act` says more, should it fail first
    await act();
    await landed;
  }

  /** Fills in the sign-in page and sends it. */
  async signIn({ username, password, page = this.page } = {}) {
    const known = this.credentials;
    const isAsked = await page.locator("#username:not([readonly])").count();
    if (isAsked) await page.fill("#username", username ?? known.username);
    await page.fill("#password", password ?? known.password);
    await this.press("#sign-in", page);
  }

  /** Signs in for the account page, and is there. */
  async openAccount(credentials) {
    await this.open("/account");
    await this.signIn(credentials);
    return this.page;
  }

  /** Follows an authorization request up to the consent page, or as far as it goes without a decision. */
  async openConsent(asked, page = this.page) {
    await this.open(asked.url, page);
    if (this.isAt("/sign-in/", page)) await this.signIn({ page });
    return page;
  }

  /** Decides on the consent page; gives the URL that the browser came back to the application with. */
  async decide(decision, { untick = [], page = this.page } = {}) {
    await this.answerConsent(decision, { untick, page });
    return this.callback(page);
  }

  /** Decides on the consent page, and follows all redirects of the application. */
  async answerConsent(decision, { untick = [], page = this.page } = {}) {
    for (const scope of untick) await page.uncheck(`[id="scope-${scope}"]`);
    await this.press(`#${decision}`, page);
  }

  /** The URL that the browser came back to the application with. */
  callback(page = this.page) {
    if (!page.url().startsWith(`${demo.redirect_uri}?`)) throw new Error(`not back at the application: ${page.url()}`);
    return new URL(page.url());
  }

  /** The whole of an authorization request, allowed. */
  async allow(asked, page = this.page) {
    await this.openConsent(asked, page);
    return this.isAt("/consent/", page) ? this.decide("allow", { page }) : this.callback(page);
  }

  isAt(path, page = this.page) {
    const { origin, pathname } = new URL(page.url());
    return origin === demo.issuer && pathname.startsWith(path);
  }

  /** What `button` would post: the address and the encoded fields, to be posted without leaving the page. */
  async form(button, page = this.page) {
    return page.locator(button).evaluate((submitter) => ({
      action: submitter.form.action,
      fields: new URLSearchParams(new FormData(submitter.form, submitter)).toString(),
    }));
  }

  /** Posts a form with the cookies of this browser, and follows nothing. */
  async post({ action, fields }) {
    const response = await this.context.request.post(action, {
      data: fields,
      headers: { "content-type": "application/x-www-form-urlencoded", origin: demo.issuer },
      maxRedirects: 0,
    });
    return { status: response.status(), location: response.headers().location, text: await response.text() };
  }

  /** The heading of the page that a tab shows. */
  heading(page = this.page) {
    return page.locator("h1").innerText();
  }

  async sessionCookie() {
    const own = sessionCookieName(demo.issuer);
    return (await this.context.cookies(demo.issuer)).find(({ name }) => name === own);
  }

  async leave() {
    await this.context.close();
  }
}
