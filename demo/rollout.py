"""Three rollouts on simulated games: a better version earns all plays, a worse and a crashing one are sent away."""

import argparse
import asyncio
import json
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc.aio
from rich.console import Console, Group
from rich.live import Live
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from demo import broken
from deploy.local import suite
from deploy.triton.launcher import TritonError
from ghostback import feed, wire
from ghostback.cli import policy
from ghostback.cli.rollout import picture
from ghostback.client import Client
from ghostback.play import Play
from ghostback.predict.v1 import rollout_service_pb2 as pb
from simulator.game import SimulatedGame, simulate_game

ACTOR, OLD = "demo", "0.4.0"
POLICIES = Path(__file__).with_name("rollouts")
SECONDS = 60.0
_ACTIVE = (pb.ROLLOUT_STATE_RUNNING, pb.ROLLOUT_STATE_PAUSED)
_AT_ONCE = 4


@dataclass
class Story:
    """A rollout and what callers saw of it.

    Attributes:
        policy: name of its policy file.
        title: what is tried.
        ends: the state that it should end in.
        answers: answers by arm.
        failed: calls that failed.
        seconds: how long it took.
        rollout: the rollout, as last seen.
    """

    policy: str
    title: str
    ends: pb.RolloutState.ValueType
    answers: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    seconds: float = 0.0
    rollout: pb.Rollout = field(default_factory=pb.Rollout)

    @property
    def as_hoped(self) -> bool:
        """Whether it ended as it should, and no caller noticed."""
        return self.rollout.state == self.ends and not self.failed


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        prog="python -m demo.rollout",
        description="Roll out a better, a worse and a crashing version while simulated games are played.",
        epilog="example: python -m demo.rollout --json",
    )
    parser.add_argument("--out", type=Path, default=Path("out/demo-rollout"), help="folder (default: out/demo-rollout)")
    parser.add_argument("--seed", type=int, default=7, help="seed of the first simulated game (default: 7)")
    parser.add_argument("--games", type=int, default=6, help="games to play at most (default: 6)")
    parser.add_argument("--triton", type=Path, default=Path(".venv-triton"), help="Triton's virtual environment")
    parser.add_argument("--json", action="store_true", help="print the outcome as one line of JSON")
    arguments = parser.parse_args()
    console = Console(stderr=arguments.json)
    try:
        stories = asyncio.run(_run(arguments, console))
    except (suite.SuiteError, TritonError, OSError) as error:
        sys.exit(f"error: {error}")
    except grpc.aio.AioRpcError as error:
        sys.exit(f"error: {error.code().name}: {error.details()}")
    if arguments.json:
        print(json.dumps({story.policy: _as_json(story) for story in stories}))  # noqa: T201
    if not all(story.as_hoped for story in stories):
        sys.exit("a rollout did not end as it should")


async def _run(arguments: argparse.Namespace, console: Console) -> list[Story]:
    out: Path = arguments.out
    shutil.rmtree(out, ignore_errors=True)
    site = out / "site"
    site.mkdir(parents=True)
    broken.install(site)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(site.absolute()), *sys.path[:1]])
    with console.status("simulating games"), ProcessPoolExecutor() as pool:
        seeds = range(arguments.seed, arguments.seed + arguments.games)
        games = await asyncio.gather(
            *(asyncio.get_running_loop().run_in_executor(pool, simulate_game, seed) for seed in seeds)
        )
    stories = [
        Story("better", "A better version earns every play", pb.ROLLOUT_STATE_SUCCEEDED),
        Story("worse", "A worse version is rolled back by the truth", pb.ROLLOUT_STATE_ROLLED_BACK),
        Story("crashing", "A version that crashes harms nobody", pb.ROLLOUT_STATE_ROLLED_BACK),
    ]
    async with (
        suite.running(out / "state", arguments.triton, keep_statistics=False) as running,
        Client(running.addresses) as client,
    ):
        plays = _played(client, games)
        await _put_into_service(client, OLD)
        for story in stories:
            await _tell(story, client, plays, console)
        await _show(stories, client, console)
    return stories


