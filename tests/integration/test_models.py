"""Model versions come and go while predict serves: listed, loaded, unloaded, reloaded, found and removed."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from ghostback.client import Addresses, Client
from ghostback.play import Play
from ghostback.predict.v1 import predict_service_pb2 as pb
from simulator.game import simulate_game
from tests import plugins
from tests.plugins import plugin
from tests.predicting import Predicting, name, start, uninstall, until
from tests.processes import running


@pytest.fixture(scope="module")
def play() -> Play:
    return next(play for play in simulate_game(31, 6).plays if play.forward_pass)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder on the import path of processes started here."""
    site = tmp_path_factory.mktemp("site")
    plugin("0.11.0").install(site, "follower", "follower-models")
    (plugin("0.12.0").install(site, "broken", "broken-models") / "manifest.toml").write_text("version = ")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
        yield site


@pytest.fixture(scope="module")
async def predicting(tmp_path_factory: pytest.TempPathFactory, site: Path) -> AsyncIterator[Predicting]:
    async with start(tmp_path_factory.mktemp("predict")) as started:
        yield started


async def test_models_are_listed_page_by_page_with_the_fields_asked_for(predicting: Predicting) -> None:
    listed, token = [], ""
    while not listed or token:
        page = await predicting.models("ListModels", page_size=1, page_token=token, read_mask={"paths": ["name"]})
        assert len(page.models) == 1
        listed += page.models
        token = page.next_page_token
    assert [str(each).strip() for each in listed] == [
        'name: "models/ghosting"',
        'name: "models/ghosting-retrospective"',
        'name: "models/pass-outcome"',
        'name: "models/pass-outcome-retrospective"',
        'name: "models/yards-after-catch"',
        'name: "models/yards-after-catch-retrospective"',
    ]
    model = (await predicting.models("GetModel", name="models/ghosting")).model
    assert name("0.11.0") in model.model_versions
    assert model.serving_version == name("2.0.0")
    told = await predicting.models("ListModelVersions", parent="models/ghosting", read_mask={"paths": ["state"]})
    assert len(told.model_versions) == len(model.model_versions)
    assert not any(each.name for each in told.model_versions)


async def test_a_plugin_too_broken_to_know_its_model_is_told(predicting: Predicting) -> None:
    (broken,) = (await predicting.models("ListModels")).broken_plugins
    assert broken.plugin == "broken of broken-models 0.1"
    assert "manifest.toml is not TOML" in broken.description


@pytest.mark.parametrize(
    ("method", "fields", "code", "where"),
    [
        ("ListModels", {"page_size": -1}, "INVALID_ARGUMENT", "page_size"),
        ("ListModels", {"read_mask": {"paths": ["colour"]}}, "INVALID_ARGUMENT", "read_mask"),
        ("ListModelVersions", {"page_token": "other"}, "INVALID_ARGUMENT", "page_token"),
        ("ListModelVersions", {"parent": "ghosting"}, "INVALID_ARGUMENT", "parent"),
        ("GetModelVersion", {"name": "models/ghosting"}, "INVALID_ARGUMENT", "name"),
        ("GetModel", {"name": "models/other"}, "NOT_FOUND", None),
        ("LoadModelVersion", {"name": "models/ghosting/versions/7"}, "NOT_FOUND", None),
        ("UnloadModelVersion", {"name": "models/ghosting/versions/7"}, "NOT_FOUND", None),
        ("ReloadModelVersion", {"name": "models/ghosting/versions/7"}, "NOT_FOUND", None),
    ],
)
async def test_what_is_wrong_with_a_request_is_told(
    predicting: Predicting, method: str, fields: dict[str, Any], code: str, where: str | None
) -> None:
    told = await predicting.refused(method, **fields)
    assert told.code == code
    assert list(told.fields) == ([where] if where else [])


async def test_a_version_is_loaded_and_unloaded_on_request_and_loaded_again_by_a_call(
    predicting: Predicting, play: Play
) -> None:
    loaded = (await predicting.models("LoadModelVersion", name=name("0.11.0"))).model_version
    assert loaded.state == pb.MODEL_VERSION_STATE_READY
    assert await predicting.loaded("0.11.0")
    unloaded = (await predicting.models("UnloadModelVersion", name=name("0.11.0"))).model_version
    assert unloaded.state == pb.MODEL_VERSION_STATE_VERIFIED
    assert not (predicting.repository / "ghosting-0.11.0").exists()
    assert not await predicting.loaded("0.11.0")
    assert (await predicting.client.predict_ghosts(play, model=name("0.11.0"))).ghosts
    assert await predicting.loaded("0.11.0")


