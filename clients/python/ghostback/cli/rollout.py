"""`ghostback rollout`: start rollouts, watch them, and act on them."""

import getpass
import json as jsons
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ghostback import wire
from ghostback.cli import policy, suite
from ghostback.cli.failures import CommandError
from ghostback.client import Client
from ghostback.predict.v1 import rollout_service_pb2 as pb

app = typer.Typer(no_args_is_help=True)

Policy = Annotated[Path, typer.Argument(metavar="FILE", help="Policy, a YAML file.")]
Name = Annotated[str, typer.Argument(metavar="ROLLOUT", help="Such as ghosting/3; a model's name means its latest.")]
Reason = Annotated[str, typer.Option("--reason", "-m", help="Why, for the log.")]
Etag = Annotated[str, typer.Option(help="Act only if the rollout is still at this etag.")]


@app.command()
def start(file: Policy, reason: Reason = "", predict: suite.Predict = "", json: suite.Json = False) -> None:
    """Start a rollout. Example: ghostback rollout start policy.yaml -m "more accurate on deep passes"."""
    response = _call(predict, "CreateRollout", policy=policy.read(file), actor=getpass.getuser(), reason=reason)
    _show(response.rollout, json)


@app.command()
def plan(
    file: Policy,
    keys: Annotated[list[str] | None, typer.Option("--key", help="Say which arm this play would get.")] = None,
    predict: suite.Predict = "",
    json: suite.Json = False,
) -> None:
    """Tell what a policy file would change; changes nothing. Example: ghostback rollout plan policy.yaml."""
    wanted = policy.read(file)
    response = _call(predict, "PreviewRollout", policy=wanted, keys=keys or [])
    if json:
        suite.show_json(response)
    else:
        Console().print(_plan(wanted, response, keys or []))
    if response.problems:
        raise typer.Exit(1)


@app.command()
def status(name: Name, predict: suite.Predict = "", json: suite.Json = False) -> None:
    """Show a rollout with its evidence. Example: ghostback rollout status ghosting."""
    _show(_call(predict, "GetRollout", name=_full(predict, name)).rollout, json)


@app.command("list")
def list_(
    model: Annotated[str, typer.Argument(help="Only rollouts of this model.")] = "",
    predict: suite.Predict = "",
    json: suite.Json = False,
) -> None:
    """List rollouts, the latest first. Example: ghostback rollout list ghosting."""
    response = _call(predict, "ListRollouts", parent=f"models/{model}" if model else "", page_size=1000)
    if json:
        suite.show_json(response)
        return
    rows = [
        (_short(each.name), suite.word(pb.RolloutMode, each.policy.mode), _state(each), each.state_description)
        for each in response.rollouts
    ]
    suite.show_table(("rollout", "mode", "state", "why"), rows)


@app.command()
def watch(name: Name, predict: suite.Predict = "", json: suite.Json = False) -> None:
    """Follow a rollout until it is over; --json gives a line a change. Example: ghostback rollout watch ghosting."""
    full = _full(predict, name)

    async def follow(client: Client) -> None:
        request = wire.view(pb.WatchRolloutRequest)(name=full)
        with Live(console=Console(quiet=json), auto_refresh=False) as live:
            async for response in client.rollouts.WatchRollout(request):
                if json:
                    typer.echo(jsons.dumps(suite.fields(response.rollout)))
                else:
                    live.update(picture(response.rollout), refresh=True)

    suite.run(suite.addresses({"predict": predict}), follow)


@app.command()
def promote(
    name: Name,
    arm: Annotated[str, typer.Option(help="The arm that becomes stable, where there are several.")] = "",
    full: Annotated[bool, typer.Option("--full", help="Leave out the steps that are left.")] = False,
    reason: Reason = "",
    etag: Etag = "",
    predict: suite.Predict = "",
    json: suite.Json = False,
) -> None:
    """Go to the next step, or make the arm stable. Example: ghostback rollout promote ghosting --full."""
    _act("Promote", predict, json, name, reason, etag, arm=arm, full=full)


@app.command()
def pause(
    name: Name, reason: Reason = "", etag: Etag = "", predict: suite.Predict = "", json: suite.Json = False
) -> None:
    """Hold a rollout at its step. Example: ghostback rollout pause ghosting -m "game day"."""
    _act("Pause", predict, json, name, reason, etag)


@app.command()
def resume(
    name: Name, reason: Reason = "", etag: Etag = "", predict: suite.Predict = "", json: suite.Json = False
) -> None:
    """Go on with a paused rollout; its step begins anew. Example: ghostback rollout resume ghosting."""
    _act("Resume", predict, json, name, reason, etag)


@app.command()
def rollback(
    name: Name, reason: Reason = "", etag: Etag = "", predict: suite.Predict = "", json: suite.Json = False
) -> None:
    """Have stable answer everything, or undo a success. Example: ghostback rollout rollback ghosting -m "slow"."""
    _act("RollBack", predict, json, name, reason, etag)


@app.command()
def abort(
    name: Name, reason: Reason = "", etag: Etag = "", predict: suite.Predict = "", json: suite.Json = False
) -> None:
    """End a rollout that is not wanted any more. Example: ghostback rollout abort ghosting."""
    _act("Abort", predict, json, name, reason, etag)


