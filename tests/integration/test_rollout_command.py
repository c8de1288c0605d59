"""`ghostback rollout` against a real predict."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from ghostback.cli import policy as policies
from ghostback.cli.failures import CommandError
from services.predict import rollout_messages
from services.predict.rollouts.policy import Policy
from tests.integration.conftest import Chain

POLICY = """
model: ghosting
mode: canary
arms: {candidate: 0.4.0}
steps:
  - {weights: {candidate: 5}, seconds: 3600, plays: 100}
  - {weights: {candidate: 25}, seconds: 3600, patience: 90.5}
key: game
guardrails:
  - {kind: error-rate, limit: 0.01}
  - {kind: ade, limit: 0.02, min_plays: 80}
alpha: 0.1
answer_budget: 0.25
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return path


@pytest.fixture
def predict(chain: Chain) -> str:
    return chain.suite.addresses.predict


async def rollout(*arguments: str, code: int = 0) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ghostback.cli", "rollout", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == code, output.decode()
    return output.decode()


def test_a_policy_file_says_what_the_service_understands(file: Path) -> None:
    assert rollout_messages.policy_from_message(policies.read(file)) == Policy.model_validate(
        {
            "model": "ghosting",
            "mode": "canary",
            "arms": {"candidate": "0.4.0"},
            "steps": [
                {"weights": {"candidate": 5}, "seconds": 3600, "plays": 100},
                {"weights": {"candidate": 25}, "seconds": 3600, "patience": 90.5},
            ],
            "key": "game",
            "guardrails": [{"kind": "error-rate", "limit": 0.01}, {"kind": "ade", "limit": 0.02, "min_plays": 80}],
            "alpha": 0.1,
            "answer_budget": 0.25,
        }
    )


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("mode: canary", "mode: red-black", "ROLLOUT_MODE_RED_BLACK"),
        ("alpha: 0.1", "alfa: 0.1", 'no field named "alfa"'),
        ("key: game", "key: [game", "while parsing a flow sequence"),
        ("seconds: 3600,", "seconds: soon,", "soon"),
    ],
)
def test_a_file_that_is_no_policy_is_refused_with_the_reason(file: Path, before: str, after: str, problem: str) -> None:
    file.write_text(POLICY.replace(before, after))
    with pytest.raises(CommandError, match=r"policy\.yaml is no policy") as error:
        policies.read(file)
    assert problem in str(error.value)


async def test_a_rollout_is_planned_started_watched_acted_on_and_remembered(predict: str, file: Path) -> None:
    where = ("--predict", predict)
    plan = await rollout("plan", str(file), "--key", "games/1/plays/1", *where)
    name, _, mode = plan.split("\n")[0].partition(", ")
    assert mode.strip() == "canary"
    assert "games/1/plays/1" in plan
    assert "0.4.0" in await rollout("start", str(file), "-m", "a test", *where)
    assert f"would be refused: models/{name.replace('/', '/rollouts/')} is active" in await rollout(
        "plan", str(file), *where, code=1
    )
    assert f"{name}  running  step 1 of 2" in await rollout("status", "ghosting", *where)
    paused = json.loads(await rollout("pause", "ghosting", "--json", *where))
    refused = await rollout("abort", "ghosting", "--etag", "1", *where, code=1)
    assert "was changed by somebody else: it is paused at revision 2 now" in refused
    assert "step 2 of 2" in await rollout("promote", name, "--etag", paused["etag"], *where)
    over = await rollout("rollback", "ghosting", "-m", "enough", *where)
    assert "rolled-back" in over
    last = json.loads((await rollout("watch", "ghosting", "--json", *where)).splitlines()[-1])
    assert last["state"] == "ROLLOUT_STATE_ROLLED_BACK"
    events = json.loads(await rollout("history", name, "--json", *where))["events"]
    assert [event["action"] for event in events] == ["roll_back", "promote", "pause", "create"]
    assert events[0]["reason"] == "enough"
    assert "enough" in await rollout("list", *where)
