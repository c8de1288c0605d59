"""The whole suite under mutual TLS with an access policy: everybody can do their work, and nothing else."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
import yaml

from deploy.local.suite import start_service
from deploy.triton import launcher
from ghostback import feed, wire
from ghostback.channels import Security, Tls
from ghostback.client import Addresses, Client
from ghostback.contract.document import SERVERS
from ghostback.ingest.v1 import ingest_service_pb2
from ghostback.predict.v1 import rollout_service_pb2 as pb
from simulator.game import SimulatedGame, simulate_game
from tests import logs
from tests.candidates import install
from tests.certificates import Authority
from tests.failures import failure
from tests.predicting import TRITON_ENVIRONMENT
from tests.rollouts import SECONDS, ask, create, pinned, until

DOMAIN = "spiffe://suite.test/"
ROLES = {
    "ingest": ["service"],
    "features": ["service"],
    "predict": ["service"],
    "score": ["service"],
    "feed": ["producer"],
    "reader": ["reader"],
    "owner": ["reader", "model-owner"],
    "consumer": ["reader", "producer"],
}
SERVER_NAME = "suite.test"
CONTRACTS = Path(__file__).parents[2] / "protos" / "contracts"


@dataclass
class Secured:
    """A running suite, and who may use it."""

    authority: Authority
    addresses: Addresses
    simulated: SimulatedGame
    folder: Path

    def client(self, who: str) -> Client:
        own = self.authority.issue(who, DOMAIN + who)
        return Client(self.addresses, security=Security(Tls(self.authority.ca, own.certificate, own.key)))

    def log(self, service: str) -> list[dict[str, Any]]:
        return logs.lines(self.folder / f"{service}.log")


@pytest.fixture(scope="module")
async def secured(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Secured]:
    folder, site = tmp_path_factory.mktemp("secured"), tmp_path_factory.mktemp("site")
    (folder / "models").mkdir()
    install(site)
    authority, policy = Authority(folder), folder / "policy.yaml"
    policy.write_text(yaml.safe_dump({"certificates": {DOMAIN + who: roles for who, roles in ROLES.items()}}))
    async with AsyncExitStack() as stack:
        stack.enter_context(pytest.MonkeyPatch.context()).setenv("PYTHONPATH", str(site), prepend=os.pathsep)
        triton = await stack.enter_async_context(
            launcher.running(TRITON_ENVIRONMENT, folder / "models", folder / "triton.log")
        )
        known: dict[str, str] = {}
        for name, flags in {
            "ingest": [f"--database-url=sqlite:///{folder / 'ingest.db'}"],
            "features": ["--ingest={ingest}"],
            "predict": [
                "--features={features}",
                f"--triton={triton.ports.grpc_address}",
                f"--model-repository={folder / 'models'}",
            ],
            "score": ["--ingest={ingest}", "--predict={predict}", "--judge-seconds=0.2"],
        }.items():
            own = authority.issue(name, DOMAIN + name, "127.0.0.1", SERVER_NAME)
            flags += [f"--tls-certificate={own.certificate}", f"--tls-key={own.key}", f"--tls-ca={authority.ca}"]
            flags += [f"--access-policy={policy}"]
            _, ready = await start_service(name, [flag.format(**known) for flag in flags], folder, stack)
            known[name] = ready["address"]
        simulated = simulate_game(31, 8)
        started = Secured(authority, Addresses(**known), simulated, folder)
        async with started.client("feed") as client:
            await client.update_game(simulated.game)
            async for _ in feed.stream(client, simulated.plays[:4]):
                pass
        yield started


async def refused(call: Any) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return failure(error.value).reason


async def test_a_reader_gets_ghosts_and_scores_of_a_play_that_the_services_fetch_under_their_own_names(
    secured: Secured,
) -> None:
    play = next(play for play in secured.simulated.plays[:4] if play.forward_pass)
    async with secured.client("reader") as reader:
        assert (await reader.predict_ghosts(play.name)).ghosts
        assert (await reader.score_actual(play.name)).trajectories
        assert await refused(reader.update_game(secured.simulated.game)) == "METHOD_REFUSED"
        assert await refused(create(reader)) == "METHOD_REFUSED"
        assert await refused(ask(reader, play, arm="stable")) == "ARM_OVERRIDE_REFUSED"


async def test_a_producer_cannot_read_what_it_sent(secured: Secured) -> None:
    async with secured.client("feed") as client:
        request = wire.view(ingest_service_pb2.GetPlayRequest)(name=secured.simulated.plays[0].name)
        assert await refused(client.ingest.GetPlay(request, timeout=SECONDS)) == "METHOD_REFUSED"


async def test_what_is_done_to_a_rollout_is_written_down_under_the_identity_that_did_it(secured: Secured) -> None:
    async with secured.client("owner") as owner, secured.client("feed") as producer:
        await pinned(owner)
        rollout = await create(owner, mode="ROLLOUT_MODE_AB")
        events = (await owner.rollouts.ListRolloutEvents(pb.ListRolloutEventsRequest(), timeout=SECONDS)).events
        assert {event.actor for event in events if event.actor != "ghostback"} == {DOMAIN + "owner"}
        play = next(play for play in secured.simulated.plays if play.forward_pass)
        assert (await ask(owner, play, arm="candidate"))[0].arm == "candidate"

        async for _ in feed.stream(producer, secured.simulated.plays[4:]):
            pass
        async with asyncio.timeout(30):
            while not any(
                line.get("code") == "OK" and line.get("method", "").endswith("/RecordEvidence")
                for line in secured.log("predict")
            ):
                await asyncio.sleep(0.1)
        aborted = pb.AbortRolloutRequest(name=rollout.name, reason="the test is over")
        await owner.rollouts.AbortRollout(aborted, timeout=SECONDS)
        await until(owner, rollout.name, "ABORTED")


async def command(*arguments: object, **variables: Path) -> tuple[int | None, str]:
    """Exit code and output of the command `ghostback`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ghostback.cli", *map(str, arguments)),
        env=os.environ | {name: str(value) for name, value in variables.items()},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, output.decode()


