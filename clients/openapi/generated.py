"""Clients that are generated from the description, as users generate them."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from checks import Checks
from managed import Managed

HERE = Path(__file__).parent

LIMIT = 120
"""Seconds that a command may take."""


def in_typescript(checks: Checks, server: Managed) -> None:
    """openapi-typescript makes the types, TypeScript checks the program against them, and openapi-fetch sends."""
    # The packages are found from here.
    with tempfile.TemporaryDirectory(dir=HERE / "node_modules") as folder:
        with checks.check(f"types for TypeScript are generated from the description on {server.name}"):
            _run("npx", "openapi-typescript", server.description, "--output", f"{folder}/doorward.d.ts")
        with checks.check(f"program in TypeScript compiles against them on {server.name}"):
            Path(folder, "manage.ts").write_text((HERE / "manage.ts").read_text(encoding="utf-8"), encoding="utf-8")
            options = ["--strict", "--module", "nodenext", "--target", "es2022", "--skipLibCheck"]
            _run("npx", "tsc", *options, "--outDir", f"{folder}/out", f"{folder}/manage.ts")
        with checks.check(f"program in TypeScript creates, changes, lists and deletes on {server.name}"):
            Path(folder, "out", "package.json").write_text('{"type": "module"}', encoding="utf-8")
            _run("node", f"{folder}/out/manage.js", server.issuer, server.key)


def in_python(checks: Checks, server: Managed) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with checks.check(f"package for Python is generated from the description on {server.name}"):
            generator = Path(sys.executable).with_name("openapi-python-client")
            arguments = ["--url", server.description, "--output-path", f"{folder}/doorward_client", "--meta", "none"]
            arguments += ["--config", str(HERE / "generator.yaml")]
            _run(str(generator), "generate", *arguments, "--fail-on-warning")
        with checks.check(f"program in Python creates, changes, lists and deletes on {server.name}"):
            environment = {**os.environ, "PYTHONPATH": folder}
            _run(sys.executable, str(HERE / "manage.py"), server.issuer, server.key, environment=environment)


def _run(*command: str, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, timeout=LIMIT)
    if done.returncode != 0:
        # The last argument can be a key.
        raise AssertionError(f"{command[:3]} ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
