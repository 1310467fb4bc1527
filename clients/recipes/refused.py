"""What a caller gets while Doorward runs: the principal, or Doorward's own refusal, unchanged."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor

from checks import Checks, equal
from doorward import Doorward
from frameworks import Api

UNKNOWN = "sk_live_000000000000000000000000000000002UYg5A"
MISTYPED = UNKNOWN[:-1] + "x"


def refused(checks: Checks, apis: list[Api], doorward: Doorward, environment: dict[str, str]) -> None:
    key = doorward.create_key("invoices:read")

    def one(api: Api) -> None:
        _calls(checks, api, environment)
        _principal(checks, api, key)
        _refusals(checks, api, key["secret"], doorward)
        _in_a_page(checks, api, key["secret"])
        _ambiguous(checks, api, key["secret"])

    with ThreadPoolExecutor(len(apis)) as at_once:
        list(at_once.map(one, apis))


def _calls(checks: Checks, api: Api, environment: dict[str, str]) -> None:
    for command, status in api.page.calls:
        with checks.check(f"{api.name}: the page's call is answered {status}"):
            script = {"args": ["bash", "-euc", command], "env": {**environment, "PORT": str(api.port)}}
            done = subprocess.run(**script, capture_output=True, text=True, timeout=20, check=True)
            equal(done.stdout.split()[1], str(status))


def _principal(checks: Checks, api: Api, key: dict) -> None:
    with checks.check(f"{api.name}: a key in either header, or an encoded target, reaches the handler with its principal"):
        for target, header in [
            ("/invoices", ("X-API-Key", key["secret"])),
            ("/invoices", ("authorization", f"bearer {key['secret']}")),
            ("/invoices?page=2&q=%2F%3F%26%20%C3%A4&q=", ("x-api-key", key["secret"])),
        ]:
            answer = api.call(target, header)
            equal((answer.status, answer.json()), (200, {"caller": key["id"]}))


def _refusals(checks: Checks, api: Api, key: str, doorward: Doorward) -> None:
    for what, method, header, status, code, challenge in [
        ("no credential", "GET", (), 401, "credential_missing", "Bearer"),
        ("an unknown key", "GET", [("X-API-Key", UNKNOWN)], 401, "key_unknown", 'error="invalid_token"'),
        ("a mistyped key", "GET", [("X-API-Key", MISTYPED)], 401, "key_mistyped", 'error="invalid_token"'),
        ("Basic", "GET", [("Authorization", "Basic YTpi")], 401, "credential_malformed", 'error="invalid_token"'),
        ("a missing scope", "POST", [("X-API-Key", key)], 403, "insufficient_scope", 'scope="invoices:write"'),
    ]:
        with checks.check(f"{api.name}: {what} is answered {status} with challenge, problem document and trace id"):
            answer = api.call("/invoices?page=2", *header, method=method)
            problem = answer.json()
            equal((answer.status, problem["status"], problem["code"]), (status, status, code))
            equal(answer.headers["content-type"], "application/problem+json")
            equal(answer.headers["cache-control"], "no-store")
            assert challenge in answer.headers["www-authenticate"], answer.headers
            equal(answer.headers["doorward-trace-id"], problem["trace_id"])
            story = doorward.run(f"doorward explain {problem['trace_id']} --json --data demo-data")
            [event] = json.loads(story)
            equal((event["details"]["method"], event["details"]["path"]), (method, "/invoices"))
            equal(event["address"], api.address)
            assert "page=2" not in story, story


def _in_a_page(checks: Checks, api: Api, key: str) -> None:
    browser = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"
    for header in (("Origin", "https://app.example"), ("User-Agent", browser)):
        with checks.check(f"{api.name}: a live key with {header[0]} of a browser is refused, although it was valid before"):
            equal(api.call("/invoices", ("X-API-Key", key), ("User-Agent", "acme-sync/1.0")).status, 200)
            answer = api.call("/invoices", ("X-API-Key", key), header)
            equal((answer.status, answer.json()["code"]), (403, "key_in_browser"))


def _ambiguous(checks: Checks, api: Api, key: str) -> None:
    valid, bearer = ("X-API-Key", key), ("Authorization", f"Bearer {key}")
    with checks.check(f"{api.name}: a credential in the URL is refused, beside a valid one as well"):
        equal(api.call("/invoices", valid).status, 200)
        for query in (f"api_key={key}", f"q=1&access%5Ftoken={key}", f"q={key}", f"q=%73{key[1:]}"):
            for headers in ((), (valid,)):
                answer = api.call(f"/invoices?{query}", *headers)
                assert answer.status == 400 and answer.json()["code"].startswith("credential_"), answer

    with checks.check(f"{api.name}: two credentials are refused, whichever is valid"):
        other = ("X-API-Key", UNKNOWN)
        for headers in ((valid, other), (other, valid), (valid, valid), (bearer, bearer), (valid, bearer)):
            answer = api.call("/invoices", *headers)
            # A WSGI server joins the lines of a header; what results is one malformed credential.
            assert answer.status in (400, 401), answer
            code = json.loads(answer.body)["code"]
            assert code in ("credential_multiple", "credential_malformed", "key_mistyped", "key_unknown"), answer
