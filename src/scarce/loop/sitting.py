"""One person at the queue: the next question, an answer, one step back; every answer is kept at once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from scarce.errors import unknown_name
from scarce.loop.answering import ASIDE, RIGHT, UNDO, UNSURE, Answer, say
from scarce.loop.asking import KINDS, LABEL, Question, questions

if TYPE_CHECKING:
    from scarce.project import Project

LONGEST_SECONDS: Final = 600.0
"""An answer that took longer counts so much: somebody went for a coffee."""


@dataclass(eq=False)
class Sitting:
    """Answers of one person; several people may sit at the same queue.

    Args:
        project: whose queue it is.
        voter: who answers.
        kinds: of questions, see :data:`scarce.loop.asking.KINDS`.
        only: samples that are asked about, for example those of a round; None = all.
    """

    project: Project
    voter: str
    kinds: Collection[str] = KINDS
    only: Collection[str] | None = None
    _given: list[tuple[Question, Answer]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Read the version whose samples are asked about."""
        self.ds = self.project.dataset()

    @property
    def given(self) -> int:
        """How many answers were given and not taken back."""
        return len(self._given)

    def waiting(self) -> list[Question]:
        """Return the questions that wait now, the most urgent first; what others answered meanwhile is gone."""
        found = questions(self.project, self.ds, self.kinds)
        return found if self.only is None else [item for item in found if item.sample in self.only]

    def answer(self, question: Question, word: str, seconds: float | None = None) -> Answer:
        """Keep an answer.

        Args:
            question: what was asked.
            word: a class, ``right``, ``set aside`` or ``unsure``.
            seconds: how long it took.

        Raises:
            UnknownNameError: there is no such class.
        """
        verdict, label = word, question.label
        if word not in (RIGHT, ASIDE, UNSURE) or (word == RIGHT and question.label is None):
            if word not in self.ds.schema.classes:
                raise unknown_name("label", "class", word, self.ds.schema.classes)
            verdict, label = (RIGHT if word == label and question.kind != LABEL else LABEL), word
        said = Answer(
            number=question.number, sample=question.sample, verdict=verdict,
            label=None if verdict in (ASIDE, UNSURE) else label, voter=self.voter, reason=question.reason,
            seconds=None if seconds is None else round(min(seconds, LONGEST_SECONDS), 3),
        )  # fmt: skip
        say(self.project, [said])
        self._given.append((question, said))
        return said

    def undo(self) -> Question | None:
        """Take the last answer of this sitting back and return its question, which waits again; None = there is none.

        The answer stays in the annotations, followed by a note that it was taken back.
        """
        if not self._given:
            return None
        question, said = self._given.pop()
        back = Answer(number=said.number, sample=said.sample, verdict=UNDO, label=None, voter=self.voter,
                      reason=said.reason)  # fmt: skip
        say(self.project, [back])
        return question
