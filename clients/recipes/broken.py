"""Nobody passes while Doorward is stopped, silent, or answers what is no verdict."""

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from answer import Answer
from checks import Checks, equal
from frameworks import Api
from strange import ALLOWED, Reply, Strange

PRINCIPAL = ALLOWED["principal"]
REFUSAL = {"status": 401, "headers": {}, "body": "{}"}
NO_VERDICTS = [
    Reply(ALLOWED, 500),
    Reply(ALLOWED, 401),
    Reply(ALLOWED, 201),
    Reply("", 204),
    Reply(ALLOWED, 307, {"Location": "/v1/requests/verify"}),
    Reply(""),
    Reply("<html>allowed</html>", 200, {"Content-Type": "text/html"}),
    Reply('{"allowed": true'),
    Reply("null"),
    Reply([ALLOWED]),
    Reply({}),
    Reply({"allowed": True}),
    Reply({"allowed": True, "principal": None}),
    Reply({"allowed": True, "principal": {}}),
    Reply({"allowed": "true", "principal": PRINCIPAL}),
    Reply({"allowed": 1, "principal": PRINCIPAL}),
    Reply({"allowed": None, "principal": PRINCIPAL}),
    Reply({"allowed": False, "principal": PRINCIPAL}),
    Reply({"allowed": False, "answer": {}}),
    Reply({"allowed": False, "answer": None}),
    Reply({"allowed": False, "answer": {**REFUSAL, "status": None}}),
    Reply({"allowed": False, "answer": {**REFUSAL, "status": "401"}}),
    Reply({"allowed": False, "answer": {**REFUSAL, "headers": None}}),
    Reply({"allowed": False, "answer": {**REFUSAL, "body": None}}),
]


def broken(checks: Checks, apis: list[Api], port: int) -> Strange:
    """Returns the last server in Doorward's place, which still runs."""
    with ThreadPoolExecutor(len(apis)) as at_once:

        def unavailable(when: str, call: Callable[[Api], Answer], asked: list[Api] = apis) -> None:
            """All at once, since each waits for two seconds at most."""
            answers = [at_once.submit(call, api) for api in asked]
            for api, answer in zip(asked, answers, strict=True):
                with checks.check(f"{api.name}: {when}: 503"):
                    _assert_unavailable(answer.result())

        unavailable("Doorward is stopped", _call)
        with _black_hole(port):
            unavailable("no connection to Doorward comes about", _call)
        strange = Strange(port)
        unavailable("Doorward accepts connections and is silent", _call)
        for reply in NO_VERDICTS:
            strange.reply = reply
            before = len(strange.asked)
            unavailable(f"Doorward answers {reply.status} {reply.body!r:.60}", _call)
            with checks.check("all APIs had that answer"):
                equal(len(strange.asked) - before, len(apis))
        strange.reply = Reply(ALLOWED, pause=0.2)
        unavailable("an answer drips", _call, [api for api in apis if not api.limits_reads_only])
    for api in apis:
        with checks.check(f"{api.name}: the log says why"):
            assert "Doorward cannot verify requests" in api.log, api.log
    return strange


def _call(api: Api) -> Answer:
    return api.call("/invoices", ("X-API-Key", "sk_live_strange"))


def _assert_unavailable(answer: Answer) -> None:
    equal((answer.status, answer.headers["content-type"]), (503, "application/problem+json"))
    equal((answer.headers["retry-after"], answer.json()["status"]), ("1", 503))
    assert answer.json()["title"], answer


def _black_hole(port: int) -> ExitStack:
    """A port whose queue of connections is full: the system drops further ones without an answer."""
    held = ExitStack()
    listener = held.enter_context(socket.create_server(("127.0.0.1", port), backlog=0))
    for _ in range(2):
        client = held.enter_context(socket.socket())
        client.setblocking(False)
        client.connect_ex(listener.getsockname())
    return held
