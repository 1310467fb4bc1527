// What all pages of the suite loaded, said in their headers, and complained about in the console.
//
// Easy to get wrong: Chromium complains about a page whose own status is 4xx, too. That is no fault of the page.

import { demo } from "../harness/checks.mjs";

const OURS = new Set([demo.issuer, new URL(demo.api).origin]);

export class Watch {
  /** URLs that lie elsewhere. */
  elsewhere = [];
  /** Answers that were shown as pages: `url`, `status`, `headers`. */
  documents = [];
  #messages = [];

  /** Listens to all pages of a browser context. */
  over(context) {
    context.on("request", (request) => {
      const url = new URL(request.url());
      if (url.protocol !== "data:" && !OURS.has(url.origin)) this.elsewhere.push(url.href);
    });
    context.on("response", (response) => {
      const [request, status] = [response.request(), response.status()];
      if (!request.isNavigationRequest() || (status >= 300 && status < 400)) return;
      this.documents.push({ url: response.url(), status, headers: response.headers() });
    });
    context.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) {
        this.#messages.push({ url: message.location().url, text: message.text() });
      }
    });
    context.on("weberror", (thrown) => this.#messages.push({ url: "", text: String(thrown.error()) }));
  }

  /** Errors, warnings and violations of a content security policy, in the words of the browser. */
  complaints() {
    const refused = new Set(this.documents.filter(({ status }) => status >= 400).map(({ url }) => url));
    const isOwnStatus = ({ url, text }) => text.startsWith("Failed to load resource") && refused.has(url);
    return this.#messages.filter((message) => !isOwnStatus(message)).map(({ url, text }) => `${url}: ${text}`);
  }
}
