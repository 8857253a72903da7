"""One layer of an explanation, put to the test."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor

from ..attribution import Attribution, Method, attribute_many
from ..models import Model
from ..record import Tail
from ..targets import Logit, Target
from ..trust import Evidence, correlation, correlation_interval
from ..trust._evidence import as_said
from ._explanation import Explanation
from ._parts import ClassScore

# Random sets of positions: so many of each size.
SETS, SHARES = 32, (0.1, 0.3, 0.5)
# Of a path, where the explanation's method takes one.
_PATH_STEPS = 16
# Tests that take long are made for so many of the classes that were asked for, or else for the most probable.
_MOST_CLASSES = 2


@dataclass(frozen=True, eq=False)
class Case:
    """What all tests of a layer need.

    Args:
        explanation: whose layer it is.
        name: of the layer.
        tail: from it to the logits.
    """

    explanation: Explanation
    name: str
    tail: Tail

    @property
    def model(self) -> Model:
        return self.explanation.model

    @property
    def values(self) -> np.ndarray:
        """[rows, columns, channels]: what the layer did."""
        return self.explanation.activations[self.name]

    @property
    def seed(self) -> int:
        return self.explanation.settings["seed"]

    @property
    def method(self) -> Method:
        return self.explanation.settings["method"]

    @cached_property
    def strength(self) -> np.ndarray:
        """[rows, columns]: how strongly the layer fires at each position."""
        return np.linalg.norm(self.values, axis=2)

    @cached_property
    def scores(self) -> list[ClassScore]:
        """The classes that tests are about which take long."""
        every, asked = self.explanation.classes, self.explanation.settings["classes"]
        return [score for score in every if score.index in asked][:_MOST_CLASSES] or [every[0]]

    @property
    def pairs(self) -> list[tuple[Target, None]]:
        """The same as targets, none of which is set against another."""
        return [(Logit(score.index), None) for score in self.scores]

    @cached_property
    def sets(self) -> np.ndarray:
        """bool [sizes, sets, positions]: random sets of positions."""
        generator, count = np.random.default_rng(self.seed), self.strength.size
        return np.stack(
            [np.argsort(generator.random((SETS, count)), axis=1) < round(share * count) for share in SHARES]
        )

    def attribute(self, image: Tensor, tail: Tail, method: Method | None = None) -> list[Attribution]:
        """Attribution of the tested classes on some photo and network, by the explanation's method or another."""
        targets = [target for target, _ in self.pairs]
        return attribute_many(
            tail.model,
            image,
            layer=self.name,
            targets=targets,
            method=method or self.method,
            steps=_PATH_STEPS,
            tail=tail,
        )

    def about(self, panel: str, score: ClassScore | None = None) -> str:
        """What evidence is about, as `Evidence.about` has it."""
        return f"{panel}:{self.name}" if score is None else f"{panel}:{self.name}:{score.index}"


def agreement(
    about: str,
    name: str,
    parts: Sequence[tuple[np.ndarray, np.ndarray]],
    strength: Sequence[np.ndarray],
    sentence: Callable[[str, str], str],
) -> Evidence:
    """How well what was said agrees with what was measured, beside mere strength, with an interval.

    Args:
        parts: pairs of said and measured, whose correlations are averaged.
        strength: what mere strength says, for each part.
        sentence: of the value with its interval, and the control, in words.
    """
    value = float(np.mean([correlation(*part) for part in parts]))
    control = float(np.mean([correlation(said, part[1]) for said, part in zip(strength, parts, strict=True)]))
    low, high = correlation_interval(*parts)
    interval = f"{as_said(value)} (95 % interval {as_said(low)} to {as_said(high)}; 1 is perfect)"
    return Evidence(
        about=about,
        name=name,
        value=round(value, 4),
        control=round(control, 4),
        sentence=sentence(interval, as_said(control)),
        low=round(low, 4),
        high=round(high, 4),
    )
