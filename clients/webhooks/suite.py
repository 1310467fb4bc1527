"""The guide about webhooks: its receivers run with the libraries of Standard Webhooks, and its commands send to them. The
libraries know nothing of Doorward, so what they accept is signed as others expect."""

import json
import sys
from pathlib import Path

# What the suites in Python share.
sys.path.append(str(Path(__file__).parents[1] / "harness"))

from checks import Checks, equal
from following import RECEIVERS, Followed, Language
from pages import DOCS, Page

HERE = Path(__file__).parent


def main() -> int:
    checks = Checks()
    page = Page(DOCS / "guide" / "webhooks.md")
    pins(checks, page)
    for language in RECEIVERS:
        follow(checks, page, language)
    return checks.finish()


def pins(checks: Checks, page: Page) -> None:
    with checks.check("the suite pins what the page installs"):
        pinned = json.loads((HERE / "package.json").read_text(encoding="utf-8"))["dependencies"]
        equal(page.block("install node").split()[2:], list(pinned))
        lines = (HERE / "requirements.in").read_text(encoding="utf-8").splitlines()
        names = [line.split("==")[0] for line in lines if not line.startswith("#")]
        equal(page.block("install python").split()[2:], names)


def follow(checks: Checks, page: Page, language: Language) -> None:
    """Follows the page from its first command to its last, with one of its receivers."""
    def check(promise: str):
        return checks.check(f"{language.name}: {promise}")

    with Followed(page, language) as followed:
        with check("the page's receiver accepts a test event, and prints what it is about"):
            followed.test()
            id, type, data = followed.printed(1)[0]
            equal((type, data), ("webhook.test", {"webhook_id": followed.id}))
            equal(followed.delivery(id, "delivered")["last_status"], 204)

        with check("it gets the same event with the same id when it is replayed"):
            followed.doorward("replay", followed.id, id)
            equal([message[0] for message in followed.printed(2)], [id, id])

        with check("it refuses messages without a signature of its secret"):
            equal(followed.forged(), (401, 401))

        with check("it still accepts messages while the old secret signs as well"):
            followed.rotate()
            followed.test()
            followed.printed(3)

        with check("it refuses what the old secret does not sign any more, which is tried again"):
            followed.doorward("rotate-secret", followed.id, "--overlap", "0s")
            refused = followed.delivery(followed.test(), "waiting", attempts=1)
            equal((refused["last_status"], refused["last_error"]), (401, "the endpoint answered 401"))
            equal(len(followed.printed(3)), 3)


if __name__ == "__main__":
    sys.exit(main())
