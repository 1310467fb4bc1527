"""The description is one that every tool can read. schemathesis: for every operation, requests that its schema allows and
requests that it does not."""

import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

from checks import Checks
from managed import Managed
from openapi_spec_validator import validate

LIMIT = 400
"""Seconds for all operations of a server."""

# Whether a body that fits the schema is accepted is not for the schema alone: names are taken, scopes unknown.
LEFT_OUT = "positive_data_acceptance"

EXAMPLES = "15"
"""Requests for each operation and kind of test, beside those for each boundary."""


def description(checks: Checks, server: Managed) -> None:
    with checks.check("description is valid OpenAPI"), urllib.request.urlopen(server.description, timeout=20) as answer:
        validate(json.load(answer))


def properties(checks: Checks, server: Managed) -> None:
    with checks.check(f"no operation answers outside its schema on {server.name}"):
        command = [Path(sys.executable).with_name("schemathesis"), "run", server.description]
        command += ["--header", f"Authorization: Bearer {server.key}", "--exclude-checks", LEFT_OUT]
        command += ["--max-examples", EXAMPLES, "--seed", "1", "--generation-deterministic", "--no-color"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
        if done.returncode != 0:
            raise AssertionError(f"schemathesis ended with {done.returncode}:\n{done.stdout[-8000:]}{done.stderr[-2000:]}")
        tested = re.search(r"Tested: +(\d+)", done.stdout)
        if not tested or int(tested[1]) < 20:
            raise AssertionError(f"few operations were tested:\n{done.stdout[-4000:]}")
