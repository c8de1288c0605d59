"""The alert rules: Prometheus can read them, and the services tell what they ask for."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import grpc
import promql_parser as promql
import pytest
import yaml
from prometheus_client import REGISTRY

from ghostback.channels import IDEMPOTENT

ROOT = Path(__file__).parents[3]
RULES = yaml.safe_load((ROOT / "deploy" / "alerts.yaml").read_text())["groups"][0]["rules"]
SCRAPED = {"job", "instance"}
"""Labels that Prometheus gives to whatever it reads, and to `up`, which is its own."""

rules = pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])


@pytest.fixture(scope="module")
def told() -> dict[str, set[str]]:
    """The labels of each series that services tell."""
    for service in ("ingest", "features", "predict", "score"):
        import_module(f"services.{service}.__main__")
    found = {
        name: {*getattr(collector, "_labelnames", ()), *SCRAPED, *({"le"} if name.endswith("_bucket") else ())}
        for collector, names in REGISTRY._collector_to_names.items()
        for name in names
    }
    return found | {"up": SCRAPED}


def parts(rule: dict[str, Any], kind: type) -> list[Any]:
    """The parts of a rule's expression that are of a kind, the outermost first."""
    found: list[Any] = []
    promql.walk(promql.parse(rule["expr"]), lambda part: found.append(part) if isinstance(part, kind) else None)
    return found


def test_rules_have_the_form_that_prometheus_reads() -> None:
    (group,) = yaml.safe_load((ROOT / "deploy" / "alerts.yaml").read_text())["groups"]
    assert set(group) == {"name", "rules"}
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}, rule
        assert promql.parse_duration(rule["for"]).total_seconds() <= 900
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert isinstance(promql.parse(rule["expr"]), promql.BinaryExpr)


@rules
def test_every_series_and_label_asked_for_is_told(rule: dict[str, Any], told: dict[str, set[str]]) -> None:
    selectors = parts(rule, promql.VectorSelector)
    assert selectors
    for selector in selectors:
        assert {each.name for each in selector.matchers.matchers} <= told[selector.name], selector.prettify()
    for aggregated in parts(rule, promql.AggregateExpr):
        for selector in selectors:
            assert set(aggregated.modifier.labels) <= told[selector.name], aggregated.prettify()


@rules
def test_codes_and_methods_asked_for_are_there(rule: dict[str, Any]) -> None:
    methods = [f"/{service}/{method}" for service, some in IDEMPOTENT.items() for method in some]
    for selector in parts(rule, promql.VectorSelector):
        for each in selector.matchers.matchers:
            if each.name == "code":
                assert set(each.value.split("|")) <= grpc.StatusCode.__members__.keys()
            if each.name == "method":
                assert any(re.fullmatch(each.value, method) for method in methods), each.value


@rules
def test_an_alert_names_only_labels_that_it_has(rule: dict[str, Any]) -> None:
    aggregated = parts(rule, promql.AggregateExpr)
    has = set(aggregated[0].modifier.labels) - {"le"} if aggregated else SCRAPED
    named = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    assert named <= has


@rules
def test_what_to_do_is_written_down(rule: dict[str, Any]) -> None:
    assert f"| `{rule['alert']}` |" in (ROOT / "docs" / "operations.md").read_text()
