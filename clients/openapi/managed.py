"""Servers that are managed over HTTP, each with a key for it."""

import contextlib
import json
import os
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from listening import end, free_port, wait_for

LIMIT = 20
"""Seconds that a command may take."""

@dataclass
class Managed:
    """A server, and a key that may do everything there."""

    name: str
    issuer: str
    key: str

    @property
    def description(self) -> str:
        return f"{self.issuer}/openapi.json"


def demo() -> Managed:
    line = json.loads(Path(os.environ["DOORWARD_DEMO_JSON"]).read_text(encoding="utf-8"))
    return Managed("SQLite", line["issuer"], _key("--data", line["data"]))


@contextmanager
def on_postgres() -> Iterator[Managed]:
    """A server on a PostgreSQL of its own."""
    port = free_port()
    issuer = f"http://localhost:{port}"
    folder = Path(tempfile.mkdtemp(prefix="doorward-managed-"))
    _run("init", "--dir", str(folder), "--issuer", issuer)
    config = folder / "doorward.toml"
    os.environ["DOORWARD_DATA__POSTGRES"] = os.environ["DOORWARD_TEST_POSTGRES"]
    command = [os.environ["DOORWARD_TEST_PROGRAM"], "serve", "--config", str(config)]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, env=_environment(), stdout=log, stderr=log)
    try:
        wait_for(port, server, LIMIT)
        _wait_until_ready(issuer)
        yield Managed("PostgreSQL", issuer, _key("--config", str(config)))
    finally:
        end(server, LIMIT)


def _wait_until_ready(issuer: str) -> None:
    """It listens before its management API exists."""
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{issuer}/health/ready") as answer:
            if answer.status == 200:
                return
        time.sleep(0.05)
    raise AssertionError(f"{issuer} is not ready after {LIMIT} s")


def _key(*place: str) -> str:
    printed = _run("key", "create", "--name", "of a suite", "--api", "doorward", "--all-scopes", "--json", *place)
    return json.loads(printed)["secret"]


def _run(*arguments: str) -> str:
    command = [os.environ["DOORWARD_TEST_PROGRAM"], *arguments]
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True, timeout=LIMIT)
    if done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def _environment() -> dict[str, str]:
    """Without what is ours alone: each name that begins with DOORWARD_ is a key of a configuration."""
    ours = ("DOORWARD_TEST_", "DOORWARD_DEMO_", "DOORWARD_CHROMIUM")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}
