"""The code in the README runs."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

from tests.integration.conftest import Chain

README = Path(__file__).parents[2] / "README.md"


async def test_the_example_gives_a_place_for_every_defensive_back(chain: Chain) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    scope: dict[str, object] = {}
    exec(code, scope)  # noqa: S102
    play = chain.passes[0]
    receiver = play.eligible_receivers()[0].participant_id
    example = scope["where_would_they_have_gone"]
    places = await asyncio.to_thread(example, chain.suite.addresses.predict, play.name, receiver)  # type: ignore[arg-type]
    prediction = await chain.client.predict_ghosts(play.name, [receiver])
    assert places.keys() == {ghost.defender_id for ghost in prediction.ghosts}
    for ghost in prediction.ghosts:
        assert places[ghost.defender_id] == tuple(ghost.path[-1])


def test_both_commands_are_named() -> None:
    text = README.read_text()
    assert "make demo" in text
    assert "make test" in text


def test_the_contract_is_kept(chain: Chain, tmp_path: Path) -> None:
    (contract,) = re.findall(r"```yaml\n(.*?)```", README.read_text(), re.DOTALL)
    (tmp_path / "ghosts.yaml").write_text(contract)
    addresses = chain.suite.addresses
    targets = [f"--target=ingest={addresses.ingest}", f"--target=predict={addresses.predict}"]
    verify = [sys.executable, "-m", "ghostback.cli", "contract", "verify", str(tmp_path)]
    for more in ([], targets):
        ran = subprocess.run([*verify, *more], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