async def _played(client: Client, games: Sequence[SimulatedGame]) -> AsyncIterator[Play]:
    """The passes of games, each once its tags are in and it is over."""
    for game in games:
        await client.update_game(game.game)
        for play in game.plays:
            if play.forward_pass:
                async for _ in feed.stream(client, [play]):
                    pass
                yield play


async def _put_into_service(client: Client, version: str) -> None:
    arms = [pb.Arm(name="old", version=version)]
    switch = pb.RolloutPolicy(model="models/ghosting", mode=pb.ROLLOUT_MODE_BLUE_GREEN, arms=arms)
    create = pb.CreateRolloutRequest(policy=switch, actor=ACTOR, reason="the version to start from")
    created = await client.rollouts.CreateRollout(create, timeout=SECONDS)
    promote = pb.PromoteRolloutRequest(name=created.rollout.name, full=True, actor=ACTOR)
    await client.rollouts.PromoteRollout(promote, timeout=SECONDS)


async def _tell(story: Story, client: Client, plays: AsyncIterator[Play], console: Console) -> None:
    """Start the rollout, play on until it is over, and show it all along."""
    console.print(Rule(story.title))
    wanted = policy.read(POLICIES / f"{story.policy}.yaml")
    create = wire.view(pb.CreateRolloutRequest)(policy=wanted, actor=ACTOR, reason=story.title)
    started = time.monotonic()
    story.rollout = (await client.rollouts.CreateRollout(create, timeout=SECONDS)).rollout
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        following = asyncio.create_task(_follow(story, client, live))
        async for play in plays:
            await _ask(story, client, play)
            if story.rollout.state not in _ACTIVE:
                break
        following.cancel()
    story.seconds = time.monotonic() - started
    console.print(_seen(story))


async def _follow(story: Story, client: Client, live: Live) -> None:
    async for response in client.rollouts.WatchRollout(pb.WatchRolloutRequest(name=story.rollout.name)):
        story.rollout = response.rollout
        live.update(_seen(story))


async def _ask(story: Story, client: Client, play: Play) -> None:
    """Ask for the ghosts of a play, for each receiver in a call of its own."""
    limit = asyncio.Semaphore(_AT_ONCE)

    async def ask(target: str) -> None:
        async with limit:
            try:
                prediction = await client.predict_ghosts(play.name, [target])
                story.answers[prediction.message.arm] += 1
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                    story.failed += 1

    await asyncio.gather(*(ask(receiver.participant_id) for receiver in play.eligible_receivers()))


def _seen(story: Story) -> Group:
    answers = ", ".join(f"{count:,} from {arm}" for arm, count in sorted(story.answers.items()))
    told = Text(f"callers got {answers or 'no answer yet'}; {story.failed} calls failed", "dim")
    return Group(picture(story.rollout), told)


async def _show(stories: Sequence[Story], client: Client, console: Console) -> None:
    events = (await client.rollouts.ListRolloutEvents(pb.ListRolloutEventsRequest(page_size=1000))).events
    log = Table("rollout", "who", "what", "why", title="The log of all that was done, for good", title_justify="left")
    for event in reversed(events):
        log.add_row(event.rollout.rpartition("/")[2], event.actor, event.action, event.reason)
    console.print(log)
    for story in stories:
        mark = "[green]as hoped[/]" if story.as_hoped else "[red]not as hoped[/]"
        console.print(f"{story.title}: {mark} after {story.seconds:.0f} s; {story.failed} failed calls")


def _as_json(story: Story) -> dict[str, Any]:
    return {
        "state": pb.RolloutState.Name(story.rollout.state),
        "why": story.rollout.state_description,
        "answers": story.answers,
        "failed_calls": story.failed,
        "seconds": story.seconds,
    }


if __name__ == "__main__":
    main()
