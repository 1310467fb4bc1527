"""The page's commands and receivers, run against the demo as a reader would."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from listening import free_port, wait_for
from pages import Page

LIMIT = 20
"""Seconds that anything may take."""

HERE = Path(__file__).parent

T = TypeVar("T")


@dataclass(frozen=True)
class Language:
    name: str
    file: str
    command: list[str]


RECEIVERS = [
    Language("Node.js", "receiver.mjs", ["node", "receiver.mjs"]),
    Language("Python", "receiver.py", [sys.executable, "receiver.py"]),
]


class Followed:
    """An endpoint that was registered by the page's commands, with one of the page's receivers behind it."""

    def __init__(self, page: Page, language: Language) -> None:
        self.folder = Path(os.environ["TMPDIR"]) / language.file.replace(".", "-")
        self.folder.mkdir()
        (self.folder / language.file).write_text(page.listings[language.file], encoding="utf-8")
        # What the page's install command would have created.
        (self.folder / "node_modules").symlink_to(HERE / "node_modules")
        self.port = free_port()
        self.register, self.try_it, self.change = page.shell
        demo = json.loads(Path(os.environ["DOORWARD_DEMO_JSON"]).read_text(encoding="utf-8"))
        # Each name that begins with DOORWARD_ is a key of its configuration.
        others = {name: value for name, value in os.environ.items() if not name.startswith("DOORWARD_")}
        program = Path(os.environ["DOORWARD_TEST_PROGRAM"])
        path = f"{program.parent}{os.pathsep}{others['PATH']}"
        self.environment = others | {"DOORWARD_DATA": demo["data"], "PATH": path, "URL": f"http://localhost:{self.port}/hook"}
        ids = self._shell(self.register + 'echo "$WEBHOOK_ID $WEBHOOK_SECRET"').split()
        self.id, secret = ids[-2:]
        self.environment |= {"WEBHOOK_ID": self.id, "WEBHOOK_SECRET": secret}
        self.log = self.folder / "log"
        # Python's own server prints a line for each request to standard error.
        self.process = subprocess.Popen(
            language.command,
            cwd=self.folder,
            env=self.environment | {"PORT": str(self.port)},
            stdout=self.log.open("wb"),
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self) -> Self:
        wait_for(self.port, self.process, LIMIT)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.process.kill()
        self.process.wait()

    def _shell(self, commands: str) -> str:
        done = subprocess.run(
            ["bash", "-euc", commands], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=LIMIT
        )
        if done.returncode != 0:
            raise AssertionError(f"{commands}\nended with {done.returncode}: {done.stderr}")
        return done.stdout

    def doorward(self, *arguments: str) -> dict | list:
        words = " ".join(f"'{argument}'" for argument in arguments)
        return json.loads(self._shell(f"doorward webhook {words} --json"))

    def test(self) -> str:
        """Runs the page's commands that send a test and list deliveries; gives the id of the newest event."""
        sent = re.search(r"^(evt_\w+) is on its way", self._shell(self.try_it), re.M)
        assert sent, "the command names the event"
        return sent[1]

    def rotate(self) -> None:
        self._shell(self.change)

    def delivery(self, id: str, state: str, attempts: int = 1) -> dict:
        """The delivery, once it is in the state after so many attempts that are not under way."""

        def there() -> dict | None:
            found = [one for one in self.doorward("deliveries", self.id) if one["id"] == id]
            is_it = found and found[0]["state"] == state and found[0]["attempts"] >= attempts
            return found[0] if is_it and (found[0]["last_status"] is not None) else None

        return self._eventually(there, f"{id} is {state}")

    def printed(self, count: int) -> list[tuple[str, str, dict]]:
        """The id, the type and the data of each message that the receiver accepted, once there are so many."""

        def there() -> list[tuple[str, str, dict]] | None:
            lines = [line.split(" ", 2) for line in self.log.read_text(encoding="utf-8").splitlines()]
            return [(id, type, json.loads(data)) for id, type, data in lines] if len(lines) >= count else None

        return self._eventually(there, f"{count} messages")

    def forged(self) -> tuple[int, int]:
        """What the receiver answers to a message without a signature of its secret."""
        now = str(int(time.time()))
        return self._post({"webhook-id": "evt_1", "webhook-timestamp": now, "webhook-signature": "v1,AAAA"}), self._post({})

    def _post(self, headers: dict[str, str]) -> int:
        request = urllib.request.Request(self.environment["URL"], b"{}", headers)
        try:
            with urllib.request.urlopen(request, timeout=LIMIT) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    @staticmethod
    def _eventually(there: Callable[[], T | None], what: str) -> T:
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            if (found := there()) is not None:
                return found
            time.sleep(0.1)
        raise AssertionError(f"not within {LIMIT} s: {what}")
