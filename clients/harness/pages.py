"""The fenced blocks of a page, so that what is tested is what readers copy.

A block's first line names its language and its role: ```python file="app.py"```, ```sh run```.
"""

import json
import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


class Page:
    def __init__(self, path: Path) -> None:
        self.text = path.read_text(encoding="utf-8")
        blocks = re.findall(r"^```(\w+)(?: ([^\n]+))?\n(.*?)^```$", self.text, re.M | re.S)
        self.shell = [body for language, role, body in blocks if language == "sh" and not role]
        self._roles = {role: body for language, role, body in blocks if role}

    @property
    def listings(self) -> dict[str, str]:
        """The files of the page by name."""
        named = {re.fullmatch('file="([^"]+)"', role): body for role, body in self._roles.items()}
        return {match[1]: body for match, body in named.items() if match}

    def block(self, role: str) -> str:
        return self._roles[role]

    def json(self, role: str) -> dict:
        return json.loads(self._roles[role])

    @property
    def installs(self) -> list[str]:
        """The packages that the page's commands install."""
        commands = self._roles.get("install", "").splitlines()
        return [package for command in commands if "init" not in command for package in command.split()[2:]]

    @property
    def run(self) -> str:
        """The command that runs the API until it is ended."""
        return self._roles["run"]

    @property
    def calls(self) -> list[tuple[str, int]]:
        """The calls that the page shows, each with the status that it promises."""
        lines = re.findall(r"^(curl .+?)\s+# → (\d{3})$", self._roles["calls"], re.M)
        if len(lines) != len(self._roles["calls"].splitlines()):
            raise ValueError("each call of a page promises a status")
        return [(command, int(status)) for command, status in lines]
