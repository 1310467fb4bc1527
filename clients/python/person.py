"""A person at a browser: headless Chromium, driven by Playwright, who signs in and decides on the real pages.

Easy to get wrong: `page.route` does not see redirects, so the way back to an application can't be intercepted;
something has to listen there. For the confidential client that is the demo's sample app, which redeems no code whose
`state` it does not know.
"""

import os
from collections.abc import Iterable
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Page, Playwright

from demo import TIMEOUT, demo

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
"""Without these Chromium calls home, or needs a display or privileges that a test machine lacks."""


class Person:
    """Someone with a browser of a fresh profile."""

    def __init__(self, playwright: Playwright) -> None:
        executable = os.environ.get("DOORWARD_CHROMIUM", "/usr/bin/chromium")
        self._browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        self._context = self._fresh()

    def forget(self) -> None:
        """Goes on with a browser that has no cookies, so that nobody is signed in."""
        self._context.close()
        self._context = self._fresh()

    def authorize(
        self, url: str, redirect_uri: str, *, untick: Iterable[str] = (), decision: str = "allow"
    ) -> tuple[str, list[str]]:
        """Follows an authorization request until the browser is back at `redirect_uri`, signing in where asked to.

        `untick` names scopes to leave out, `decision` is the id of the button to press. Gives the URL that the browser
        came back with, and which pages were met on the way: `sign-in`, `consent`.
        """
        page = self._context.new_page()
        shown = []
        page.goto(url)
        if _is_at(page, "/sign-in/"):
            shown.append("sign-in")
            page.fill("#username", demo.username)
            page.fill("#password", demo.password)
            page.click("#sign-in")
            page.wait_for_url(lambda there: not urlsplit(there).path.startswith("/sign-in/"))
        if _is_at(page, "/consent/"):
            shown.append("consent")
            for scope in untick:
                page.uncheck(f'[id="scope-{scope}"]')
            page.click(f"#{decision}")
        page.wait_for_url(lambda there: there.startswith(f"{redirect_uri}?"))
        callback = page.url
        page.close()
        return callback, shown

    def leave(self) -> None:
        """Closes the browser."""
        self._browser.close()

    def _fresh(self) -> BrowserContext:
        context = self._browser.new_context()
        context.set_default_timeout(TIMEOUT * 1000)
        return context


def _is_at(page: Page, path: str) -> bool:
    return page.url.startswith(f"{demo.issuer}{path}")
