"""Statistics and decisions as the contract has them."""

from ghostback import wire
from ghostback.score.v1 import statistics_service_pb2 as pb
from services.score import lines
from services.score.decisions import Decision
from services.score.statistics import Kind, Statistic
from services.score.store import KeptPlay
from services.score.watchers import Known, Moment

KINDS = {kind: pb.StatisticKind.Value(f"STATISTIC_KIND_{kind.name}") for kind in Kind}
_MOMENTS = {moment: pb.Moment.Value(f"MOMENT_{moment.name}") for moment in Moment}


def statistic(play: str, revision: int, known: Statistic) -> pb.Statistic:
    """A statistic of a revision of a play, named by its resource name."""
    return wire.view(pb.Statistic)(
        play=play,
        revision=revision,
        kind=KINDS[known.kind],
        participant_id=known.participant_id,
        display_name=known.display_name,
        team_id=known.team_id,
        position=known.position,
        value=known.value,
        actual=known.actual,
        expected=known.expected,
        model_versions=known.model_versions,
    )


def decision(known: Decision) -> pb.Decision:
    """A decision."""
    message = wire.view(pb.Decision)(frame=known.frame, chosen_target_id=known.chosen_id, explanation=known.explanation)
    for option in known.options:
        message.options.add(
            target_id=option.target_id,
            completion_probability=option.completion,
            interception_probability=option.interception,
            air_yards=option.air_yards,
            yards_after_catch=option.yards_after_catch,
            value=option.value,
            value_low=option.low,
            value_high=option.high,
            best_probability=option.best_probability,
        )
    if known.left:
        message.value_left = known.left.value
        message.value_left_low = known.left.low
        message.value_left_high = known.left.high
    return message


def of_live_play(known: Known) -> pb.WatchStatisticsResponse:
    """What is known of a live play."""
    return wire.view(pb.WatchStatisticsResponse)(
        play=known.play,
        revision=known.revision,
        moment=_MOMENTS[known.moment],
        frame=known.frame,
        decision=decision(known.decision) if known.decision else None,
        target_id=known.target_id,
        completion_probability=known.completion,
        interception_probability=known.interception,
        play_score=known.play_score,
        line=known.line,
    )


def of_kept_play(kept: KeptPlay, resume_token: str) -> pb.WatchStatisticsResponse:
    """What is kept of a play."""
    return wire.view(pb.WatchStatisticsResponse)(
        play=kept.play,
        revision=kept.revision,
        moment=pb.MOMENT_CORRECTED if kept.corrected else pb.MOMENT_COMPLETE,
        statistics=[statistic(kept.play, kept.revision, each) for each in kept.statistics],
        line=lines.complete(kept.statistics),
        resume_token=resume_token,
    )
