"""Authlib against a live demo: what it does for a confidential client (a web application) and for a public one (a
native application on a loopback port of its own), and for a gateway that takes API keys. Then what the metrics say of that."""

import sys
from pathlib import Path

# What the suites in Python share.
sys.path.append(str(Path(__file__).parents[1] / "harness"))

from playwright.sync_api import sync_playwright

from checks import Checks
from confidential import confidential
from gateway import gateway
from loopback import listening
from metrics import metrics
from native import native
from person import Person


def main() -> int:
    checks = Checks()
    with sync_playwright() as playwright, listening() as redirect_uri:
        person = Person(playwright)
        try:
            confidential(checks, person)
            person.forget()
            native(checks, person, redirect_uri)
        finally:
            person.leave()
        gateway(checks)
        metrics(checks)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
