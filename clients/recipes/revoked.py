"""A revoked key stops within the time that an answer is reused, two seconds, and the second that Doorward takes itself."""

import time

from checks import Checks, equal
from doorward import Doorward
from frameworks import Api

REUSED = 2
REFUSED_BY_DOORWARD = 1
BUSY = 2
"""Seconds for a machine that is busy."""


def revoked(checks: Checks, apis: list[Api], doorward: Doorward) -> None:
    key = doorward.create_key("invoices:read")
    credential = ("X-API-Key", key["secret"])
    for api in apis:
        with checks.check(f"{api.name}: a key passes before it is revoked"):
            equal(api.call("/invoices", credential).status, 200)
    doorward.run(f"doorward key revoke {key['id']} --data demo-data")
    deadline = time.monotonic() + REUSED + REFUSED_BY_DOORWARD + BUSY
    for api in apis:
        with checks.check(f"{api.name}: a revoked key is refused when its answer is no longer reused"):
            # Calls go on all the while: reusing an answer does not prolong it.
            while (answer := api.call("/invoices", credential)).status == 200 and time.monotonic() < deadline:
                time.sleep(0.05)
            equal((answer.status, answer.json()["code"]), (401, "key_revoked"))
