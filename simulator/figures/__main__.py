"""Print public figures of football beside the simulator's, and hold its movement against real movement."""

import argparse
import json
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from ghostback import bigdatabowl
from simulator.figures import plots, public
from simulator.figures.comparison import Comparison, compare
from simulator.figures.passes import QUANTITIES, Measured, measure_all
from simulator.figures.public import Figure
from simulator.figures.reported import REACH, STEPS, told_by_acceleration, velocity_weights
from simulator.game import SimulatedGame, simulate_game
from simulator.values import Floats

_PLAYS = 150
_GROUP = 3  # frames of which the weights are shown together


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m simulator.figures",
        description="Print public figures of football beside the simulator's, test its movement, and draw both.",
        epilog="example: python -m simulator.figures --games 20 --data my-games --out out/figures",
    )
    parser.add_argument("--games", type=int, default=20, help="games to simulate, of 150 plays (default 20)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first game, the next has the next (default 1)")
    parser.add_argument("--data", type=Path, help="folder of Big Data Bowl files to hold the simulator against")
    parser.add_argument("--out", type=Path, help="folder for pictures; made if it is not there")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    if options.seed < 0 or options.games < 1:
        parser.error("--seed must be 0 or more and --games 1 or more")
    try:
        plays = [play for _, plays in bigdatabowl.read(options.data) for play in plays] if options.data else []
    except (bigdatabowl.BigDataBowlError, OSError) as error:
        sys.exit(f"error: {error}")
    real = measure_all(plays)
    if options.data and not real:
        sys.exit(f"error: no pass in {options.data} can be followed from the throw to the arrival")

    with ProcessPoolExecutor() as pool:
        measured = list(pool.map(_measured, range(options.seed, options.seed + options.games)))
    games, simulated = [game for game, _ in measured], [m for _, passes in measured for m in passes]
    table = public.figures(games, simulated, plays, real)
    movement = compare(real, simulated, options.seed) if real else None
    sources = {"simulated": [play for game in games for play in game.plays]} | ({"data": plays} if plays else {})
    weights = {of: velocity_weights(made[:_PLAYS]) for of, made in sources.items()}
    told = {of: told_by_acceleration(made) for of, made in sources.items()}
    pictures = []
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        pictures = plots.write(options.out, real, simulated, options.seed)
    if options.json:
        print(json.dumps(_as_json(table, movement, weights, told, pictures, len(simulated), len(real))))  # noqa: T201
    else:
        _show(table, movement, weights, told, pictures, len(simulated), len(real))


def _measured(seed: int) -> tuple[SimulatedGame, list[Measured]]:
    game = simulate_game(seed, _PLAYS)
    return game, measure_all(game.plays)


def _as_json(
    table: list[Figure],
    movement: Comparison | None,
    weights: dict[str, Floats],
    told: dict[str, dict[str, Floats]],
    pictures: list[Path],
    n_simulated: int,
    n_real: int,
) -> dict[str, object]:
    def plain(value: object) -> object:
        if isinstance(value, np.ndarray):
            return value.tolist()
        return None if isinstance(value, float) and np.isnan(value) else value

    return {
        "passes": {"simulated": n_simulated, "real": n_real},
        "figures": [{name: plain(value) for name, value in asdict(figure).items()} for figure in table],
        "movement": [{n: plain(v) for n, v in asdict(c).items()} for c in movement.quantities] if movement else [],
        "excess": movement.excess if movement else None,
        "p": movement.p if movement else None,
        "reported_velocity_weights": {of: plain(values) for of, values in weights.items()},
        "told_by_acceleration": {of: {n: plain(v) for n, v in kinds.items()} for of, kinds in told.items()},
        "pictures": [str(path) for path in pictures],
    }


def _show(
    table: list[Figure],
    movement: Comparison | None,
    weights: dict[str, Floats],
    told: dict[str, dict[str, Floats]],
    pictures: list[Path],
    n_simulated: int,
    n_real: int,
) -> None:
    console = Console()
    shown = Table(title=f"Figures of {n_simulated} simulated passes and of football")
    for column in ("figure", "public", "ours", "data", "source"):
        shown.add_column(column, justify="right" if column in ("ours", "data") else "left")
    for figure in table:
        cells = ["" if np.isnan(value) else f"{value:.3g}" for value in (figure.ours, figure.half_game)]
        shown.add_row(figure.name, figure.public, *cells, figure.source)
    console.print(shown)
    if movement:
        tested = Table(
            title=f"Movement of {n_real} real and {n_simulated} simulated passes: quartiles, distance, p-values"
        )
        for column in ("quantity", "real", "simulated", "distance", "noise", "p (W)", "p (KS)"):
            tested.add_column(column, justify="left" if column == "quantity" else "right")
        for c in movement.quantities:
            quartiles = [" ".join(f"{value:.2f}" for value in values) for values in (c.real, c.simulated)]
            numbers = (f"{c.wasserstein:.3f}", f"{c.noise:.3f}", f"{c.p_wasserstein:.3f}", f"{c.p_kolmogorov:.3f}")
            tested.add_row(f"{c.quantity} ({QUANTITIES[c.quantity]})", *quartiles, *numbers)
        console.print(tested)
        below = sum(c.p_wasserstein < 0.05 for c in movement.quantities)
        console.print(
            f"All together: distances are {movement.excess:.2f} times the median noise, p = {movement.p:.3f}; "
            f"{below} of {len(movement.quantities)} quantities have p (W) below 0.05."
        )
    starts = (*range(-REACH, 0, _GROUP), *range(1, REACH, _GROUP))
    groups = [f"{start:+d} to {start + _GROUP - 1:+d}" for start in starts]
    reported = Table(
        "frames", *groups, title="What reported velocities are made of: weights of the changes of position"
    )
    for of, values in weights.items():
        reported.add_row(of, *(f"{value:.2f}" for value in values.reshape(-1, _GROUP).sum(axis=1)))
    console.print(reported)
    title = "Where backs leave constant velocity, by the acceleration seen at the throw: coefficient (s²), share told"
    departures = Table("velocities of", *(f"after {step / 10:.1f} s" for step in STEPS), title=title)
    for of, kinds in told.items():
        for kind, values in kinds.items():
            departures.add_row(f"{of}, {kind}", *(f"{coefficient:.3f}, {share:.0%}" for coefficient, share in values))
    console.print(departures)
    for path in pictures:
        console.print(f"picture: {path}")


if __name__ == "__main__":
    main()
