"""Doorward behind a proxy: clients see one server, Doorward sees the clients."""

import base64
import socket
from pathlib import Path
from urllib.parse import urlencode

from answer import Answer
from caller import ADDRESS, call
from checks import Checks, equal
from doorward import ISSUER, Doorward
from listening import free_port
from proxies import Proxy, Running, placed

SPOOFED = (("X-Forwarded-For", "198.51.100.7"), ("Forwarded", "for=198.51.100.8"))
SECRET = "dw_at_never-log-this"


def behind(checks: Checks, proxy: Proxy, files: dict[str, str], folder: Path, certificate: Path) -> None:
    port = free_port()
    doorward = Doorward(folder, placed(files[proxy.listen], 0, folder, certificate, port), port)
    running = Running(proxy, files[proxy.file], folder / "proxy", certificate, port)

    def ask(target: str, *headers: tuple[str, str], **more: str) -> Answer:
        return call(running.port, target, *headers, certificate=certificate, **more)

    try:
        _public(checks, proxy, ask, doorward)
        _addresses(checks, proxy, ask, doorward)
        _credentials(checks, proxy, ask, running)
        doorward.stop()
        _stopped(checks, proxy, ask)
    finally:
        running.stop()
        doorward.stop()


def _public(checks: Checks, proxy: Proxy, ask, doorward: Doorward) -> None:
    with checks.check(f"{proxy.name}: metadata and redirects lead to the issuer"):
        metadata = ask("/.well-known/openid-configuration").json()
        equal((metadata["issuer"], metadata["token_endpoint"]), (ISSUER, f"{ISSUER}/token"))
        redirect = ask("/account")
        assert redirect.status in (302, 303) and redirect.headers["location"].startswith(("/", ISSUER)), redirect

    with checks.check(f"{proxy.name}: a client gets a token"):
        scope, api = "invoices:read", "https://billing.example.com"
        doorward.run("api", "create", "--name", "billing", "--identifier", api, "--scope", f"{scope}=Read your invoices")
        options = ["--grant", "client_credentials", "--scope", scope, "--default-scope", scope]
        client = doorward.json("client", "create", "--name", "c", *options)
        basic = base64.b64encode(f"{client['client_id']}:{client['client_secret']}".encode()).decode()
        answer = ask("/token", ("Authorization", f"Basic {basic}"), method="POST", body="grant_type=client_credentials")
        equal((answer.status, answer.json()["token_type"]), (200, "Bearer"))

    with checks.check(f"{proxy.name}: the longest state comes back"):
        back, state = "https://app.example/callback", "s" * 4096
        options = ["--grant", "authorization_code", "--scope", "openid", "--redirect-uri", back]
        client = doorward.json("client", "create", "--name", "app", *options)
        query = {"client_id": client["client_id"], "redirect_uri": back, "response_type": "code", "scope": "openid"}
        query |= {"prompt": "none", "state": state, "code_challenge": "c" * 43, "code_challenge_method": "S256"}
        answer = ask(f"/authorize?{urlencode(query)}")
        assert answer.status == 303 and state in answer.headers["location"], answer.status


def _addresses(checks: Checks, proxy: Proxy, ask, doorward: Doorward) -> None:
    with checks.check(f"{proxy.name}: the audit has the client's address, whatever the client claims"):
        for headers in ((), SPOOFED[:1], SPOOFED[1:], SPOOFED):
            trace_id = ask("/userinfo", *headers).json()["trace_id"]
            equal(doorward.explain(trace_id)["address"], ADDRESS)

    if proxy.speaks_http:
        with checks.check(f"{proxy.name}: who calls around the proxy can claim no address either"):
            trace_id = call(doorward.port, "/userinfo", *SPOOFED).json()["trace_id"]
            equal(doorward.explain(trace_id)["address"], ADDRESS)
    else:
        with checks.check(f"{proxy.name}: a connection of the proxy without the PROXY protocol is closed"):
            with socket.create_connection(("127.0.0.1", doorward.port), 10) as connection:
                connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: auth.example.com\r\n\r\n")
                try:
                    equal(connection.recv(1), b"")
                except ConnectionResetError:
                    pass
            doorward.run("health")


def _credentials(checks: Checks, proxy: Proxy, ask, running: Running) -> None:
    with checks.check(f"{proxy.name}: two credentials reach Doorward, which refuses them"):
        for headers in (
            (("X-API-Key", "a"), ("X-API-Key", "b")),
            (("Authorization", "Bearer a"), ("X-API-Key", "a")),
        ):
            answer = ask("/userinfo", *headers)
            equal((answer.status, answer.json()["code"]), (400, "credential_multiple"))
        # nginx refuses this one itself.
        equal(ask("/userinfo", ("Authorization", "Bearer a"), ("Authorization", "Bearer b")).status, 400)

    with checks.check(f"{proxy.name}: a credential in the URL is refused, and is in no log of the proxy"):
        answer = ask(f"/userinfo?access_token={SECRET}", ("X-API-Key", SECRET))
        equal(answer.status, 400)
        equal(ask(f"/userinfo?access_token={SECRET}").json()["code"], "credential_in_query")
        # A proxy may have another log for requests that name another host.
        for authority in ("auth.example.com", "other.example.com"):
            ask(f"/userinfo?access_token={SECRET}", authority=authority)
        if proxy.speaks_http:
            assert "/userinfo" in running.log, running.log
        assert SECRET not in running.log, running.log


def _stopped(checks: Checks, proxy: Proxy, ask) -> None:
    if proxy.speaks_http:
        with checks.check(f"{proxy.name}: while Doorward is stopped, clients get a problem document"):
            answer = ask("/userinfo")
            equal((answer.status, answer.headers["content-type"]), (503, "application/problem+json"))
            equal((answer.headers["retry-after"], answer.json()["status"]), ("1", 503))
    else:
        with checks.check(f"{proxy.name}: while Doorward is stopped, connections are closed"):
            try:
                answer = ask("/userinfo")
            except OSError:
                return
            raise AssertionError(answer)
