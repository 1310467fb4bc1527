"""The demo that the suite runs against: what it printed, and its notes API as any program would call it."""

import json
import os
import re
from pathlib import Path
from types import SimpleNamespace

import requests
from authlib.integrations.requests_client import OAuth2Session

from checks import equal

TIMEOUT = 20
"""Seconds that any one answer may take before the check that waits for it fails."""

demo = SimpleNamespace(**json.loads(Path(os.environ["DOORWARD_DEMO_JSON"]).read_text(encoding="utf-8")))
"""What `doorward demo --json` printed."""


def notes(tokens: dict, method: str = "GET") -> requests.Response:
    """Calls the notes API with an access token, which Authlib puts into the header by its `token_type`."""
    note = {"text": "from a client suite"} if method == "POST" else None
    with OAuth2Session(token=dict(tokens), default_timeout=TIMEOUT) as session:
        return session.request(method, f"{demo.api}/notes", json=note)


def assert_may_not_write(tokens: dict) -> None:
    """Asserts that a write without `notes:write` is 403 and the answer says which scope would do (RFC 6750 3.1)."""
    refusal = notes(tokens, "POST")
    equal(refusal.status_code, 403)
    challenge = refusal.headers["WWW-Authenticate"]
    assert 'error="insufficient_scope"' in challenge, challenge
    assert 'scope="notes:write"' in challenge, challenge
    problem = refusal.json()
    equal(problem["status"], 403)
    assert re.fullmatch("[0-9a-f]{32}", problem["trace_id"]), problem
