"""A play as a figure: the actual target on the left, another on the right, frame by frame."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from demo import field
from ghostback.client import Prediction, Target
from ghostback.play import FIELD_LENGTH, FIELD_WIDTH, ParticipantKind, Play
from ghostback.tracks import Tracks, resample

LEAD_SECONDS = 1.0
STEP_SECONDS = 0.1
OFFENSE, DEFENSE, BALL, TARGET = "#1f5fa8", "#c0392b", "#7a4a1e", "#f2b705"

Points = NDArray[np.float64]


def instructive(passes: Sequence[tuple[Play, Prediction]], count: int) -> list[tuple[Play, Prediction, Target]]:
    """The plays whose ghosts differ most between the actual target and another, with that other target."""
    found = []
    for play, prediction in passes:
        actual = next((t for t in prediction.targets if t.actual), None)
        if actual is None or len(actual.receiver) < 8:
            continue
        ends = {(g.defender_id, g.target_id): g.path[-1] for g in prediction.ghosts}
        for other in prediction.targets:
            moved = [
                float(np.linalg.norm(end - ends[defender, other.participant_id]))
                for (defender, target), end in ends.items()
                if target == actual.participant_id
            ]
            if not other.actual and moved:
                found.append((float(np.mean(moved)), play.name, play, prediction, other))
    found.sort(key=lambda each: (-each[0], each[1]))
    chosen: dict[str, tuple[Play, Prediction, Target]] = {}
    for _, name, play, prediction, other in found:
        chosen.setdefault(name, (play, prediction, other))
    return list(chosen.values())[:count]


def figure(play: Play, prediction: Prediction, other: Target) -> go.Figure:
    """The play with its ghosts for the actual target (left) and another (right), with a slider and a play button."""
    actual = next(target for target in prediction.targets if target.actual)
    steps = max(len(actual.receiver), len(other.receiver)) - 1
    tracks = resample(play, -LEAD_SECONDS, steps * STEP_SECONDS)
    shown = len(tracks.times) - 1
    sides = [_Side(play, prediction, tracks, target, axis) for target, axis in ((actual, ""), (other, "2"))]
    first, last = _extent(tracks, prediction, (actual, other))
    names = [_name(play, target.participant_id) for target in (actual, other)]
    titles = [f"Thrown to {names[0]}", f"What if it had gone to {names[1]}?"]
    drawn = make_subplots(1, 2, subplot_titles=titles, horizontal_spacing=0.03)
    for side, column in zip(sides, (1, 2), strict=True):
        for trace in side.traces(shown):
            drawn.add_trace(trace, 1, column)
    moments = range(len(tracks.times))
    drawn.frames = [
        go.Frame(name=_moment(tracks, i), data=[trace for side in sides for trace in side.traces(i)]) for i in moments
    ]
    drawn.update_layout(
        shapes=[shape for side in sides for shape in field.shapes(side.axis, first, last)],
        annotations=[*drawn.layout.annotations, *(n for side in sides for n in field.numbers(side.axis, first, last))],
        height=620,
        margin={"l": 10, "r": 10, "t": 40, "b": 10},
        paper_bgcolor="white",
        plot_bgcolor="white",
        legend={"orientation": "h", "y": -0.02, "x": 0.5, "xanchor": "center"},
        updatemenus=[_buttons()],
        sliders=[_slider([_moment(tracks, i) for i in moments], shown)],
    )
    drawn.update_xaxes(range=[first, last], visible=False, constrain="domain")
    drawn.update_yaxes(range=[-1, FIELD_WIDTH + 1], visible=False, constrain="domain")
    drawn.update_yaxes(scaleanchor="x", col=1)
    drawn.update_yaxes(scaleanchor="x2", col=2)
    return drawn


class _Side:
    """One of the two fields."""

    def __init__(self, play: Play, prediction: Prediction, tracks: Tracks, target: Target, axis: str) -> None:
        self.axis = axis
        self._tracks = tracks
        self._target = target
        self._lead = round(LEAD_SECONDS / STEP_SECONDS)
        self._ghosts = [ghost for ghost in prediction.ghosts if ghost.target_id == target.participant_id]
        self._rows = {
            True: self._rows_of(play, offense=True),
            False: self._rows_of(play, offense=False),
        }
        self._labels = {p.participant_id: p.position for p in play.participants}
        self._ball = play.ball

    def _rows_of(self, play: Play, offense: bool) -> list[int]:
        return [
            self._tracks.row(p.participant_id)
            for p in play.participants
            if p.kind is ParticipantKind.PLAYER
            and (p.team_id == play.offense_team) == offense
            and p.participant_id in self._tracks
        ]

    def traces(self, moment: int) -> list[go.Scatter]:
        """The field at a moment, always the same traces in the same order."""
        step = min(max(moment - self._lead, 0), len(self._target.receiver) - 1)
        ghosts = [self._tracks.row(g.defender_id) for g in self._ghosts if g.defender_id in self._tracks]
        played = [self._tracks.position[row, self._lead : self._lead + step + 1] for row in ghosts]
        heads = np.array([ghost.path[step] for ghost in self._ghosts]).reshape(-1, 2)
        return [
            self._lines(played, "Defensive back, as he moved", {"color": DEFENSE, "width": 2.5}),
            self._lines(
                [ghost.path[: step + 1] for ghost in self._ghosts],
                "His ghost",
                {"color": DEFENSE, "width": 2.5, "dash": "dash"},
            ),
            self._dots(heads, "", {"color": "white", "size": 15, "line": {"color": DEFENSE, "width": 2}}, legend=False),
            self._dots(
                self._target.receiver[-1:],
                "Place of arrival",
                {"color": TARGET, "size": 14, "symbol": "x", "line": {"color": "black", "width": 1}},
            ),
            self._dots(
                self._target.receiver[step][None]
                if moment >= self._lead
                else self._place(self._target.participant_id, moment),
                "Target",
                {"color": TARGET, "size": 26},
            ),
            self._team(True, moment, "Offense", OFFENSE),
            self._team(False, moment, "Defense", DEFENSE),
            self._dots(
                self._ball_at(moment, step), "Ball", {"color": BALL, "size": 9, "line": {"color": "white", "width": 1}}
            ),
        ]

    def _ball_at(self, moment: int, step: int) -> Points:
        if moment >= self._lead or self._ball is None:
            ball: Points = self._target.ball[step][None]
            return ball
        return self._place(self._ball.participant_id, moment)

    def _place(self, participant_id: str, moment: int) -> Points:
        if participant_id not in self._tracks:
            return np.full((1, 2), np.nan)
        place: Points = self._tracks.position[self._tracks.row(participant_id), moment][None]
        return place

    def _team(self, offense: bool, moment: int, name: str, color: str) -> go.Scatter:
        rows = self._rows[offense]
        labels = [self._labels[self._tracks.participant_ids[row]] for row in rows]
        places = self._tracks.position[rows, moment].reshape(-1, 2)
        return self._dots(places, name, {"color": color, "size": 19, "line": {"color": "white", "width": 1}}, labels)

    def _dots(
        self, places: Points, name: str, marker: dict[str, Any], labels: Sequence[str] = (), legend: bool = True
    ) -> go.Scatter:
        return go.Scatter(
            x=_rounded(places[:, 0]),
            y=_rounded(places[:, 1]),
            mode="markers+text" if labels else "markers",
            text=list(labels),
            textfont={"color": "white", "size": 9},
            marker=marker,
            name=name,
            showlegend=legend and not self.axis,
            hoverinfo="text+name" if labels else "name",
            xaxis=f"x{self.axis}",
            yaxis=f"y{self.axis}",
        )

    def _lines(self, paths: Iterable[Points], name: str, line: dict[str, Any]) -> go.Scatter:
        gap = np.full((1, 2), np.nan)
        joined = np.concatenate([gap, *(part for path in paths for part in (path, gap))])
        return go.Scatter(
            x=_rounded(joined[:, 0]),
            y=_rounded(joined[:, 1]),
            mode="lines",
            line=line,
            name=name,
            showlegend=not self.axis,
            hoverinfo="name",
            xaxis=f"x{self.axis}",
            yaxis=f"y{self.axis}",
        )


def _rounded(values: Points) -> list[float | None]:
    return [None if np.isnan(value) else round(float(value), 2) for value in values]


def _extent(tracks: Tracks, prediction: Prediction, targets: Sequence[Target]) -> tuple[float, float]:
    """The part of the field's length in which everything happens, yards."""
    xs = np.concatenate(
        [
            tracks.position[..., 0].ravel(),
            *(target.receiver[:, 0] for target in targets),
            *(ghost.path[:, 0] for ghost in prediction.ghosts),
        ]
    )
    return max(0.0, float(np.nanmin(xs)) - 3), min(FIELD_LENGTH, float(np.nanmax(xs)) + 3)


