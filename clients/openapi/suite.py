"""The management API by its OpenAPI description: schemathesis looks for answers that the description does not have, and
clients that others' tools generated from it create, change, list and delete. On SQLite and on PostgreSQL."""

import sys
from pathlib import Path

# What the suites in Python share.
sys.path.append(str(Path(__file__).parents[1] / "harness"))

from checks import Checks
from generated import in_python, in_typescript
from managed import demo, on_postgres
from properties import description, properties


def main() -> int:
    checks = Checks()
    description(checks, demo())
    properties(checks, demo())
    in_typescript(checks, demo())
    in_python(checks, demo())
    with on_postgres() as server:
        properties(checks, server)
        in_typescript(checks, server)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
