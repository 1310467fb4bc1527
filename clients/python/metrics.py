"""The metrics, read by Prometheus's own library for Python."""

from collections.abc import Iterator

import requests
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from checks import Checks, equal
from demo import TIMEOUT, demo


def metrics(checks: Checks) -> None:
    """Checks what the suites before have left in the metrics."""
    with checks.check("Prometheus's parser reads every metric, each with a type and an explanation"):
        families = {family.name: family for family in _families()}
        for family in families.values():
            assert family.type != "unknown", family.name
            assert family.documentation, family.name

    with checks.check("the token requests of this suite are counted by route and status"):
        requested = families["doorward_http_requests"]
        ours = [sample for sample in requested.samples if sample.labels["route"] == "/token"]
        assert {"200", "400"} <= {sample.labels["status"] for sample in ours}, ours

    with checks.check("the buckets of a histogram add up"):
        durations = families["doorward_http_request_duration_seconds"].samples
        token = {sample.name: sample for sample in durations if sample.labels["route"] == "/token"}
        buckets = [s.value for s in durations if s.name.endswith("_bucket") and s.labels["route"] == "/token"]
        equal(buckets, sorted(buckets))
        equal(buckets[-1], token["doorward_http_request_duration_seconds_count"].value)


def _families() -> Iterator[Metric]:
    answer = requests.get(demo.metrics, timeout=TIMEOUT)
    answer.raise_for_status()
    return text_string_to_metric_families(answer.text)
