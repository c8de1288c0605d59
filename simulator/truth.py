"""What the simulator knows of a game's plays besides what the tags report."""

from dataclasses import dataclass

import numpy as np

from simulator.dropback import Dropback, covers_man
from simulator.flight import Aftermath
from simulator.outcome import Catch
from simulator.playbook import COVERAGES, DEFENSE, ELIGIBLE, Job
from simulator.reactions import Answer
from simulator.schedule import Setting
from simulator.script import Drawn, Scripts
from simulator.values import BEFORE_SNAP, Ints


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one defender had to do and did.

    Attributes:
        job: rush, man, or a zone.
        man: participant id of whom he covers at the release, by assignment or handed over; empty for nobody.
        blown: whether he plays the wrong man or zone.
        late: whether he sees the pass late.
        answer: what he does about the pass; None without one.
        reaction_frame: first frame of the play at which he does; -1 without a pass.
    """

    job: Job
    man: str
    blown: bool
    late: bool
    answer: Answer | None
    reaction_frame: int


@dataclass(frozen=True, slots=True)
class PlayTruth:
    """One play as its coaches would explain it.

    Attributes:
        coverage: such as `cover 3`.
        routes: what each eligible receiver runs, by participant id.
        assignments: of each defender, by participant id.
        catch: how the pass ended, drops and balls broken up apart.
        catch_probability: as the ball arrives, before it is touched; NaN without a pass.
        interception_probability: likewise.
    """

    coverage: str
    routes: dict[str, str]
    assignments: dict[str, Assignment]
    catch: Catch
    catch_probability: float
    interception_probability: float


@dataclass(frozen=True, slots=True)
class Truth:
    """Everything drawn and played out, in order of play.

    Attributes:
        seed: of the game.
        settings: of each play.
        drawn: who played, and tag noise.
        scripts: everything else drawn by chance.
        before: motion until the release.
        targets: (n_plays,) receiver (0-4) thrown to; without meaning for plays that are no passes.
        after: motion from the release, with that receiver.
        scores: (n_plays, 2) points of the offense and the defense before each play.
    """

    seed: int
    settings: tuple[Setting, ...]
    drawn: tuple[Drawn, ...]
    scripts: Scripts
    before: Dropback
    targets: Ints
    after: Aftermath
    scores: Ints

    def of_play(self, row: int) -> PlayTruth:
        """What is known of the play with the given number, counted from 0."""
        one = np.array([row])
        people, after = self.drawn[row].people, self.after
        in_man = covers_man(self.scripts.take(one), self.before.state.take(one))[0]
        release = BEFORE_SNAP + 1 + int(self.scripts.action[row])
        passed = after.catch[row] != Catch.NO_PASS
        assignments = {
            person.person_id: Assignment(
                job=Job(self.scripts.job[row, i]),
                man=people[6 + self.scripts.man[row, i]].person_id if in_man[i] else "",
                blown=bool(self.scripts.blown[row] == i),
                late=bool(self.scripts.late[row, i]),
                answer=Answer(after.reactions.answer[row, i]) if passed else None,
                reaction_frame=release + int(after.reactions.delay[row, i]) if passed else -1,
            )
            for i, person in enumerate(people[DEFENSE])
        }
        receivers = [person.person_id for person in people[ELIGIBLE]]
        return PlayTruth(
            coverage=COVERAGES[self.scripts.coverage[row]].name,
            routes=dict(zip(receivers, self.drawn[row].routes, strict=True)),
            assignments=assignments,
            catch=Catch(after.catch[row]),
            catch_probability=float(after.catch_probability[row]),
            interception_probability=float(after.interception_probability[row]),
        )
