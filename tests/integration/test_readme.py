"""The code in the README runs."""

import asyncio
import re
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