async def test_a_version_that_is_unloaded_finishes_its_calls_first(
    predicting: Predicting, site: Path, play: Play
) -> None:
    plugin("0.5.0", plugins.slow(12)).install(site, "slow", "slow-models")
    await predicting.models("RescanModels")
    loading = asyncio.create_task(predicting.models("LoadModelVersion", name=name("0.5.0")))
    await until(lambda: predicting.is_in("0.5.0", pb.MODEL_VERSION_STATE_LOADING))
    await loading
    call = asyncio.create_task(predicting.client.predict_ghosts(play, model=name("0.5.0")))
    await until(predicting.is_answering)
    unloading = asyncio.create_task(predicting.models("UnloadModelVersion", name=name("0.5.0")))
    await until(lambda: predicting.is_in("0.5.0", pb.MODEL_VERSION_STATE_DRAINING))
    assert not call.done()
    assert await predicting.loaded("0.5.0")
    await unloading
    assert call.done()
    assert (await call).ghosts
    assert not await predicting.loaded("0.5.0")


async def test_a_version_whose_plugin_is_uninstalled_finishes_its_calls_first(
    predicting: Predicting, site: Path, play: Play
) -> None:
    folder = plugin("0.5.1", plugins.slow(12)).install(site, "leaves", "leaving-models")
    await predicting.models("RescanModels")
    await predicting.models("LoadModelVersion", name=name("0.5.1"))
    call = asyncio.create_task(predicting.client.predict_ghosts(play, model=name("0.5.1")))
    await until(predicting.is_answering)
    uninstall(folder, "leaving-models")
    await predicting.models("RescanModels")
    assert (await predicting.refused("GetModelVersion", name=name("0.5.1"))).code == "NOT_FOUND"
    assert not call.done()
    assert (await call).ghosts

    async def unloaded() -> bool:
        return not await predicting.loaded("0.5.1")

    await until(unloaded)


async def test_another_replica_leaves_a_version_unloaded(predicting: Predicting) -> None:
    async with running("services.predict", *predicting.flags) as server:
        async with Client(Addresses(predict=server.address)) as client:
            replica = replace(predicting, client=client, server=server)
            await predicting.models("LoadModelVersion", name=name("0.11.0"))
            await replica.models("LoadModelVersion", name=name("0.11.0"))
            await predicting.models("UnloadModelVersion", name=name("0.11.0"))
            await until(lambda: replica.is_in("0.11.0", pb.MODEL_VERSION_STATE_VERIFIED))
            assert "unloaded by another replica" in server.log.read_text()
            assert not await predicting.loaded("0.11.0")


async def test_a_plugin_that_was_repaired_is_served_after_a_reload(predicting: Predicting, site: Path) -> None:
    good = plugin("0.6.0")
    wrong = plugin("0.6.0", plugins.never_finite())
    folder = wrong.install(site, "repaired", "repaired-models")
    await predicting.models("RescanModels")
    told = await predicting.refused("LoadModelVersion", name=name("0.6.0"))
    assert (told.code, told.reason) == ("FAILED_PRECONDITION", "MODEL_VERSION_UNUSABLE")
    assert "it does not answer the golden example" in told.message
    assert "not finite" in told.message
    failed = await predicting.version("0.6.0")
    assert failed.state == pb.MODEL_VERSION_STATE_FAILED
    assert failed.state_description in told.message
    (folder / "model.onnx").write_bytes(good.files["model.onnx"])
    told = await predicting.refused("ReloadModelVersion", name=name("0.6.0"))
    assert "model.onnx has SHA-256" in told.message
    uninstall(folder, "repaired-models")
    good.install(site, "repaired", "repaired-models")
    reloaded = (await predicting.models("ReloadModelVersion", name=name("0.6.0"))).model_version
    assert (reloaded.state, reloaded.state_description) == (pb.MODEL_VERSION_STATE_READY, "")


async def test_a_version_is_reloaded_under_load_and_no_call_fails(predicting: Predicting, play: Play) -> None:
    done = asyncio.Event()

    async def calls() -> int:
        n = 0
        while not done.is_set():
            assert (await predicting.client.predict_ghosts(play, model=name("0.11.0"))).ghosts
            n += 1
        return n

    async with asyncio.TaskGroup() as group:
        callers = [group.create_task(calls()) for _ in range(4)]
        for _ in range(3):
            await predicting.models("ReloadModelVersion", name=name("0.11.0"))
        done.set()
    assert all(caller.result() for caller in callers)