def targets(secured: Secured, host: str = "127.0.0.1") -> list[str]:
    ports = {server: getattr(secured.addresses, server).rpartition(":")[2] for server in SERVERS}
    return [f"--target={server}={host}:{port}" for server, port in ports.items()]


async def verified(
    secured: Secured, *options: str, host: str = "127.0.0.1", **variables: Path
) -> tuple[int | None, str]:
    """Exit code and output of `ghostback contract verify`, options before the command."""
    return await command(*options, "contract", "verify", CONTRACTS, "--simulate", *targets(secured, host), **variables)


async def test_a_contract_is_recorded_from_a_command_that_knows_nothing_of_tls(secured: Secured) -> None:
    own, out = secured.authority.issue("consumer", DOMAIN + "consumer"), secured.folder / "recorded.yaml"
    shown = (f"--ca={secured.authority.ca}", f"--certificate={own.certificate}", f"--key={own.key}")
    consumer = (sys.executable, "-m", "ghostback.cli", "plays", "list")
    code, output = await command(*shown, "contract", "record", *targets(secured), f"--out={out}", "--", *consumer)
    assert code == 0, output
    assert "IngestService/ListGames" in out.read_text()


async def test_contracts_are_kept_under_tls_by_whatever_is_told_of_it(secured: Secured) -> None:
    own, ca = secured.authority.issue("consumer", DOMAIN + "consumer"), secured.authority.ca
    shown = (f"--certificate={own.certificate}", f"--key={own.key}")
    code, output = await verified(secured, f"--ca={ca}", f"--server-name={SERVER_NAME}", *shown, host="localhost")
    assert code == 0, output
    code, output = await verified(secured, *shown, SSL_CERT_FILE=ca)
    assert code == 0, output


async def test_contracts_are_not_checked_against_servers_that_tls_does_not_let_to(secured: Secured) -> None:
    own, ca = secured.authority.issue("consumer", DOMAIN + "consumer"), secured.authority.ca
    shown = (f"--certificate={own.certificate}", f"--key={own.key}")
    for options, host in (
        (("--tls",), "127.0.0.1"),
        ((f"--ca={ca}",), "127.0.0.1"),
        (shown, "127.0.0.1"),
        ((f"--ca={ca}", *shown), "localhost"),
    ):
        code, output = await verified(secured, *options, host=host)
        assert code == 3, output
        assert "are its certificate and yours good?" in output
    code, output = await verified(secured)
    assert code == 3, output
    assert "and does it speak without TLS?" in output


async def test_no_service_was_refused_anything(secured: Secured) -> None:
    services = {DOMAIN + name for name, roles in ROLES.items() if roles == ["service"]}
    for name in ("ingest", "features", "predict", "score"):
        assert not [line for line in secured.log(name) if line["event"] == "refused" and line["identity"] in services]
