"""The story of three rollouts."""

import json
import subprocess
import sys
from pathlib import Path


def test_a_better_version_earns_every_play_and_a_worse_and_a_crashing_one_harm_nobody(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "demo.rollout", "--out", str(tmp_path / "out"), "--json"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    told = json.loads(result.stdout)
    assert {name: story["state"] for name, story in told.items()} == {
        "better": "ROLLOUT_STATE_SUCCEEDED",
        "worse": "ROLLOUT_STATE_ROLLED_BACK",
        "crashing": "ROLLOUT_STATE_ROLLED_BACK",
    }
    assert [story["failed_calls"] for story in told.values()] == [0, 0, 0]
    assert "displacement error" in told["worse"]["why"]
    assert told["crashing"]["answers"].keys() == {"stable"}
