"""A Doorward server of the suite's own, and its command line."""

import json
import os
import subprocess
from pathlib import Path

from listening import end, free_port

PROGRAM = os.environ["DOORWARD_TEST_PROGRAM"]
LIMIT = 20
"""Seconds that the server may take to end."""


class Doorward:
    """`doorward demo` on a port that stays the same, with its folder at `demo-data`, where the pages expect it."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        bin = folder / "bin"
        bin.mkdir()
        (bin / "doorward").symlink_to(PROGRAM)
        # Each name that begins with DOORWARD_ is a key of its configuration.
        others = {name: value for name, value in os.environ.items() if not name.startswith("DOORWARD_")}
        self.environment = {**others, "ISSUER": self.issuer, "PATH": f"{bin}:{os.environ['PATH']}"}
        self._process = self._start()

    def run(self, script: str) -> str:
        """Runs a shell script beside the server, as a reader of the pages would."""
        done = subprocess.run(
            ["bash", "-euc", script], cwd=self._folder, env=self.environment, capture_output=True, text=True, timeout=60
        )
        if done.returncode != 0:
            raise AssertionError(f"{script}\nended with {done.returncode}: {done.stderr}{done.stdout}")
        return done.stdout

    def create_key(self, scope: str) -> dict:
        return json.loads(self.run(f"doorward key create --name k --api billing --scope {scope} --json --data demo-data"))

    def stop(self) -> None:
        end(self._process, LIMIT)

    def _start(self) -> subprocess.Popen:
        command = ["doorward", "demo", "--port", str(self.port), "--api-port", "0", "--data", "demo-data", "--json"]
        with open(self._folder / "doorward.log", "wb") as log:
            process = subprocess.Popen(
                command, cwd=self._folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log
            )
        # It prints one line, when it is ready.
        if not process.stdout.readline():
            raise AssertionError(f"doorward did not start: {(self._folder / 'doorward.log').read_text()}")
        return process