async def test_an_artifact_is_replaced_under_load_and_every_answer_is_of_one_or_the_other(
    predicting: Predicting, site: Path, play: Play
) -> None:
    halved = plugins.follower(
        then=[helper.make_node("Mul", ["places", "half"], ["displacement"])], constants={"half": 0.5}
    )
    inputs = plugins.random_inputs(("receiver",))
    folder = plugin("0.13.0").install(site, "replaced", "replaced-models")
    await predicting.models("RescanModels")
    done = asyncio.Event()
    lengths: list[float] = []

    async def calls() -> None:
        while not done.is_set():
            ghost = (await predicting.client.predict_ghosts(play, model=name("0.13.0"))).ghosts[0]
            lengths.append(float(np.hypot(*(ghost.path[-1] - ghost.path[0]))))

    async def answers_changed() -> bool:
        return len(lengths) > 1 and not np.isclose(lengths[0], lengths[-1])

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(calls())
        await until(lambda: asyncio.sleep(0, len(lengths) > 10))
        uninstall(folder, "replaced-models")
        half = {"displacement": plugins.follow(inputs)["displacement"] / 2}
        plugin("0.13.0", halved, inputs, half).install(site, "replaced", "replaced-models")
        await predicting.models("RescanModels")
        await until(answers_changed)
        done.set()
    assert np.logical_or(np.isclose(lengths, lengths[0]), np.isclose(lengths, lengths[0] / 2)).all()


async def test_what_a_plugin_says_of_resources_and_batching_is_told_and_served_without_a_gpu(
    predicting: Predicting, site: Path
) -> None:
    made = plugin("0.9.0")
    made.manifest |= {
        "minimum_ghostback": "0.1",
        "resources": {"instances": 2, "tensorrt": "FP16"},
        "batching": {"max_queue_delay_us": 900, "preferred_sizes": [16, 32]},
    }
    made.install(site, "resourceful", "resourceful-models")
    await predicting.models("RescanModels")
    version = (await predicting.models("LoadModelVersion", name=name("0.9.0"))).model_version
    assert version.state == pb.MODEL_VERSION_STATE_READY
    assert version.minimum_ghostback == "0.1"
    assert (version.resources.instance_count, version.resources.device) == (2, pb.MODEL_DEVICE_AUTO)
    assert version.resources.tensorrt_precision == "FP16"
    assert (version.batching.max_batch_size, version.batching.max_queue_delay_us) == (64, 900)
    assert list(version.batching.preferred_batch_sizes) == [16, 32]


async def test_a_model_that_must_have_a_gpu_is_refused_where_there_is_none(predicting: Predicting, site: Path) -> None:
    made = plugin("0.9.1")
    made.manifest["resources"] = {"device": "gpu"}
    made.install(site, "on_gpu", "gpu-models")
    await predicting.models("RescanModels")
    told = await predicting.refused("LoadModelVersion", name=name("0.9.1"))
    assert "Triton cannot load it" in told.message
    assert "GPU" in told.message


async def test_plugins_are_found_and_missed_without_being_told(predicting: Predicting, site: Path, play: Play) -> None:
    folder = plugin("0.7.0").install(site, "comes", "comes-models")

    async def listed() -> bool:
        model = (await predicting.models("GetModel", name="models/ghosting")).model
        return name("0.7.0") in model.model_versions

    async def missed() -> bool:
        return not await listed() and not await predicting.loaded("0.7.0")

    await until(listed)
    assert (await predicting.client.predict_ghosts(play, model=name("0.7.0"))).ghosts
    uninstall(folder, "comes-models")
    await until(missed)
    assert not (predicting.repository / "ghosting-0.7.0").exists()


async def test_a_higher_version_that_is_installed_gets_no_call_by_that(
    predicting: Predicting, site: Path, play: Play
) -> None:
    plugin("8.0").install(site, "higher", "higher-models")
    await predicting.models("RescanModels")
    assert (await predicting.client.predict_ghosts(play)).model_version == name("2.0.0")
    assert (await predicting.client.predict_ghosts(play, model=name("8.0"))).model_version == name("8.0")


async def test_a_plugin_that_brings_a_version_in_service_is_refused_and_the_version_stays(
    predicting: Predicting, site: Path, play: Play
) -> None:
    folder = plugin("2.0.0").install(site, "rival", "rival-models")
    try:
        told = await predicting.models("RescanModels")
        assert "brings ghosting-2.0.0, as ghostback-models 0.1.0 does already" in str(told.broken_plugins)
        assert (await predicting.client.predict_ghosts(play)).model_version == name("2.0.0")
    finally:
        uninstall(folder, "rival-models")
