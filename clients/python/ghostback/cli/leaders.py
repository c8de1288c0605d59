"""`ghostback leaders`: who leads by a statistic."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ghostback import leaders as tables
from ghostback.cli import suite
from ghostback.cli.failures import USAGE, CommandError
from ghostback.client import Client
from ghostback.score.v1 import statistics_service_pb2 as pb

app = typer.Typer()

Kind = Literal["completion", "catch", "yards-after-catch", "decision", "separation", "coverage"]
Group = Literal["player", "team", "position"]


@app.command()
def leaders(
    kind: Annotated[Kind, typer.Argument(help="What to rank by, defined in docs/statistics.md.", show_default=False)],
    by: Annotated[Group, typer.Option(help="What to rank.")] = "player",
    season: Annotated[int, typer.Option(help="Only this season.")] = 0,
    first_week: Annotated[int, typer.Option(help="No week before.")] = 0,
    last_week: Annotated[int, typer.Option(help="No week after.")] = 0,
    team: Annotated[list[str] | None, typer.Option(help="Only players of this team; may be repeated.")] = None,
    position: Annotated[list[str] | None, typer.Option(help="Only players of this position; may be repeated.")] = None,
    min_attempts: Annotated[int, typer.Option(min=1, help="Only those with so many.")] = 1,
    order_by: Annotated[
        str, typer.Option(help="shrunk_mean, mean, total or attempts; with ' asc' the least first.")
    ] = "shrunk_mean",
    top: Annotated[int, typer.Option(min=1, help="How many to show; --out and --json have all.")] = 20,
    out: Annotated[Path | None, typer.Option(help="Write all of it here, .parquet or .csv.")] = None,
    score: suite.Score = "",
    json: suite.Json = False,
) -> None:
    """Rank players, teams or positions by a statistic, with 95% intervals of their means.

    By default by the mean drawn toward that of all, the more the fewer attempts there are.

    Example: ghostback leaders completion --position QB --min-attempts 20 --out leaders.parquet
    """
    if out and out.suffix not in tables.SUFFIXES:
        raise CommandError(f"{out} is neither {' nor '.join(tables.SUFFIXES)}", USAGE)

    async def ask(client: Client) -> pb.ListLeadersResponse:
        pages = client.list_leaders(
            kind,
            by,
            season=season,
            weeks=(first_week, last_week),
            team_ids=team or (),
            positions=position or (),
            min_attempts=min_attempts,
            order_by=order_by,
        )
        whole = await anext(pages)
        async for page in pages:
            whole.leaders.MergeFrom(page.leaders)
        whole.ClearField("next_page_token")
        return whole

    found = suite.run(suite.addresses({"score": score}), ask)
    if out:
        tables.write(tables.frame(found.leaders), out)
    if json:
        suite.show_json(found)
        return
    typer.echo(f"{found.total_size:,} listed; the mean of all is {found.mean:+.4f}")
    suite.show_table(
        ("rank", "who", "", "attempts", "total", "mean ± 95%", "drawn mean"),
        [
            (
                str(each.rank),
                each.display_name or each.id,
                f"{each.team_id} {each.position}" if by == "player" else "",
                f"{each.attempts:,}",
                f"{each.total:+.2f}",
                f"{each.mean:+.4f} ± " + (f"{each.mean_high - each.mean:.4f}" if each.HasField("mean_high") else "?"),
                f"{each.shrunk_mean:+.4f}",
            )
            for each in found.leaders[:top]
        ],
    )
    if out:
        typer.echo(f"all of it is in {out}")
