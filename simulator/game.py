"""Whole games: plays as the tags report them, and each play as it would have gone with another target."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import islice

import numpy as np

from ghostback.play import (
    FIELD_LENGTH,
    FIELD_WIDTH,
    Event,
    Game,
    Participant,
    ParticipantKind,
    Pass,
    PassOutcome,
    Play,
    PlayState,
    Situation,
)
from simulator import dropback, flight, schedule, script, tags
from simulator.flight import Aftermath
from simulator.outcome import Catch, Ending
from simulator.playbook import CARRIER, ELIGIBLE, N_ELIGIBLE, QUARTERBACK, Kind
from simulator.schedule import Setting
from simulator.script import Drawn, Scripts
from simulator.throw import throws
from simulator.tracks import track
from simulator.truth import Truth
from simulator.values import BEFORE_SNAP, RATE, Floats, Ints

BALL = Participant("ball", ParticipantKind.BALL, "Football", "", "", -1, (1,))
"""The ball and its tag, the same in every game."""

_BETWEEN_PLAYS = timedelta(seconds=40)
_OUTCOMES = {
    Catch.COMPLETE: (PassOutcome.COMPLETE, "pass_outcome_caught"),
    Catch.INCOMPLETE: (PassOutcome.INCOMPLETE, "pass_outcome_incomplete"),
    Catch.DROPPED: (PassOutcome.INCOMPLETE, "pass_outcome_incomplete"),
    Catch.DEFENDED: (PassOutcome.INCOMPLETE, "pass_outcome_incomplete"),
    Catch.INTERCEPTED: (PassOutcome.INTERCEPTED, "pass_outcome_interception"),
}
_ENDINGS = {
    Ending.TACKLE: "tackle",
    Ending.SACK: "qb_sack",
    Ending.OUT_OF_BOUNDS: "out_of_bounds",
    Ending.TOUCHDOWN: "touchdown",
}


@dataclass(frozen=True, slots=True)
class SimulatedGame:
    """A game and what would have been.

    Attributes:
        game: the game.
        plays: in order of play, as the tags report them: with noise, without faults.
        truth: what only the simulator knows.
    """

    game: Game
    plays: tuple[Play, ...]
    truth: Truth = field(repr=False, compare=False)

    def retarget(self, play_id: str, participant_id: str) -> Play:
        """The same play had the pass been thrown to another receiver: the true what-if.

        Up to and including the release it is the same play, sample by sample.

        Raises:
            KeyError: no such play.
            ValueError: the play has no pass, or nobody of that id could have caught it.
        """
        row = {play.play_id: i for i, play in enumerate(self.plays)}[play_id]
        receivers = [p.person_id for p in self.truth.drawn[row].people[ELIGIBLE]]
        if self.plays[row].forward_pass is None:
            raise ValueError(f"play {play_id} has no forward pass")
        if participant_id not in receivers:
            raise ValueError(f"{participant_id} is not an eligible receiver of play {play_id}")
        return self._replay(np.array([row]), np.array([receivers.index(participant_id)]))[0]

    def retarget_all(self) -> dict[tuple[str, str], Play]:
        """Every pass thrown to every eligible receiver, by play id and participant id.

        The receiver truly thrown to is there too, with the play as it is in `plays`.
        """
        rows, receivers = self._passes()
        other = receivers != self.truth.targets[rows]
        replays = iter(self._replay(rows[other], receivers[other]))
        return {
            self._attempt(row, receiver): next(replays) if replayed else self.plays[row]
            for row, receiver, replayed in zip(rows, receivers, other, strict=True)
        }

    def redraw(self, draw: int, throw: bool = False) -> "SimulatedGame":
        """The same game with the defenders' reactions drawn anew: delays, answers, effort and misjudgement.

        Up to and including the release, hand-off or sack every play is the same, sample by sample,
        and so are the pass and its luck unless they are to be drawn too. How far two draws lie apart is
        what no prediction made at the throw can know: the floor of its error.

        Args:
            draw: 1 or more; the same draw gives the same game.
            throw: whether to draw the air time and aim of the throw and all luck after it, too.

        Raises:
            ValueError: the draw is below 1.
        """
        truth = self.truth
        scripts = self._redrawn(draw, throw)
        return _played(
            self.game,
            replace(truth, scripts=scripts, after=flight.play_out(scripts, truth.before.state, truth.targets)),
        )

    def at_arrival(self) -> dict[tuple[str, str], tuple[float, float]]:
        """Probabilities of a catch and of an interception as the ball arrives, before it is touched.

        They are of every pass to every eligible receiver, by play id and participant id, as in `retarget_all`.
        """
        return self._probabilities([self.truth.scripts])

    def at_throw(self, draws: int = 32) -> dict[tuple[str, str], tuple[float, float]]:
        """The same probabilities as the ball leaves the hand: means over draws of all that is not known then.

        Args:
            draws: how often reactions and throw are drawn, 1 or more.
        """
        return self._probabilities([self._redrawn(draw, throw=True) for draw in range(1, draws + 1)])

    def endings(self, draws: int) -> dict[tuple[str, str], tuple[Ints, Floats]]:
        """How passes to every eligible receiver end, played on from the release many times.

        Reactions, throw and all luck are drawn anew each time.

        Args:
            draws: how often, 1 or more.

        Returns:
            By play id and participant id, (draws,) `Catch` and (draws,) yards from the line of scrimmage, along the
            field, to where a run after the catch ended, or an incomplete or intercepted pass came down.
        """
        rows, receivers = self._passes()
        state, line = self.truth.before.state.take(rows), self.truth.scripts.line[rows]
        catches, yards = [], []
        for draw in range(1, draws + 1):
            after = flight.play_out(self._redrawn(draw, throw=True).take(rows), state, receivers)
            plays = np.arange(len(rows))
            stopped = after.position[np.minimum(after.end, len(after.position) - 1), plays, after.holder, 0]
            catches.append(after.catch)
            yards.append(np.where(after.catch == Catch.COMPLETE, stopped, after.place[:, 0]) - line)
        return {
            self._attempt(row, receiver): (catch, gained)
            for row, receiver, catch, gained in zip(
                rows, receivers, np.array(catches).T, np.array(yards).T, strict=True
            )
        }

    def gains(self, attempts: Sequence[tuple[str, str]], draws: int, from_arrival: bool = False) -> Floats:
        """Yards that passes gain, played on many times.

        Args:
            attempts: play id and participant id of whom the pass is thrown to, of n passes.
            draws: how often, 1 or more.
            from_arrival: whether reactions, throw and catch stay as they are, and only what follows is drawn anew.

        Returns:
            (n, draws) yards from the line of scrimmage, along the field, at most to the end zone; NaN where the pass
            is not caught.
        """
        rows_of = {self._attempt(row, receiver): (row, receiver) for row, receiver in zip(*self._passes(), strict=True)}
        rows, receivers = np.array([rows_of[attempt] for attempt in attempts], np.intp).reshape(-1, 2).T
        state, line = self.truth.before.state.take(rows), self.truth.scripts.line[rows]
        gains = []
        for draw in range(1, draws + 1):
            scripts = self._redrawn(draw, throw=True)
            if from_arrival:
                scripts = replace(self.truth.scripts, grip=scripts.grip, call=scripts.call)
            after = flight.play_out(scripts.take(rows), state, receivers)
            last = np.minimum(after.end, len(after.position) - 1)
            stopped = after.position[last, np.arange(len(rows)), after.holder, 0]
            gained = np.minimum(stopped, FIELD_LENGTH - 10.0) - line
            gains.append(np.where(after.catch == Catch.COMPLETE, gained, np.nan))
        return np.stack(gains, axis=1)

    def _redrawn(self, draw: int, throw: bool) -> Scripts:
        if draw < 1:
            raise ValueError("the draw must be 1 or more")
        generators = [script.generator(self.truth.seed, i, draw) for i in range(len(self.plays))]
        return self.truth.scripts.redrawn(generators, throw)

    def _probabilities(self, draws: list[Scripts]) -> dict[tuple[str, str], tuple[float, float]]:
        rows, receivers = self._passes()
        state = self.truth.before.state.take(rows)
        after = [flight.play_out(drawn.take(rows), state, receivers, until_arrival=True) for drawn in draws]
        caught = np.mean([each.catch_probability for each in after], axis=0)
        intercepted = np.mean([each.interception_probability for each in after], axis=0)
        return {
            self._attempt(row, receiver): (complete, interception)
            for row, receiver, complete, interception in zip(
                rows, receivers, caught.tolist(), intercepted.tolist(), strict=True
            )
        }

    def _passes(self) -> tuple[Ints, Ints]:
        """Number of the play and receiver (0-4) of every pass to every receiver."""
        passes = np.flatnonzero(self.truth.scripts.kind == Kind.PASS)
        return np.repeat(passes, N_ELIGIBLE), np.tile(np.arange(N_ELIGIBLE), len(passes))

    def _attempt(self, row: int, receiver: int) -> tuple[str, str]:
        return self.plays[row].play_id, self.truth.drawn[row].people[ELIGIBLE][receiver].person_id

    def _replay(self, rows: Ints, receivers: Ints) -> list[Play]:
        if not len(rows):
            return []
        truth = self.truth
        after = flight.play_out(truth.scripts.take(rows), truth.before.state.take(rows), receivers)
        return [
            _play(self.game, truth, after, row, replay, receiver)
            for replay, (row, receiver) in enumerate(zip(rows, receivers, strict=True))
        ]


def simulate_game(seed: int, n_plays: int = 150) -> SimulatedGame:
    """Simulate a game; its first plays do not depend on how many follow.

    Args:
        seed: 0 or more; the same seed gives the same game.
        n_plays: 1 or more.

    Raises:
        ValueError: the seed or the number of plays is out of range.
    """
    if seed < 0 or n_plays < 1:
        raise ValueError("the seed must be 0 or more, and a game has a play or more")
    game = schedule.game_of(seed)
    settings = tuple(islice(schedule.drives(seed, game), n_plays))
    drawn = tuple(script.draw(seed, i, s.offense, s.defense, s.line) for i, s in enumerate(settings))
    scripts = script.stack([d.script for d in drawn])
    before = dropback.run(scripts)
    targets = throws(scripts, before.state).appeal.argmax(-1)
    after = flight.play_out(scripts, before.state, targets)
    return _played(game, Truth(seed, settings, drawn, scripts, before, targets, after, _scores(settings, after)))


def _played(game: Game, truth: Truth) -> SimulatedGame:
    plays = tuple(_play(game, truth, truth.after, i, i, target) for i, target in enumerate(truth.targets))
    return SimulatedGame(game, plays, truth)


def _scores(settings: tuple[Setting, ...], after: Aftermath) -> Ints:
    """Points (n_plays, 2) of the offense and the defense before each play; every touchdown counts seven."""
    points = dict.fromkeys({team for s in settings for team in (s.offense, s.defense)}, 0)
    scores = []
    for setting, ending, catch in zip(settings, after.ending, after.catch, strict=True):
        scores.append((points[setting.offense], points[setting.defense]))
        if ending == Ending.TOUCHDOWN:
            points[setting.defense if catch == Catch.INTERCEPTED else setting.offense] += 7
    return np.array(scores)


def _play(game: Game, truth: Truth, after: Aftermath, row: int, replay: int, receiver: int) -> Play:
    """Play `row` of the game, played out as `after[replay]` with the ball thrown to a receiver (0-4)."""
    setting, drawn, scripts = truth.settings[row], truth.drawn[row], truth.scripts
    position, velocity = track(scripts, truth.before, after, row, replay)
    gain = float(position[BEFORE_SNAP + scripts.action[row] + after.end[replay], -1, 0] - setting.line)
    if setting.direction < 0:
        position, velocity = np.array([FIELD_LENGTH, FIELD_WIDTH]) - position, -velocity
    participants = tuple(
        Participant(p.person_id, ParticipantKind.PLAYER, p.name, p.team, p.position, p.jersey, (int(p.person_id),))
        for p in drawn.people
    )
    tag_ids = np.array([int(p.person_id) for p in drawn.people] + list(BALL.tag_ids), np.uint64)
    forward_pass, events = _story(scripts, after, row, replay, drawn.people[6 + receiver].person_id, drawn)
    offense_score, defense_score = truth.scores[row].tolist()
    return Play(
        game_id=game.game_id,
        play_id=str(40 + 23 * row),
        offense_team=setting.offense,
        offense_direction=setting.direction,
        sample_rate=float(RATE),
        start_time=game.start_time + row * _BETWEEN_PLAYS,
        participants=(*participants, BALL),
        events=events,
        forward_pass=forward_pass,
        situation=Situation(
            quarter=setting.quarter,
            game_clock=setting.clock,
            down=setting.down,
            yards_to_go=setting.to_go,
            line_of_scrimmage=setting.line if setting.direction > 0 else FIELD_LENGTH - setting.line,
            offense_score=offense_score,
            defense_score=defense_score,
        ),
        state=PlayState.COMPLETE,
        description=_description(drawn, receiver, forward_pass, events[-1].name, gain),
        samples=tags.report(position, velocity, drawn.noise, setting.direction, tag_ids),
    )


def _story(
    scripts: Scripts, after: Aftermath, row: int, replay: int, target_id: str, drawn: Drawn
) -> tuple[Pass | None, tuple[Event, ...]]:
    """The pass, if there was one, and the events of a play."""
    snap = BEFORE_SNAP + 1
    action = int(snap + scripts.action[row])
    events = [Event("ball_snap", snap)]
    forward_pass = None
    if scripts.kind[row] == Kind.PASS:
        outcome, name = _OUTCOMES[Catch(after.catch[replay])]
        arrived = int(action + after.flight[replay])
        forward_pass = Pass(drawn.people[QUARTERBACK].person_id, target_id, outcome, action, arrived)
        events += [Event("pass_forward", action), Event("pass_arrived", arrived)]
        events.append(Event(name, int(arrived + scripts.call[row])))
    elif scripts.kind[row] == Kind.RUN:
        events.append(Event("handoff", action))
    if after.ending[replay] != Ending.INCOMPLETE:
        events.append(Event(_ENDINGS[Ending(after.ending[replay])], int(action + after.end[replay])))
    return forward_pass, tuple(events)


def _description(drawn: Drawn, receiver: int, forward_pass: Pass | None, ending: str, gain: float) -> str:
    def short(slot: int) -> str:
        first, last = drawn.people[slot].name.split()
        return f"{first[0]}.{last}"

    yards = f"for {gain:.0f} yards" + (", touchdown" if ending == "touchdown" else "")
    if forward_pass is None:
        if ending == "qb_sack":
            return f"{short(QUARTERBACK)} sacked {yards}."
        return f"{short(6 + CARRIER)} runs {yards}."
    thrown = f"{short(QUARTERBACK)} pass"
    to = f"to {short(6 + receiver)}"
    if forward_pass.outcome is PassOutcome.COMPLETE:
        return f"{thrown} {to} {yards}."
    if forward_pass.outcome is PassOutcome.INTERCEPTED:
        return f"{thrown} intended for {short(6 + receiver)} intercepted."
    return f"{thrown} incomplete {to}."
