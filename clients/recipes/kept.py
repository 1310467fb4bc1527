"""What a recipe asks, what of an answer reaches the caller, and how long and how many answers are reused."""

import base64
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from checks import Checks, equal
from frameworks import BOUND, Api
from strange import ALLOWED, Reply, Strange

REUSED = 2
BUSY = 3
"""Seconds: the second is for a machine that is busy."""

REFUSAL = {
    "status": 429,
    "headers": {
        "content-type": "application/problem+json",
        "retry-after": "7",
        "www-authenticate": 'Bearer error="invalid_token", scope="invoices:read"',
        "x-later": "a header that no recipe knows",
    },
    "body": '{"title":"Zu viele Anfragen \u2013 später","trace_id":"0af7651916cd43dd8448eb211c80319c"}',
}


def kept(checks: Checks, apis: list[Api], strange: Strange) -> None:
    with ThreadPoolExecutor(len(apis)) as at_once:
        for reply, check in [
            (Reply(ALLOWED), _question),
            (Reply({"allowed": False, "answer": REFUSAL}), _refusal),
            (Reply(ALLOWED), _reuse),
        ]:
            strange.reply = reply
            list(at_once.map(lambda api: check(checks, api, strange), apis))
    _restart(checks, apis, strange)


def _credential(api: Api, name: str = "kept") -> str:
    """A credential that no other API presents, so that the questions about it are this API's."""
    return f"sk_live_{name}{api.port}"


def _question(checks: Checks, api: Api, strange: Strange) -> None:
    with checks.check(f"{api.name}: asks with its own credential about method, raw target, scopes and four headers only"):
        credential, target = _credential(api, "question"), "/invoices?a=%2Fb%20c&a=%C3%A4+&d"
        passed_on = {"x-api-key": credential, "origin": "https://app.example", "user-agent": "recipes/1"}
        kept_back = {"cookie": "session=1", "x-forwarded-for": "192.0.2.1", "x-mine": "1"}
        headers = (passed_on | kept_back).items()
        [asked] = strange.asked_in(lambda: equal(api.call(target, *headers, method="POST").status, 200), credential)
        question = asked.question
        equal(asked.path, "/v1/requests/verify")
        equal((question["method"], question["uri"], question["scopes"]), ("POST", target, ["invoices:write"]))
        sent = {name: [value] if isinstance(value, str) else value for name, value in question["headers"].items() if value}
        equal(sent, {name: [value] for name, value in passed_on.items()})
        equal(set(question), {"method", "uri", "headers", "scopes", "address"})
        equal(question["address"].removeprefix("::ffff:"), api.address)
        scheme, encoded = asked.headers["authorization"].split(" ")
        client_id, secret = base64.b64decode(encoded).decode().split(":")
        assert scheme == "Basic" and client_id.startswith("cli_") and secret.startswith("dw_cs_"), asked
        assert not {*kept_back, "x-api-key", "origin"} & set(asked.headers), asked.headers


def _refusal(checks: Checks, api: Api, strange: Strange) -> None:
    with checks.check(f"{api.name}: sends on a refusal with its status, headers and bytes, and asks again the next time"):
        credential = _credential(api, "refused")

        def call() -> None:
            answer = api.call("/invoices", ("X-API-Key", credential))
            equal((answer.status, answer.body), (REFUSAL["status"], REFUSAL["body"]))
            equal({name: answer.headers[name] for name in REFUSAL["headers"]}, REFUSAL["headers"])

        for _ in range(2):
            equal(len(strange.asked_in(call, credential)), 1)


def _reuse(checks: Checks, api: Api, strange: Strange) -> None:
    def call(name: str, target: str = "/invoices", scheme: str = "", method: str = "GET") -> int:
        """How often Doorward is asked for one call."""
        credential = _credential(api, name)
        header = ("Authorization", f"{scheme} {credential}") if scheme else ("X-API-Key", credential)
        return len(strange.asked_in(lambda: equal(api.call(target, header, method=method).status, 200), credential))

    def reused(name: str) -> list[int]:
        others = [call(name, "/invoices?page=2"), call(name, method="POST"), call(name, scheme="Bearer"), call(name + "2")]
        return [call(name), call(name), *others]

    with checks.check(f"{api.name}: reuses an answer for the same request only"):
        equal(_in_time(reused), [1, 0, 1, 1, 1, 1])

    def filled(name: str) -> list[int]:
        return [call(name), *(call(name, f"/invoices?bound={page}") for page in range(BOUND)), call(name)]

    with checks.check(f"{api.name}: keeps no more answers than it says"):
        equal(_in_time(filled), [1] * (BOUND + 2))

    with checks.check(f"{api.name}: asks again after two seconds, however often an answer is used"):
        equal(call("prolonged"), 1)
        deadline = time.monotonic() + REUSED + BUSY
        while call("prolonged") == 0:
            assert time.monotonic() < deadline, "the answer is still reused"
            time.sleep(0.02)


def _restart(checks: Checks, apis: list[Api], strange: Strange) -> None:
    def call(api: Api, name: str) -> int:
        return api.call("/invoices", ("X-API-Key", _credential(api, name))).status

    equal({call(api, "before") for api in apis}, {200})
    strange.close_connections()
    for api in apis:
        with checks.check(f"{api.name}: no request fails because Doorward has closed an idle connection"):
            equal(call(api, "after"), 200)


def _in_time(calls: Callable[[str], list[int]]) -> list[int]:
    """What calls count that follow each other within two seconds. A busy machine gets several chances."""
    for attempt in range(10):
        start = time.monotonic()
        counted = calls(f"{calls.__name__}{attempt}x")
        if time.monotonic() - start < REUSED:
            return counted
    raise AssertionError("the calls take too long")
