"""`ghostback plays`: games and plays as ingest has them."""

import json as jsons
from typing import Annotated, Any

import typer

from ghostback import convert, wire
from ghostback.cli import suite
from ghostback.client import Client
from ghostback.ingest.v1 import ingest_service_pb2 as pb
from ghostback.play import ParticipantKind
from ghostback.tracking.v1 import play_pb2

app = typer.Typer(no_args_is_help=True)

_METADATA = [field.name for field in play_pb2.Play.DESCRIPTOR.fields if field.name != "samples"]


@app.command("list")
def list_(
    game: Annotated[str, typer.Argument(help="A game's id; its plays are listed.")] = "",
    passes: Annotated[bool, typer.Option("--passes", help="Only plays with a pass.")] = False,
    ingest: suite.Ingest = "",
    json: suite.Json = False,
) -> None:
    """List the games, or the plays of one. Example: ghostback plays list 2024091500 --passes."""
    if not game:
        _list_games(ingest, json)
        return
    request = wire.view(pb.ListPlaysRequest)(parent=suite.game_name(game))
    found = suite.run(
        suite.addresses({"ingest": ingest}), lambda client: suite.whole_list(client.ingest.ListPlays, request)
    )
    if passes:
        kept = [each for each in found.plays if each.HasField("forward_pass")]
        del found.plays[:]
        found.plays.extend(kept)
    if json:
        suite.show_json(found)
        return
    suite.show_table(("play", "state", "offense", "thrown to", "pass", "what happened"), map(_row, found.plays))


@app.command()
def show(play: suite.PlayName, ingest: suite.Ingest = "", json: suite.Json = False) -> None:
    """Show a play: who may be thrown to, who defends, what happened. Example: ghostback plays show 2024091500/55."""
    found = suite.run(suite.addresses({"ingest": ingest}), lambda client: metadata(client, suite.play_name(play)))
    if json:
        suite.show_json(found.play)
        return
    known = convert.play_from_message(found.play)
    thrown, situation = known.forward_pass, known.situation
    rows = {
        "play": known.name.removeprefix("games/").replace("/plays/", "/"),
        "what happened": known.description,
        "state": f"{known.state.lower()}, revision {found.play.revision}",
        "situation": f"quarter {situation.quarter}, down {situation.down}, {situation.yards_to_go:g} yards to go",
        "samples": f"{known.sample_rate:g} a second",
        "events": ", ".join(f"{event.name} {event.frame}" for event in known.events),
    }
    if thrown:
        frames = f"frames {thrown.forward_frame} to {thrown.arrived_frame or '?'}"
        rows["pass"] = f"{thrown.thrower_id} to {thrown.target_id or '?'}, {(thrown.outcome or '?').lower()}, {frames}"
    for title, value in rows.items():
        typer.echo(f"{title:14} {value}")
    receivers, backs = known.eligible_receivers(), known.defensive_backs()
    suite.show_table(
        ("participant", "name", "team", "position", "role"),
        [
            (
                *(each.participant_id, each.display_name, each.team_id, each.position),
                "receiver" if each in receivers else "defensive back" if each in backs else "",
            )
            for each in known.participants
            if each.kind is ParticipantKind.PLAYER
        ],
    )


@app.command()
def quality(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A game, or GAME/PLAY.")],
    ingest: suite.Ingest = "",
    json: suite.Json = False,
) -> None:
    """Tell what became of the samples of a game or a play. Example: ghostback plays quality 2024091500/55."""
    full = suite.play_name(name) if "/" in name.removeprefix("games/") else suite.game_name(name)
    request = wire.view(pb.GetQualityReportRequest)(name=full)

    async def ask(client: Client) -> Any:
        return await client.ingest.GetQualityReport(request, timeout=suite.SECONDS)

    report = suite.run(suite.addresses({"ingest": ingest}), ask)
    if json:
        suite.show_json(report)
        return
    rows = [("accepted", "", f"{report.accepted_count:,}"), ("duplicates", "", f"{report.duplicate_count:,}")]
    for what in ("quarantined", "repaired", "kept", "rejected_trajectories"):
        rows += [
            (what.replace("_", " "), suite.word(pb.QuarantineReason, each.reason), f"{each.count:,}")
            for each in getattr(report, what)
        ]
    suite.show_table(("what", "why", "number"), rows)


@app.command()
def watch(
    game: suite.GameName,
    resume: Annotated[str, typer.Option(metavar="TOKEN", help="Go on after this `resume_token`.")] = "",
    count: Annotated[int, typer.Option(min=0, help="End after so many plays; 0 goes on until Ctrl-C.")] = 0,
    ingest: suite.Ingest = "",
    json: suite.Json = False,
) -> None:
    """Follow a game: its plays that are over, then each as it is completed or corrected.

    With --json each line is a play and the token to go on with.

    Example: ghostback plays watch 2024091500 --json
    """
    request = wire.view(pb.WatchPlaysRequest)(parent=suite.game_name(game), resume_token=resume)

    async def follow(client: Client) -> None:
        seen = 0
        async for response in client.ingest.WatchPlays(request):
            if json:
                typer.echo(jsons.dumps(suite.fields(response)))
            else:
                play, state, offense, target, outcome, what = _row(response.play)
                typer.echo(f"{play:8} {state:10} {offense:4} {target:10} {outcome:12} {what}")
            seen += 1
            if seen == count:
                return

    suite.run(suite.addresses({"ingest": ingest}), follow)


async def metadata(client: Client, play: str) -> pb.GetPlayResponse:
    """A play without its samples."""
    request = wire.view(pb.GetPlayRequest)(name=play)
    request.read_mask.paths.extend(_METADATA)
    response: pb.GetPlayResponse = await client.ingest.GetPlay(request, timeout=suite.SECONDS)
    return response


def _list_games(ingest: str, json: bool) -> None:
    request = wire.view(pb.ListGamesRequest)()
    found = suite.run(
        suite.addresses({"ingest": ingest}), lambda client: suite.whole_list(client.ingest.ListGames, request)
    )
    if json:
        suite.show_json(found)
        return
    suite.show_table(
        ("game", "teams", "league", "season", "week", "start, UTC"),
        [
            (
                each.name.removeprefix("games/"),
                f"{each.away_team} at {each.home_team}",
                *(each.league, str(each.season), str(each.week or "?")),
                each.start_time.ToDatetime().strftime("%Y-%m-%d %H:%M"),
            )
            for each in found.games
        ],
    )


def _row(play: play_pb2.Play) -> tuple[str, ...]:
    thrown = play.forward_pass
    return (
        play.name.rpartition("/")[2],
        suite.word(play_pb2.PlayState, play.state),
        play.offense_team,
        thrown.target_id,
        suite.word(play_pb2.PassOutcome, thrown.outcome) if play.HasField("forward_pass") else "",
        play.description,
    )
