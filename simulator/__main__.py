"""Simulate games and write them as Big Data Bowl files."""

import argparse
import json
import time
from pathlib import Path

from ghostback import bigdatabowl
from simulator.faults import inject_faults
from simulator.game import simulate_game


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m simulator",
        description="Simulate games and write them in the layout of the 2021 Big Data Bowl.",
        epilog="example: python -m simulator --seed 1 --games 4 --plays 150 --out out/games",
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of the first game, the next has the next (default 1)")
    parser.add_argument("--games", type=int, default=1, help="number of games (default 1)")
    parser.add_argument("--plays", type=int, default=150, help="plays a game (default 150)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to; made if it is not there")
    parser.add_argument("--no-faults", action="store_true", help="leave out the faults that real tags have")
    parser.add_argument("--json", action="store_true", help="say what was written as JSON")
    options = parser.parse_args(arguments)
    if options.seed < 0 or options.games < 1 or options.plays < 1:
        parser.error("--seed must be 0 or more, --games and --plays 1 or more")

    started = time.perf_counter()
    games = []
    for seed in range(options.seed, options.seed + options.games):
        simulated = simulate_game(seed, options.plays)
        plays = simulated.plays if options.no_faults else tuple(inject_faults(p, seed) for p in simulated.plays)
        games.append((simulated.game, plays))
    seconds = time.perf_counter() - started
    bigdatabowl.write(options.out, games)

    report = {
        "out": str(options.out),
        "games": len(games),
        "plays": sum(len(plays) for _, plays in games),
        "passes": sum(p.forward_pass is not None for _, plays in games for p in plays),
        "samples": sum(len(p.samples) for _, plays in games for p in plays),
        "plays_per_second": round(options.games * options.plays / seconds, 1),
    }
    line = "{plays} plays of {games} games ({passes} passes, {samples} samples) in {out}, {plays_per_second} plays/s"
    print(json.dumps(report) if options.json else line.format(**report))  # noqa: T201


if __name__ == "__main__":
    main()
