"""The recipes of `docs/recipes`: each page's listings run as an API, against Doorward and against whatever may be in its
place."""

import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# What the suites in Python share.
sys.path.append(str(Path(__file__).parents[1] / "harness"))

import httpx

from broken import broken
from checks import Checks, equal
from doorward import Doorward
from frameworks import FRAMEWORKS, RECIPES, Api
from kept import kept
from pages import Page
from refused import refused
from revoked import revoked

HERE = Path(__file__).parent
MOST_LINES = 30
"""A longer listing means that the HTTP interface asks too much of an API."""


def main() -> int:
    checks = Checks()
    folder = Path(os.environ["TMPDIR"])
    introduction = Page(RECIPES / "README.md")
    pages(checks, introduction)
    doorward = Doorward(folder)
    try:
        run(checks, folder, doorward, introduction)
    finally:
        doorward.stop()
    return checks.finish()


def run(checks: Checks, folder: Path, doorward: Doorward, introduction: Page) -> None:
    register, load, explain = introduction.shell
    doorward.run(register)
    names = "AUTH_SERVER API_CLIENT_ID API_CLIENT_SECRET TRIAL"
    values = doorward.run(load + f'for name in {names}; do echo "${{!name}}"; done').split()
    environment = {**doorward.environment, **dict(zip(names.split(), values, strict=True))}
    apis = [Api(framework, folder / f"api-{at}", environment, f"127.0.0.{at + 2}") for at, framework in enumerate(FRAMEWORKS)]
    try:
        with ThreadPoolExecutor(len(apis)) as at_once:
            list(at_once.map(Api.ready, apis))
        with checks.check("the introduction's commands explain a refusal"):
            explained = doorward.run(load + f"PORT={apis[0].port}\n" + explain)
            assert "credential_missing" in explained and "GET /invoices" in explained, explained
        examples(checks, introduction, environment)
        refused(checks, apis, doorward, environment)
        revoked(checks, apis, doorward)
        doorward.stop()
        strange = broken(checks, apis, doorward.port)
        kept(checks, apis, strange)
    finally:
        for api in apis:
            if checks.has_failed:
                print(f"---- {api.name}\n{api.log[-3000:]}")
            api.stop()


def pages(checks: Checks, introduction: Page) -> None:
    with checks.check("the introduction and the folder name the same recipes"):
        linked = set(re.findall(r"\]\((\w+\.md)\)", introduction.text))
        equal(linked | {"README.md"}, set(os.listdir(RECIPES)))
        equal({framework.page for framework in FRAMEWORKS}, linked)
    for name in sorted(linked):
        with checks.check(f"{name}: no listing has more than {MOST_LINES} lines of at most 120 characters"):
            page = Page(RECIPES / name)
            for file, text in page.listings.items():
                lines = text.splitlines()
                assert len(lines) <= MOST_LINES and max(map(len, lines)) <= 120, f"{file}: {len(lines)} lines"

        with checks.check(f"{name}: this suite pins what the page installs"):
            pinned = "".join((HERE / file).read_text() for file in ("requirements.in", "package.json", "go.mod", "pom.xml"))
            equal([package for package in page.installs if package not in pinned], [])


def examples(checks: Checks, introduction: Page, environment: dict[str, str]) -> None:
    with checks.check("the introduction's examples have the members of real ones"):
        question = introduction.json("question")
        for role, scopes in (("allowed", ["invoices:read"]), ("refused", ["invoices:write"])):
            question["headers"]["x-api-key"], question["scopes"] = environment["TRIAL"], scopes
            answer = httpx.post(
                f"{environment['AUTH_SERVER']}/v1/requests/verify",
                json=question,
                auth=(environment["API_CLIENT_ID"], environment["API_CLIENT_SECRET"]),
            ).json()
            example = introduction.json(role)
            equal(set(answer), set(example))
            inner = "principal" if role == "allowed" else "answer"
            assert set(example[inner]) <= set(answer[inner]), answer


if __name__ == "__main__":
    sys.exit(main())
