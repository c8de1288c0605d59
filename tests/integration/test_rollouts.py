"""Rollouts on a real Triton: who answers, what callers see of it, and what people and evidence do."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
import pytest

from deploy.triton import launcher
from deploy.triton.launcher import Triton
from ghostback import wire
from ghostback.client import Addresses, Client
from ghostback.play import Play
from ghostback.predict.v1 import predict_service_pb2 as predict_pb
from ghostback.predict.v1 import rollout_service_pb2 as pb
from simulator.game import simulate_game
from tests.candidates import BETTER, CRASHING, MODEL, NOT_FINITE, REFUSED, SLOW, STABLE, install
from tests.failures import failure
from tests.processes import running
from tests.rollouts import SECONDS, act, ask, create, get, pinned, policy, right, until

NOBODY = "127.0.0.1:1"
QUICK = {"dwell": "0.5s", "plays": 20}


@dataclass
class Predicting:
    """What predict stands on, and how to start it."""

    triton: Triton
    flags: tuple[str, ...]
    play: Play

    @asynccontextmanager
    async def started(self, url: str, *flags: str) -> AsyncIterator[Client]:
        async with running("services.predict", *self.flags, f"--database-url={url}", *flags) as predict:
            async with Client(Addresses(NOBODY, NOBODY, predict.address, NOBODY)) as client:
                yield client


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    site = tmp_path_factory.mktemp("site")
    install(site)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
        yield site


@pytest.fixture(scope="module")
async def predicting(tmp_path_factory: pytest.TempPathFactory, site: Path) -> AsyncIterator[Predicting]:
    folder = tmp_path_factory.mktemp("triton")
    (folder / "models").mkdir()
    play = next(play for play in simulate_game(31, 6).plays if play.forward_pass)
    async with (
        launcher.running(Path(__file__).parents[2] / ".venv-triton", folder / "models", folder / "log") as triton,
        running("services.features", f"--ingest={NOBODY}") as features,
    ):
        flags = (
            f"--features={features.address}",
            f"--triton={triton.ports.grpc_address}",
            f"--model-repository={folder / 'models'}",
        )
        yield Predicting(triton, flags, play)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'predict.db'}"


@pytest.fixture(scope="module")
async def started(predicting: Predicting, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    async with predicting.started(f"sqlite:///{tmp_path_factory.mktemp('database') / 'predict.db'}") as client:
        yield client


@pytest.fixture
async def client(started: Client) -> AsyncIterator[Client]:
    """A client of a predict without an active rollout, and with the version in service that the tests call stable."""
    await pinned(started)
    yield started
    request = pb.ListRolloutsRequest(parent=f"models/{MODEL}", active_only=True)
    for rollout in (await started.rollouts.ListRollouts(request, timeout=SECONDS)).rollouts:
        await act(started, "AbortRollout", rollout.name)


async def shares(client: Client, play: Play, n: int = 60) -> dict[str, str]:
    """The arm of each of some keys."""
    keys = [f"games/1/plays/{i}" for i in range(n)]
    answers = [await ask(client, play, key) for key in keys]
    return {key: response.arm for key, (response, _) in zip(keys, answers, strict=True)}


async def test_a_version_in_an_active_rollout_is_not_unloaded_and_one_in_none_is(client: Client) -> None:
    async def unload(version: str) -> None:
        request = predict_pb.UnloadModelVersionRequest(name=f"models/{MODEL}/versions/{version}")
        await client.models.UnloadModelVersion(request, timeout=SECONDS)

    rollout = await create(client)
    for version in (STABLE, BETTER):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await unload(version)
        told = failure(refused.value)
        assert (told.code, told.reason) == ("FAILED_PRECONDITION", "ROLLOUT_IN_THE_WAY")
        assert rollout.name in told.message
    await act(client, "AbortRollout", rollout.name)
    await unload(BETTER)


async def test_every_answer_names_version_arm_and_rollout_also_in_metadata(
    client: Client, predicting: Predicting
) -> None:
    before, metadata = await ask(client, predicting.play)
    assert (before.arm, before.rollout) == ("stable", "")
    assert before.model_version == metadata["x-ghostback-model-version"] == f"models/{MODEL}/versions/{STABLE}"
    rollout = await create(client)
    seen = set()
    for i in range(30):
        response, metadata = await ask(client, predicting.play, f"key {i}")
        version = {"stable": STABLE, "candidate": BETTER}[response.arm]
        assert response.model_version == f"models/{MODEL}/versions/{version}"
        assert response.rollout == metadata["x-ghostback-rollout"] == rollout.name
        assert response.arm == metadata["x-ghostback-arm"]
        assert await right(client, predicting.play, response)
        seen.add(response.arm)
    assert seen == {"stable", "candidate"}


async def test_a_play_keeps_its_arm_and_growing_weights_keep_the_candidates_plays(
    client: Client, predicting: Predicting
) -> None:
    steps = [{"weights": [{"arm": "candidate", "percent": p}], "dwell": "3600s"} for p in (10, 40)]
    rollout = await create(client, steps=steps)
    first = await shares(client, predicting.play)
    assert await shares(client, predicting.play) == first
    await act(client, "PromoteRollout", rollout.name)
    second = await shares(client, predicting.play)
    had = {key for key, arm in first.items() if arm == "candidate"}
    assert had < {key for key, arm in second.items() if arm == "candidate"}
    preview = await client.rollouts.PreviewRollout(
        pb.PreviewRolloutRequest(name=rollout.name, keys=list(second)), timeout=SECONDS
    )
    assert list(preview.steps[1].arms) == list(second.values())


async def test_a_preview_of_a_policy_tells_what_will_be_routed_where_and_what_stands_in_the_way(
    client: Client, predicting: Predicting
) -> None:
    keys = [f"games/1/plays/{i}" for i in range(60)]
    request = wire.view(pb.PreviewRolloutRequest)(policy=policy(percent=30), keys=keys)
    preview = await client.rollouts.PreviewRollout(request, timeout=SECONDS)
    assert (list(preview.problems), preview.stable_version) == ([], f"models/{MODEL}/versions/{STABLE}")
    rollout = await create(client, percent=30)
    assert rollout.name == preview.name
    assert dict(zip(keys, preview.steps[0].arms, strict=True)) == await shares(client, predicting.play)
    again = wire.view(pb.PreviewRolloutRequest)(policy=policy(version="7.7"))
    preview = await client.rollouts.PreviewRollout(again, timeout=SECONDS)
    assert f"{rollout.name} is active" in preview.problems[0]
    assert "there is no version '7.7'" in preview.problems[1]


async def test_many_arms_share_the_plays_and_an_arm_at_zero_gets_none(client: Client, predicting: Predicting) -> None:
    versions = {"a": BETTER, "b": STABLE, "c": SLOW}
    weights = [{"arm": arm, "percent": percent} for arm, percent in (("a", 30), ("b", 30), ("c", 0))]
    await create(
        client,
        mode="ROLLOUT_MODE_AB",
        arms=[{"name": arm, "version": version} for arm, version in versions.items()],
        steps=[{"weights": weights}],
    )
    assert Counter((await shares(client, predicting.play)).values()).keys() == {"stable", "a", "b"}


async def test_after_a_rollback_nothing_goes_to_the_candidate(client: Client, predicting: Predicting) -> None:
    rollout = await create(client, percent=99)
    assert "candidate" in (await shares(client, predicting.play, 10)).values()
    over = await act(client, "RollBackRollout", rollout.name, reason="worse")
    assert set((await shares(client, predicting.play)).values()) == {"stable"}
    assert {arm.arm: arm.percent for arm in over.arms} == {"stable": 100, "candidate": 0}
    calls = {arm.arm: arm.call_count for arm in (await get(client, rollout.name)).arms}
    assert calls["candidate"] + calls["stable"] == 10


async def test_blue_green_switches_everything_and_back_at_once(client: Client, predicting: Predicting) -> None:
    rollout = await create(client, mode="ROLLOUT_MODE_BLUE_GREEN", steps=[])
    assert set((await shares(client, predicting.play, 10)).values()) == {"stable"}
    await act(client, "PromoteRollout", rollout.name)
    assert set((await shares(client, predicting.play, 10)).values()) == {"candidate"}
    await act(client, "RollBackRollout", rollout.name)
    assert set((await shares(client, predicting.play, 10)).values()) == {"stable"}


async def test_the_winner_is_in_service_after_a_restart_and_can_be_undone(predicting: Predicting, url: str) -> None:
    async with predicting.started(url) as client:
        await pinned(client)
        rollout = await create(client)
        await act(client, "PromoteRollout", rollout.name, full=True)
    async with predicting.started(url) as client:
        response, _ = await ask(client, predicting.play)
        assert (response.arm, response.model_version) == ("stable", f"models/{MODEL}/versions/{BETTER}")
        await act(client, "RollBackRollout", rollout.name)
        response, _ = await ask(client, predicting.play)
        assert response.model_version == f"models/{MODEL}/versions/{STABLE}"


async def test_a_caller_may_choose_the_arm_where_it_is_allowed_to(predicting: Predicting, url: str) -> None:
    async with predicting.started(url) as client:
        await pinned(client)
        rollout = await create(client, percent=0)
        for arm in ("candidate", "stable"):
            response, metadata = await ask(client, predicting.play, arm=arm)
            assert response.arm == metadata["x-ghostback-arm"] == arm
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await ask(client, predicting.play, arm="none")
        assert (failure(error.value).code, failure(error.value).reason) == ("INVALID_ARGUMENT", "ARM_UNKNOWN")
        chosen = {arm.arm: arm.call_count for arm in (await get(client, rollout.name)).arms}
        assert chosen == {"stable": 0, "candidate": 0}
    async with predicting.started(url, '--arm-callers=["10.0.0.0/8"]') as client:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await ask(client, predicting.play, arm="stable")
        assert (failure(error.value).code, failure(error.value).reason) == (
            "PERMISSION_DENIED",
            "ARM_OVERRIDE_REFUSED",
        )


@pytest.mark.parametrize("version", [CRASHING, SLOW, NOT_FINITE])
async def test_when_a_candidate_fails_stable_answers_and_the_candidate_is_rolled_back(
    client: Client, predicting: Predicting, version: str
) -> None:
    guardrails = [{"kind": "error-rate", "limit": 0.05}]
    rollout = await create(client, version=version, percent=60, answer_budget="0.03s", guardrails=guardrails)
    watching = asyncio.create_task(until(client, rollout.name, "ROLLED_BACK", 40))
    asked = 0
    while not watching.done():
        response, _ = await ask(client, predicting.play, f"key {asked}")
        assert response.arm == "stable"
        assert await right(client, predicting.play, response)
        asked += 1
    over = await watching
    candidate = over.arms[1]
    assert candidate.error_count == candidate.call_count > 0
    assert "failed calls" in candidate.problem


async def test_a_shadow_never_answers_never_delays_and_is_counted(client: Client, predicting: Predicting) -> None:
    loop = asyncio.get_running_loop()
    rollout = await create(client, version=SLOW, mode="ROLLOUT_MODE_SHADOW", steps=[], answer_budget="5s")
    seconds = []
    for i in range(4):
        started = loop.time()
        response, _ = await ask(client, predicting.play, f"key {i}")
        seconds.append(loop.time() - started)
        assert (response.arm, response.rollout) == ("stable", rollout.name)
        assert await right(client, predicting.play, response)
    chosen = loop.time()
    await ask(client, predicting.play, arm="candidate")
    assert min(seconds) < (loop.time() - chosen) / 2
    async with asyncio.timeout(SECONDS):
        async for response in client.rollouts.WatchRollout(pb.WatchRolloutRequest(name=rollout.name)):
            if response.rollout.arms[1].call_count == 4:
                break


async def test_a_canary_earns_its_plays_and_becomes_stable_by_itself(client: Client, predicting: Predicting) -> None:
    steps = [{"weights": [{"arm": "candidate", "percent": p}], **QUICK} for p in (20, 60)]
    guardrails = [{"kind": "error-rate", "limit": 0.9}, {"kind": "ade", "limit": 0.05, "min_plays": 10}]
    rollout = await create(client, steps=steps, guardrails=guardrails)
    judgements = [
        pb.Judgement(play=f"games/1/plays/{i}", arm="candidate", stable_ade=2 + i % 7 / 10, arm_ade=1 + i % 5 / 10)
        for i in range(300)
    ]
    record = pb.RecordEvidenceRequest(name=rollout.name, judgements=judgements)
    counts = [await client.rollouts.RecordEvidence(record, timeout=SECONDS) for _ in range(2)]
    assert [(each.recorded_count, each.ignored_count) for each in counts] == [(300, 0), (0, 300)]
    watching = asyncio.create_task(until(client, rollout.name, "SUCCEEDED", 40))
    asked = 0
    while not watching.done():
        await ask(client, predicting.play, f"key {asked}")
        asked += 1
    over = await watching
    assert over.arms[1].judged_count == 300
    assert {reading.kind: pb.Verdict.Name(reading.verdict) for reading in over.readings} == {
        "error-rate": "VERDICT_PASS",
        "ade": "VERDICT_PASS",
    }
    response, _ = await ask(client, predicting.play)
    assert response.model_version == f"models/{MODEL}/versions/{BETTER}"
    events = await client.rollouts.ListRolloutEvents(pb.ListRolloutEventsRequest(parent=rollout.name), timeout=SECONDS)
    told = [(event.actor, event.action) for event in reversed(events.events) if event.action != "wait"]
    assert told == [("ann", "create"), ("ghostback", "advance"), ("ghostback", "advance")]
    assert all(event.after and event.time.seconds for event in events.events)
    assert '"readings"' in events.events[0].evidence


async def test_a_worse_candidate_is_rolled_back_when_the_truth_arrives(client: Client) -> None:
    rollout = await create(client, guardrails=[{"kind": "ade", "limit": 0.05, "min_plays": 10}])
    judgements = [
        pb.Judgement(play=f"games/1/plays/{i}", arm="candidate", stable_ade=1 + i % 5 / 10, arm_ade=2 + i % 7 / 10)
        for i in range(300)
    ]
    watching = asyncio.create_task(until(client, rollout.name, "ROLLED_BACK", 5))
    await client.rollouts.RecordEvidence(pb.RecordEvidenceRequest(name=rollout.name, judgements=judgements))
    assert "displacement error" in (await watching).arms[1].problem


async def test_an_unusable_version_refuses_the_start_and_changes_nothing(
    client: Client, predicting: Predicting
) -> None:
    for version, code in ((REFUSED, "FAILED_PRECONDITION"), ("7.7", "NOT_FOUND")):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await create(client, version=version)
        assert failure(error.value).code == code
    request = pb.ListRolloutsRequest(parent=f"models/{MODEL}", active_only=True)
    assert not (await client.rollouts.ListRollouts(request, timeout=SECONDS)).rollouts
    assert (await ask(client, predicting.play))[0].rollout == ""


async def test_of_two_people_at_once_the_second_is_told_and_given_the_present_etag(client: Client) -> None:
    seen = await create(client)
    paused = await act(client, "PauseRollout", seen.name, etag=seen.etag)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await act(client, "AbortRollout", seen.name, etag=seen.etag)
    told = failure(error.value)
    assert (told.code, told.reason) == ("ABORTED", "ROLLOUT_CHANGED")
    assert f"revision {paused.etag} now" in told.message
    assert (await act(client, "ResumeRollout", seen.name, etag=paused.etag)).state == pb.ROLLOUT_STATE_RUNNING


async def test_a_policy_out_of_form_is_refused_with_its_fields(client: Client) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await create(client, percent=120, guardrails=[{"kind": "luck", "limit": 1}])
    assert {"policy.steps.0.weights.candidate", "policy.guardrails.0.kind"} <= failure(error.value).fields.keys()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_another_replica_follows_within_two_seconds_and_a_restart_goes_on_in_the_step(
    predicting: Predicting, kind: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(kind)
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(predicting.started(url))
        await pinned(first)
        second = await stack.enter_async_context(predicting.started(url))
        steps = [{"weights": [{"arm": "candidate", "percent": p}], "dwell": "3600s"} for p in (99, 40)]
        rollout = await create(first, steps=steps)
        await told_by(second, predicting.play, "candidate")
        await act(first, "RollBackRollout", rollout.name)
        await told_by(second, predicting.play, "stable")
        assert set((await shares(second, predicting.play, 20)).values()) == {"stable"}
        third = await create(second, steps=steps)
        await act(second, "PromoteRollout", third.name)
        async with asyncio.timeout(2):
            while (await get(first, third.name)).step != 1:
                pass
        arms = await shares(second, predicting.play)
    async with predicting.started(url) as restarted:
        found = await get(restarted, third.name)
        assert (found.step, found.state) == (1, pb.ROLLOUT_STATE_RUNNING)
        assert await shares(restarted, predicting.play) == arms
        counted = (await get(restarted, third.name)).arms
        assert sum(arm.call_count for arm in counted) >= len(arms)


async def told_by(client: Client, play: Play, arm: str) -> None:
    """Ask until an arm answers, for 2 seconds at most."""
    async with asyncio.timeout(2):
        while (await ask(client, play, "games/1/plays/1"))[0].arm != arm:
            pass
