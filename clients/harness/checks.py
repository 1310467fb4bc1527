"""What the suite promises, check by check, and the last line that `cargo xtask test` reads.

Easy to get wrong: checks are in the order in which a client acts, so one that needs what an earlier one failed to get must
fail as well and not be left out. The body of a check is a `with` block for that: a name that an earlier block did not bind is
an error inside it.
"""

import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager


class Checks:
    """Runs checks and counts them, from several threads if need be."""

    def __init__(self) -> None:
        self._passed = 0
        self._failed = 0
        self._lock = threading.Lock()

    @contextmanager
    def check(self, promise: str) -> Iterator[None]:
        """Runs the block as the check of `promise`; whatever it raises makes it a failure."""
        try:
            yield
        except Exception:
            reason = "".join(f"\n        {line}" for line in traceback.format_exc().splitlines())
            with self._lock:
                self._failed += 1
                print(f"FAILED  {promise}{reason}", flush=True)
        else:
            with self._lock:
                self._passed += 1
                print(f"ok      {promise}", flush=True)

    @property
    def has_failed(self) -> bool:
        return self._failed > 0

    def finish(self) -> int:
        """Prints the count; gives the exit code."""
        print(f"{self._passed} passed, {self._failed} failed")
        return 0 if self._passed and not self._failed else 1


def equal(actual: object, expected: object) -> None:
    """Asserts equality and shows both values, which a bare `assert` does not."""
    if actual != expected:
        raise AssertionError(f"{actual!r} is not {expected!r}")
