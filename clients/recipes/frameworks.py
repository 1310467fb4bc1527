"""The frameworks, each with its page, and an API that runs the page's listings."""

import http.client
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from answer import Answer
from listening import free_port, wait_for
from pages import DOCS, Page

HERE = Path(__file__).parent
RECIPES = DOCS / "recipes"
BOUND = 8
"""The answers that a cache of this suite holds; the pages say 1,000, and filling so many would take longer than two seconds."""

START_LIMIT = 90
ANSWER_LIMIT = 10
"""Seconds. Recipes wait two seconds for Doorward; a few more pass on a machine that is busy."""


@dataclass(frozen=True)
class Framework:
    name: str
    page: str
    assets: tuple[str, ...] = ()
    """Files and folders of this suite that the page's install command would have created."""
    command: str | None = None
    """How to run it; the page's own command if left out."""
    limits_reads_only: bool = False
    """Whether its two seconds start again with each part of an answer, as the page says."""


FRAMEWORKS = [
    Framework("Flask", "flask.md", limits_reads_only=True),
    Framework("Flask with gunicorn", "flask.md", (), "gunicorn --bind 127.0.0.1:$PORT --threads 8 app:app", True),
    Framework("Flask with waitress", "flask.md", (), "waitress-serve --host 127.0.0.1 --port $PORT app:app", True),
    Framework("FastAPI", "fastapi.md"),
    Framework("Express", "express.md", assets=("node_modules",)),
    Framework("Go", "go.md", assets=("go.mod", "go.sum")),
    Framework("Spring Boot", "spring.md", assets=("pom.xml",), limits_reads_only=True),
]


class Api:
    """The API of a page, running. `start` returns at once; `ready` waits until it listens."""

    def __init__(self, framework: Framework, folder: Path, environment: dict[str, str], address: str) -> None:
        self.name, self.limits_reads_only = framework.name, framework.limits_reads_only
        self.page = Page(RECIPES / framework.page)
        self.port = free_port()
        self.address = address
        """Where this suite calls from: Doorward records a bounded number of one caller's refusals in full."""
        self._folder = folder
        folder.mkdir()
        for name in framework.assets:
            (folder / name).symlink_to(HERE / name)
        for name, text in _with_small_caches(self.page.listings).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        path = f"{Path(sys.executable).parent}:{environment['PATH']}"
        with open(folder / "api.log", "wb") as log:
            self._process = subprocess.Popen(
                ["bash", "-euc", framework.command or self.page.run],
                cwd=folder,
                env={**environment, "PATH": path, "PORT": str(self.port)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def log(self) -> str:
        return (self._folder / "api.log").read_text(encoding="utf-8", errors="replace")

    def ready(self) -> None:
        try:
            wait_for(self.port, self._process, START_LIMIT)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log[-4000:]}") from None

    def call(self, target: str = "/invoices", *headers: tuple[str, str], method: str = "GET") -> Answer:
        """Sends one request as it is written here: the target raw, each header as a line of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, ANSWER_LIMIT, (self.address, 0))
        try:
            connection.putrequest(method, target)
            for name, value in headers:
                connection.putheader(name, value)
            if method == "POST":
                connection.putheader("Content-Length", "0")
            connection.endheaders()
            response = connection.getresponse()
            answered = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, answered, response.read().decode("utf-8"))
        finally:
            connection.close()

    def stop(self) -> None:
        """Ends it. What it started ends with the suite."""
        self._process.terminate()


def _with_small_caches(listings: dict[str, str]) -> dict[str, str]:
    """The listings with a bound that can be reached. It is in one place, or the page would have two."""
    bound = re.compile(r"\b1_?000\b")
    places = sum(len(bound.findall(text)) for text in listings.values())
    if places != 1:
        raise ValueError(f"the page bounds its cache in {places} places")
    return {name: bound.sub(str(BOUND), text) for name, text in listings.items()}