def _moment(tracks: Tracks, i: int) -> str:
    return f"{tracks.times[i]:+.1f} s"


def _name(play: Play, participant_id: str) -> str:
    participant = play.participant(participant_id)
    return f"{participant.display_name} ({participant.position})" if participant else participant_id


def _buttons() -> dict[str, Any]:
    running = {"frame": {"duration": 100, "redraw": False}, "transition": {"duration": 0}, "mode": "immediate"}
    stopped = {"frame": {"duration": 0, "redraw": False}, "mode": "immediate"}
    return {
        "type": "buttons",
        "direction": "left",
        "x": 0.0,
        "y": -0.09,
        "xanchor": "left",
        "yanchor": "top",
        "buttons": [
            {"label": "▶ Play", "method": "animate", "args": [None, running]},
            {"label": "❚❚ Pause", "method": "animate", "args": [[None], stopped]},
        ],
    }


def _slider(moments: Sequence[str], active: int) -> dict[str, Any]:
    shown = {"frame": {"duration": 0, "redraw": False}, "mode": "immediate", "transition": {"duration": 0}}
    return {
        "x": 0.16,
        "len": 0.84,
        "y": -0.06,
        "active": active,
        "currentvalue": {"prefix": "Time since the throw: ", "xanchor": "right"},
        "steps": [{"label": moment, "method": "animate", "args": [[moment], shown]} for moment in moments],
    }
