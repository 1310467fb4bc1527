"""A Doorward server behind a proxy: `doorward init`, the page's `[listen]`, `doorward serve`."""

import json
import os
import subprocess
from pathlib import Path

from listening import end, wait_for

ISSUER = "https://auth.example.com"
PROGRAM = os.environ["DOORWARD_TEST_PROGRAM"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("DOORWARD_")}
"""Without the suite's own variables: for Doorward each name that begins so is a key of its configuration."""

LIMIT = 20
"""Seconds that the server may take to start or to end."""


class Doorward:
    """A server with a folder of its own, which listens as the page says."""

    def __init__(self, folder: Path, listen: str, port: int) -> None:
        self.port = port
        self._config = folder / "auth" / "doorward.toml"
        _run("init", "--dir", str(folder / "auth"), "--issuer", ISSUER)
        text = self._config.read_text(encoding="utf-8")
        if text.count("\n[listen]\n") != 1:
            raise AssertionError("`init` writes one table `listen`")
        self._config.write_text(text.replace("\n[listen]\n", f"\n{listen}\n"), encoding="utf-8")
        self.run("config", "check")
        with open(folder / "doorward.log", "wb") as log:
            command = [PROGRAM, "serve", "--config", str(self._config)]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=ENVIRONMENT)
        wait_for(port, self._process, LIMIT)

    def run(self, *arguments: str) -> str:
        return _run(*arguments, "--config", str(self._config))

    def json(self, *arguments: str) -> object:
        return json.loads(self.run(*arguments, "--json"))

    def explain(self, trace_id: str) -> dict:
        """The one event that is known by this id."""
        [event] = self.json("explain", trace_id)
        return event

    def stop(self) -> None:
        end(self._process, LIMIT)


def _run(*arguments: str) -> str:
    command = [PROGRAM, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, env=ENVIRONMENT)
    if done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}: {done.stderr}{done.stdout}")
    return done.stdout
