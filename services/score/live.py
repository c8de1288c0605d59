"""What can be known of live plays, as soon as it can be: decisions before the throw, forecasts, how it was covered."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

import numpy as np
import structlog

from ghostback.play import Pass, Play, PlayState
from services.common import tracing
from services.common.errors import DomainError, FailedPrecondition, ResourceExhausted, Unavailable
from services.score import decisions, lines, metrics, profiles, trajectories
from services.score.decisions import Options
from services.score.statistics import Arrival
from services.score.watchers import Known, Moment, Watchers

T = TypeVar("T")

_RATED_SECONDS = 0.5
"""How often a decision is rated before the throw, at most."""
_LONGEST_SECONDS = 30.0
"""How long after the snap a play is rated that has no throw and is not over."""
_LATE_SECONDS, _ASKED_SECONDS = 2.0, 0.02
"""How long, and how often, samples of a moment, and who does not answer, are waited for after it was told."""
_FOLLOWED = 1024
"""Live plays that are remembered; the oldest of more is taken as over."""
_log = structlog.get_logger()


class Upstreams(Protocol):
    """Where plays and forecasts come from; every method raises DomainError."""

    def live(self) -> AsyncGenerator[Play, None]:
        """Plays as they change from now on, without samples, and as they are over; ends now and then."""
        ...

    async def revised(self, name: str) -> tuple[Play, int]:
        """A play as it is now, with the samples it has, and its revision."""
        ...

    async def at_throw(self, play: Play) -> tuple[float, float]:
        """Probability that the receiver thrown to catches the ball, and that a defender does, at the throw."""
        ...

    async def options(self, play: Play) -> Options:
        """Forecasts of passes to every eligible receiver, made as the ball leaves the hand."""
        ...

    async def arrival(self, play: Play) -> Arrival:
        """Forecast of the pass as it arrived."""
        ...


@dataclass(slots=True)
class _Followed:
    """A live play: what was begun for it, and in whose turn; its rating goes on until the throw."""

    begun: dict[Moment, tuple[int, str]] = field(default_factory=dict)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    rating: asyncio.Task[None] | None = None


class Live:
    """Follows live plays and tells watchers; each thing is computed once, and only where somebody watches."""

    def __init__(self, upstreams: Upstreams, watchers: Watchers, seconds: float) -> None:
        """Follow nothing yet.

        Args:
            upstreams: where plays and forecasts come from.
            watchers: who is told.
            seconds: how long to wait for what does not answer.
        """
        self._upstreams = upstreams
        self._seconds = seconds
        self._watchers = watchers
        self._plays: OrderedDict[str, _Followed] = OrderedDict()
        self._tasks = asyncio.TaskGroup()
        self._rating = asyncio.Lock()
        self._throws = 0
        self._calm = asyncio.Event()
        self._calm.set()

    async def run(self) -> None:
        """Follow until cancelled."""
        async with self._tasks:
            while True:
                try:
                    async with aclosing(self._upstreams.live()) as changed:
                        async for play in changed:
                            self._note(play)
                except DomainError as error:
                    _log.info("live statistics wait", problem=error.message)
                    await asyncio.sleep(self._seconds)

    def _note(self, play: Play) -> None:
        """Begin what a change of a play gives cause to."""
        if play.state is not PlayState.LIVE or not self._watchers.watch_for(play.name):
            if followed := self._plays.pop(play.name, None):
                _stop(followed)
            return
        followed = self._plays.setdefault(play.name, _Followed())
        if len(self._plays) > _FOLLOWED:
            _stop(self._plays.popitem(last=False)[1])
        thrown = play.forward_pass
        if thrown is None:
            snap = next((event.frame for event in play.events if event.name == "ball_snap"), None)
            if snap is not None and (followed.rating is None or followed.rating.done()):
                followed.rating = self._tasks.create_task(self._rate(play, snap))
            return
        _stop(followed)
        self._begin(followed, Moment.AT_THROW, play, thrown.forward_frame, self._throw)
        if thrown.arrived_frame and thrown.target_id:
            self._begin(followed, Moment.AT_ARRIVAL, play, thrown.arrived_frame, self._arrival)

    def _begin(
        self,
        followed: _Followed,
        moment: Moment,
        play: Play,
        frame: int,
        work: Callable[[Play, int], Awaitable[None]],
    ) -> None:
        """Begin what is due at a moment, unless it was; again where the frame or the target turns out another."""
        assert play.forward_pass is not None  # noqa: S101
        of = frame, play.forward_pass.target_id
        if followed.begun.get(moment) == of:
            return
        followed.begun[moment] = of

        async def tell() -> None:
            async with followed.turn:
                with self._before_ratings(), tracing.calling(f"live/{moment}", play=play.name):
                    await self._when_there(play.name, frame, work)

        self._tasks.create_task(_harmless(tell(), moment, play.name))

    @contextmanager
    def _before_ratings(self) -> Iterator[None]:
        """Let no rating begin, as long as the context lasts."""
        self._throws += 1
        self._calm.clear()
        try:
            yield
        finally:
            self._throws -= 1
            if not self._throws:
                self._calm.set()

    async def _when_there(self, name: str, frame: int, work: Callable[[Play, int], Awaitable[None]]) -> None:
        """Do something with a play and its revision once its samples are there up to a frame, and who is asked answers.

        Raises:
            DomainError: they do not come, the play lacks something else, or something does not answer for long.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + _LATE_SECONDS
        while True:
            try:
                play, revision = await self._upstreams.revised(name)
                if not (play.samples.frame >= frame).any():
                    raise FailedPrecondition("TRACKS_INCOMPLETE", f"{name} has no samples at frame {frame}", name)
                await work(play, revision)
            except (FailedPrecondition, Unavailable, ResourceExhausted) as error:
                lacks_more = isinstance(error, FailedPrecondition) and error.reason != "TRACKS_INCOMPLETE"
                if lacks_more or loop.time() >= until:
                    raise
                await asyncio.sleep(_ASKED_SECONDS)
            else:
                return

    async def _rate(self, told: Play, snap: int) -> None:
        """Rate the decision again and again until cancelled.

        One play at a time, when no throw or arrival is waited for, and with a rest as long as each rating took: so
        throws do not wait long, and the more games there are, the less often decisions are rated before them.
        """
        loop = asyncio.get_running_loop()
        until, rated = loop.time() + _LONGEST_SECONDS, snap
        while loop.time() < until and self._watchers.watch_for(told.name):
            async with self._rating:
                await self._calm.wait()
                began = loop.time()
                rated = await _harmless(self._rated(told.name, snap, rated), Moment.PRE_THROW, told.name) or rated
                await asyncio.sleep(loop.time() - began)
            await asyncio.sleep(began + _RATED_SECONDS - loop.time())

    async def _rated(self, name: str, snap: int, last: int) -> int:
        """Rate the decision at the last whole frame there is, unless it was rated; gives the frame."""
        with tracing.calling(f"live/{Moment.PRE_THROW}", play=name):
            play, revision = await self._upstreams.revised(name)
            frames, counts = np.unique(play.samples.frame, return_counts=True)
            frame = int(frames[counts >= np.median(counts)].max(initial=last))
            if frame > last:
                cut = decisions.thrown_at(play, frame)
                options = await self._upstreams.options(cut)
                decision = decisions.decide(cut, frame, options.forecasts)
                line = lines.before_throw(play, (frame - snap) / play.sample_rate, decision)
                self._watchers.tell(Known(name, revision, Moment.PRE_THROW, frame, line, decision))
        return frame

    async def _throw(self, play: Play, revision: int) -> None:
        """Tell how likely the catch is, at once; then what each option is worth too."""
        thrown = _thrown(play)
        cut = play.known_at(thrown.forward_frame)
        known = Known(play.name, revision, Moment.AT_THROW, thrown.forward_frame, "", target_id=thrown.target_id)
        if thrown.target_id:
            completion, interception = await self._upstreams.at_throw(cut)
            line = lines.at_throw(play, completion, interception, None)
            known = replace(known, line=line, completion=completion, interception=interception)
            self._watchers.tell(known)
        options = await self._upstreams.options(cut)
        decision = decisions.decide(cut, thrown.forward_frame, options.forecasts)
        line = lines.at_throw(play, known.completion, known.interception, decision)
        self._watchers.tell(replace(known, line=line, decision=decision))

    async def _arrival(self, play: Play, revision: int) -> None:
        """Tell how likely the catch was as the ball arrived, and how well it was covered."""
        thrown = _thrown(play)
        actual = trajectories.actual(play)
        scores = metrics.score_trajectories(np.stack(list(actual.paths.values())), actual.receiver, profiles.DEFAULT)
        score = metrics.play_score(scores, profiles.DEFAULT)
        arrival = await self._upstreams.arrival(play)
        self._watchers.tell(
            Known(
                play.name,
                revision,
                Moment.AT_ARRIVAL,
                thrown.arrived_frame,
                lines.at_arrival(play, arrival, score),
                target_id=thrown.target_id,
                completion=arrival.completion,
                interception=arrival.interception,
                play_score=score,
            )
        )


async def _harmless(work: Coroutine[Any, Any, T], moment: Moment, play: str) -> T | None:
    """Do something; what goes wrong with it is logged, and nothing else."""
    try:
        return await work
    except DomainError as error:
        _log.info("nothing to tell", moment=moment, play=play, problem=error.message)
    except Exception:
        _log.exception("nothing to tell", moment=moment, play=play)
    return None


def _stop(followed: _Followed) -> None:
    if followed.rating:
        followed.rating.cancel()


def _thrown(play: Play) -> Pass:
    if play.forward_pass is None:
        raise FailedPrecondition("PLAY_WITHOUT_PASS", f"{play.name} has no pass any more", play.name)
    return play.forward_pass
