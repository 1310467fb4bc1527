"""The configurations of `docs/operators/proxies.md`: each proxy in front of a server, and in front of an API that runs a
recipe."""

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# What the suites in Python share.
sys.path.append(str(Path(__file__).parents[1] / "harness"))

from api import behind as api_behind
from checks import Checks, equal
from pages import DOCS, Page
from proxies import FOR_APIS, PROXIES, Proxy
from server import behind


def main() -> int:
    checks = Checks()
    folder = Path(os.environ["TMPDIR"])
    certificate = create_certificate(folder)
    files = Page(DOCS / "operators" / "proxies.md").listings
    with checks.check("each configuration of the page is tested"):
        tested = {file for proxy in PROXIES for file in (proxy.file, proxy.listen)} | {proxy.file for proxy in FOR_APIS}
        equal(set(files), tested)
    jobs = [(behind, proxy) for proxy in PROXIES] + [(api_behind, proxy) for proxy in FOR_APIS]
    with ThreadPoolExecutor(len(jobs)) as at_once:
        for at, (job, proxy) in enumerate(jobs):
            own = folder / f"{at}-{proxy.name.split()[0]}"
            own.mkdir()
            at_once.submit(run, checks, job, proxy, files, own, certificate)
    return checks.finish()


def run(
    checks: Checks, job: Callable[..., None], proxy: Proxy, files: dict[str, str], folder: Path, certificate: Path
) -> None:
    with checks.check(f"{proxy.name} with {proxy.file}: everything starts and ends"):
        job(checks, proxy, files, folder, certificate)


def create_certificate(folder: Path) -> Path:
    """A certificate for the hosts of the page, its key beside it."""
    certificate = folder / "fullchain.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"]
        + ["-keyout", str(folder / "privkey.pem"), "-out", str(certificate), "-subj", "/CN=auth.example.com"]
        + ["-addext", "subjectAltName=DNS:auth.example.com,DNS:billing.example.com"],
        check=True,
        capture_output=True,
    )
    return certificate


if __name__ == "__main__":
    sys.exit(main())
