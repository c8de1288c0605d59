"""One call is one trace through all services and Triton, and what the suite does is on its metrics pages."""

import asyncio
import json
import os
import re
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from benchmarks.collector import Collector, collecting
from deploy.local import suite
from deploy.local.suite import Suite
from ghostback import feed
from ghostback.client import Client
from ghostback.play import Play
from simulator.game import simulate_game
from tests.integration.conftest import TRITON_ENVIRONMENT

PARTS = {"ghostback-score", "ghostback-predict", "ghostback-features", "ghostback-ingest", "ghostback-triton"}


@dataclass(frozen=True)
class Traced:
    suite: Suite
    client: Client
    collector: Collector
    passes: list[Play]

    @property
    def play(self) -> Play:
        return self.passes[0]


@pytest.fixture(scope="module")
async def traced(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Traced]:
    """A suite that records every trace."""
    folder, game = tmp_path_factory.mktemp("traced"), simulate_game(7, 3)
    with collecting() as collector:
        variables = {"GHOSTBACK_OTLP_ENDPOINT": collector.endpoint, "GHOSTBACK_TRACE_SAMPLE_RATIO": "1"}
        with mock.patch.dict(os.environ, variables):
            async with suite.running(folder, TRITON_ENVIRONMENT) as running, Client(running.addresses) as client:
                await client.update_game(game.game)
                async for _ in feed.stream(client, game.plays):
                    pass
                yield Traced(running, client, collector, [play for play in game.plays if play.forward_pass])


def page(traced: Traced, name: str, accept: str = "") -> str:
    """A service's metrics page."""
    request = urllib.request.Request(traced.suite.metrics[name], headers={"Accept": accept} if accept else {})
    with urllib.request.urlopen(request) as response:
        return str(response.read().decode())


async def spans_of(collector: Collector, method: str, services: set[str]) -> dict[bytes, tuple[str, Span]]:
    """The spans of the trace that a call of a method began, once those of all services are there."""
    async with asyncio.timeout(30):
        while True:
            spans = collector.spans()
            begun = [span.trace_id for _, span in spans if span.name == method and not span.parent_span_id]
            for trace in begun:
                found = {span.span_id: (service, span) for service, span in spans if span.trace_id == trace}
                if {service for service, _ in found.values()} >= services:
                    return found
            await asyncio.sleep(0.1)


async def test_ghosts_are_one_trace_from_predict_to_triton(traced: Traced) -> None:
    async with asyncio.timeout(30):
        for play in traced.passes:  # Until then score asks too, and lookups and calls of Triton may be shared.
            while not [each async for each in traced.client.list_statistics(play.name)]:
                await asyncio.sleep(0.1)
    for _ in range(3):
        await traced.client.predict_ghosts(traced.play.name)
    method = "ghostback.predict.v1.PredictService/PredictGhosts"
    spans = await spans_of(traced.collector, method, PARTS - {"ghostback-score"})
    for _, span in spans.values():
        assert not span.parent_span_id or span.parent_span_id in spans
        assert span.end_time_unix_nano >= span.start_time_unix_nano


async def test_an_evaluation_is_one_trace_of_all_services_and_triton(traced: Traced) -> None:
    async for _ in traced.client.evaluate_model(traced.play.name.partition("/plays/")[0]):
        pass
    await spans_of(traced.collector, "ghostback.score.v1.ScoreService/EvaluateModel", PARTS)


async def test_log_lines_name_the_trace_they_belong_to(traced: Traced) -> None:
    await traced.client.predict_ghosts(traced.play.name)
    traces = {span.trace_id.hex() for _, span in traced.collector.spans()}
    for name in ("predict", "features", "ingest"):
        lines = [json.loads(line) for line in (traced.suite.folder / f"{name}.log").read_text().splitlines()]
        assert {line["trace_id"] for line in lines if "trace_id" in line} & traces, name


def test_a_latency_names_a_trace_as_its_exemplar(traced: Traced) -> None:
    text = page(traced, "predict", accept="application/openmetrics-text")
    assert re.search(r'ghostback_grpc_call_seconds_bucket\{.*PredictGhosts.*\} .* # \{.*trace_id="[0-9a-f]{32}"', text)


async def test_what_the_suite_does_is_counted(traced: Traced) -> None:
    await traced.client.score_ghosts(await traced.client.predict_ghosts(traced.play.name))
    counted = {
        "ingest": r'ghostback_ingest_samples_total\{outcome="accepted"\} [1-9]',
        "features": r'ghostback_feature_rows_total\{feature_set="ghosting-.*"\} [1-9]',
        "predict": r'ghostback_ghosts_total\{arm="stable",model_version="models/ghosting/versions/.*"\} [1-9]',
        "score": r'ghostback_scores_total\{score_profile="catch-point@.*"\} [1-9]',
    }
    for name, line in counted.items():
        assert re.search(line, page(traced, name)), name


def test_the_dashboard_asks_for_metrics_that_there_are(traced: Traced) -> None:
    text = (Path(__file__).parents[2] / "deploy" / "dashboards" / "ghostback.json").read_text()
    asked = set(re.findall(r"ghostback_[a-z_]+", " ".join(expression(json.loads(text)))))
    pages = "".join(page(traced, name) for name in ("ingest", "features", "predict", "score"))
    told = {name for name, _ in re.findall(r"# TYPE (ghostback_[a-z_]+) (\w+)", pages)}
    known = told | {f"{name}{suffix}" for name in told for suffix in ("_bucket", "_count", "_sum")}
    assert len(asked) > 5
    assert asked <= known


def expression(panel: object) -> list[str]:
    """Every query below a part of a dashboard."""
    if isinstance(panel, dict):
        own = [panel["expr"]] if "expr" in panel else []
        return own + [each for value in panel.values() for each in expression(value)]
    return [each for value in panel for each in expression(value)] if isinstance(panel, list) else []
