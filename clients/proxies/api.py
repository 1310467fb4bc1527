"""An API that runs a recipe, behind a proxy."""

import os
import subprocess
import sys
from pathlib import Path

from caller import call
from checks import Checks, equal
from doorward import Doorward
from listening import free_port, wait_for
from pages import DOCS, Page
from proxies import Proxy, Running, placed

START_LIMIT = 30


def behind(checks: Checks, proxy: Proxy, files: dict[str, str], folder: Path, certificate: Path) -> None:
    port = free_port()
    doorward = Doorward(folder, placed(files["http.toml"], 0, folder, certificate, port), port)
    scopes = ["--scope", "invoices:read=Read your invoices", "--scope", "invoices:write=Write invoices"]
    api = doorward.json("api", "create", "--name", "billing", "--identifier", "https://billing.example.com", *scopes)
    key = doorward.json("key", "create", "--name", "k", "--api", "billing", "--scope", "invoices:read")
    process, api_port = _start(folder, doorward, api)
    try:
        running = Running(proxy, files[proxy.file], folder / "proxy", certificate, api_port)
        try:
            _check(checks, proxy, doorward, key, running.port, certificate)
        finally:
            running.stop()
    finally:
        process.terminate()
        doorward.stop()


def _start(folder: Path, doorward: Doorward, api: dict) -> tuple[subprocess.Popen, int]:
    port = free_port()
    page = Page(DOCS / "recipes" / "flask.md")
    for name, text in page.listings.items():
        (folder / name).write_text(text, encoding="utf-8")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PORT": str(port),
        "AUTH_SERVER": f"http://127.0.0.1:{doorward.port}",
        "API_CLIENT_ID": api["client_id"],
        "API_CLIENT_SECRET": api["client_secret"],
    }
    with open(folder / "api.out", "wb") as log:
        command = ["bash", "-euc", f"exec {page.run}"]
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    wait_for(port, process, START_LIMIT)
    return process, port


def _check(checks: Checks, proxy: Proxy, doorward: Doorward, key: dict, port: int, certificate: Path) -> None:
    def ask(target: str, *headers: tuple[str, str], method: str = "GET"):
        body = "" if method == "POST" else None
        return call(port, target, *headers, host="billing.example.com", certificate=certificate, method=method, body=body)

    credential = ("X-API-Key", key["secret"])
    with checks.check(f"API behind {proxy.name}: a key in either header passes"):
        for header in (credential, ("Authorization", f"Bearer {key['secret']}")):
            answer = ask("/invoices?q=%2F%3F%20%C3%A4", header)
            equal((answer.status, answer.json()), (200, {"caller": key["id"]}))

    with checks.check(f"API behind {proxy.name}: refusals come back whole"):
        for method, headers, status in (("GET", (), 401), ("POST", (credential,), 403)):
            answer = ask("/invoices", *headers, method=method)
            equal((answer.status, answer.headers["content-type"]), (status, "application/problem+json"))
            assert answer.headers["www-authenticate"].startswith("Bearer"), answer
            equal(answer.json()["trace_id"], answer.headers["doorward-trace-id"])
            details = doorward.explain(answer.json()["trace_id"])["details"]
            equal((details["method"], details["path"]), (method, "/invoices"))

    with checks.check(f"API behind {proxy.name}: two credentials, and one in the URL, are refused"):
        equal(ask(f"/invoices?api_key={key['secret']}", credential).status, 400)
        for headers in ((credential, credential), (credential, ("X-API-Key", "b")), (("X-API-Key", "a"), credential)):
            assert ask("/invoices", *headers).status in (400, 401), headers
