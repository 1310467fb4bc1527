"""Keys of the demo, by the command line beside its running server."""

import json
import os
import subprocess
from pathlib import Path

LIMIT = 20
"""Seconds that a command may take."""


def create_key(*arguments: str) -> dict:
    """The new key, and its id."""
    return _key("create", "--name", "of a suite", *arguments)


def revoke_key(id: str) -> None:
    _key("revoke", id)


def _key(verb: str, *arguments: str) -> dict:
    demo = json.loads(Path(os.environ["DOORWARD_DEMO_JSON"]).read_text(encoding="utf-8"))
    # Each name that begins with DOORWARD_ is a key of its configuration.
    others = {name: value for name, value in os.environ.items() if not name.startswith("DOORWARD_")}
    command = [os.environ["DOORWARD_TEST_PROGRAM"], "key", verb, *arguments, "--json", "--data", demo["data"]]
    done = subprocess.run(command, env=others, capture_output=True, text=True, timeout=LIMIT)
    if done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)
