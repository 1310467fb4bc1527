"""Spring Security as a resource server for opaque tokens: it asks at /introspect and takes API keys as it takes tokens."""

import base64
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

# What the suites in Python share.
sys.path.append(str(Path(__file__).parents[1] / "harness"))

from answer import Answer
from checks import Checks, equal
from keys import create_key, revoke_key
from listening import free_port, wait_for

HERE = Path(__file__).parent
START_LIMIT = 90
ANSWER_LIMIT = 20
"""Seconds."""

demo = SimpleNamespace(**json.loads(Path(os.environ["DOORWARD_DEMO_JSON"]).read_text(encoding="utf-8")))
"""What `doorward demo --json` printed."""


def main() -> int:
    checks = Checks()
    with spring(Path(sys.argv[1])) as api:
        keys(checks, api)
    return checks.finish()


def keys(checks: Checks, api: str) -> None:
    def call(credential: str | None, method: str = "GET") -> Answer:
        headers = {} if credential is None else {"Authorization": f"Bearer {credential}"}
        return send(urllib.request.Request(f"{api}/notes", method=method, headers=headers))

    with checks.check("an access token passes, and Spring names the subject"):
        token = access_token()
        seen = call(token).json()
        equal((seen["sub"], seen["client_id"], seen["aud"]), (demo.client_id, demo.client_id, [demo.api_audience]))

    with checks.check("a key passes with its scope, and Spring knows it by the same names"):
        key = create_key("--api", "notes", "--scope", "notes:read")
        seen_of_key = call(key["secret"]).json()
        equal((seen_of_key["sub"], seen_of_key["client_id"], seen_of_key["jti"]), (key["id"],) * 3)
        equal((seen_of_key["aud"], seen_of_key["scope"]), ([demo.api_audience], ["notes:read"]))
        equal(set(seen_of_key), set(seen))

    with checks.check("a key that never expires passes as well, and its owner is its client"):
        lasting = create_key("--api", "notes", "--scope", "notes:read", "--never-expires", "--owner", demo.client_id)
        seen_of_key = call(lasting["secret"]).json()
        equal((seen_of_key["sub"], seen_of_key["client_id"]), (lasting["id"], demo.client_id))
        assert "exp" not in seen_of_key, seen_of_key

    with checks.check("a key is refused where it lacks the scope"):
        refusal = call(key["secret"], "POST")
        equal(refusal.status, 403)
        assert 'error="insufficient_scope"' in refusal.headers["www-authenticate"], refusal.headers

    with checks.check("no key, a mistyped one and one of another API are refused"):
        of_another = create_key("--api", "doorward", "--scope", "keys:verify")
        for credential in (None, f"{key['secret'][:-1]}!", key["secret"].swapcase(), of_another["secret"]):
            equal(call(credential).status, 401)

    with checks.check("a revoked key is refused within a moment"):
        revoke_key(key["id"])
        # The command works on the database; the server follows its log within a second.
        deadline = time.monotonic() + ANSWER_LIMIT
        while (answer := call(key["secret"])).status == 200 and time.monotonic() < deadline:
            time.sleep(0.05)
        equal(answer.status, 401)
        equal(call(lasting["secret"]).status, 200)


def access_token() -> str:
    """A token of the demo's client, by client_credentials."""
    credential = base64.b64encode(f"{demo.client_id}:{demo.client_secret}".encode()).decode()
    body = b"grant_type=client_credentials&scope=notes:read"
    request = urllib.request.Request(f"{demo.issuer}/token", body, {"Authorization": f"Basic {credential}"})
    return send(request).json()["access_token"]


def send(request: urllib.request.Request) -> Answer:
    try:
        response = urllib.request.urlopen(request, timeout=ANSWER_LIMIT)
    except urllib.error.HTTPError as refusal:
        response = refusal
    with response:
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, headers, response.read().decode("utf-8"))


@contextmanager
def spring(built: Path) -> Iterator[str]:
    """The API of `Notes.java`, running, with nothing but Spring's own properties; gives its URL."""
    maven = ["mvn", "--quiet", "--batch-mode", "--offline", f"-Dmaven.build.directory={built}", "package"]
    subprocess.run(maven, cwd=HERE, check=True)
    port = free_port()
    introspection = "SPRING_SECURITY_OAUTH2_RESOURCESERVER_OPAQUETOKEN"
    environment = {
        **os.environ,
        "SERVER_ADDRESS": "127.0.0.1",
        "SERVER_PORT": str(port),
        f"{introspection}_INTROSPECTIONURI": f"{demo.issuer}/introspect",
        f"{introspection}_CLIENTID": demo.api_client_id,
        f"{introspection}_CLIENTSECRET": demo.api_client_secret,
    }
    command = ["java", "-jar", str(built / "notes-1.jar")]
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)
    try:
        wait_for(port, process, START_LIMIT)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(ANSWER_LIMIT)


if __name__ == "__main__":
    sys.exit(main())