@app.command()
def history(
    name: Annotated[str, typer.Argument(help="A model, or a rollout such as ghosting/3; all when left out.")] = "",
    predict: suite.Predict = "",
    json: suite.Json = False,
) -> None:
    """Show who did what and why, the latest first. Example: ghostback rollout history ghosting."""
    parent = _full(predict, name) if "/" in name else f"models/{name}" if name else ""
    response = _call(predict, "ListRolloutEvents", parent=parent, page_size=1000)
    if json:
        suite.show_json(response)
        return
    rows = [
        (
            each.time.ToDatetime().strftime("%Y-%m-%d %H:%M:%S"),
            _short(each.rollout),
            each.actor,
            each.action,
            each.reason,
        )
        for each in response.events
    ]
    suite.show_table(("UTC", "rollout", "who", "what", "why"), rows)


def _call(predict: str, method: str, **fields: Any) -> Any:
    async def call(client: Client) -> Any:
        request = wire.view(getattr(pb, f"{method}Request"))(**fields)
        return await getattr(client.rollouts, method)(request, timeout=suite.SECONDS)

    return suite.run(suite.addresses({"predict": predict}), call)


def _act(action: str, predict: str, json: bool, name: str, reason: str, etag: str, **fields: Any) -> None:
    full = _full(predict, name)
    response = _call(
        predict, f"{action}Rollout", name=full, actor=getpass.getuser(), reason=reason, etag=etag, **fields
    )
    _show(response.rollout, json)


def _full(predict: str, name: str) -> str:
    """The resource name of `model/number`, or of a model's latest rollout."""
    model, _, number = name.removeprefix("models/").replace("/rollouts/", "/").partition("/")
    if number:
        return f"models/{model}/rollouts/{number}"
    latest = _call(predict, "ListRollouts", parent=f"models/{model}", page_size=1).rollouts
    if not latest:
        raise CommandError(f"{model} has no rollout; `ghostback rollout start FILE` starts one")
    return str(latest[0].name)


def _short(name: str) -> str:
    return name.removeprefix("models/").replace("/rollouts/", "/")


def _state(rollout: pb.Rollout) -> str:
    return suite.word(pb.RolloutState, rollout.state)


def _show(rollout: pb.Rollout, json: bool) -> None:
    if json:
        suite.show_json(rollout)
    else:
        Console().print(picture(rollout))


def picture(rollout: pb.Rollout) -> RenderableType:
    """Weights, plays and evidence of a rollout, each guardrail with its interval."""
    steps = max(len(rollout.policy.steps), 2 if rollout.policy.mode == pb.ROLLOUT_MODE_BLUE_GREEN else 1)
    title = f"{_short(rollout.name)}  {_state(rollout)}  step {rollout.step + 1} of {steps}  etag {rollout.etag}"
    arms = Table("arm", "version", "percent", "", "calls", "failed", "judged", "why out", box=None, pad_edge=False)
    for arm in rollout.arms:
        bar = "█" * round(arm.percent / 5)
        counts = (f"{count:,}" for count in (arm.call_count, arm.error_count, arm.judged_count))
        arms.add_row(arm.arm, arm.model_version.rpartition("/")[2], f"{arm.percent:g}", bar, *counts, arm.problem)
    readings = Table("arm", "guardrail", "estimate", "interval", "limit", "n", "verdict", box=None, pad_edge=False)
    for each in rollout.readings:
        verdict = suite.word(pb.Verdict, each.verdict)
        interval = f"{_number(each, 'lower')} to {_number(each, 'upper')}"
        colour = {"pass": "green", "fail": "red"}.get(verdict, "yellow")
        readings.add_row(
            *(each.arm, each.kind, _number(each, "estimate"), interval, f"{each.limit:g}", f"{each.count:,}"),
            Text(verdict, colour),
        )
    parts: Sequence[RenderableType] = [Text(title, "bold"), Text(rollout.state_description), arms, readings]
    return Group(*parts)


def _number(reading: pb.GuardrailReading, field: str) -> str:
    return f"{getattr(reading, field):.4g}" if reading.HasField(field) else "?"  # type: ignore[arg-type]


def _plan(wanted: pb.RolloutPolicy, preview: pb.PreviewRolloutResponse, keys: Sequence[str]) -> RenderableType:
    changes = Table("arm", "version", *(f"step {i + 1}" for i in range(len(preview.steps))), box=None, pad_edge=False)
    versions = {"stable": preview.stable_version.rpartition("/")[2], **{arm.name: arm.version for arm in wanted.arms}}
    for i, (arm, version) in enumerate(versions.items()):
        changes.add_row(arm, version, *(f"{step.weights[i].percent:g}%" for step in preview.steps))
    routed = Table("key", *(f"step {i + 1}" for i in range(len(preview.steps))), box=None, pad_edge=False)
    for i, key in enumerate(keys):
        routed.add_row(key, *(step.arms[i] for step in preview.steps))
    problems = [Text(f"would be refused: {problem}", "red") for problem in preview.problems]
    heading = Text(f"{_short(preview.name)}, {suite.word(pb.RolloutMode, wanted.mode)}", "bold")
    return Group(heading, changes, *([routed] if keys else []), *problems)
