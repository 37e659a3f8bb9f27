"""Any strategies together, each with its share of the batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, final

import numpy as np

from scarce import registry
from scarce.dataset import Floats, Ints
from scarce.errors import ConfigError
from scarce.label.query._base import AbstractQuery, Picks, Pool


@final
@dataclass(frozen=True, kw_only=True)
class Mix(AbstractQuery):
    """Let several strategies choose in turns, each its share of the batch and none what another chose.

    Use to hedge: half of the batch in doubt and half spread out, with some by chance for an honest estimate.
    Do not use to find out which strategy is good; compare them in a study.
    Needs: what its parts need.
    Source: interleaving as in Baram, El-Yaniv and Luz 2004, with fixed shares.

    Args:
        parts: names of strategies.
        weights: share of each; empty = the same for all.
        settings: parameters of the parts, by name.
        seed: of the parts that draw.
    """

    needs: ClassVar[tuple[str, ...]] = ("embedding", "pred_probs")
    parts: tuple[str, ...] = ("margin", "core_set")
    weights: tuple[float, ...] = ()
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse parts and weights that do not fit."""
        if not self.parts or "mix" in map(registry.canonical, self.parts):
            raise ConfigError("label.query.mix", f"parts = {list(self.parts)}", do="name strategies other than mix")
        weights = self.weights or (1.0,) * len(self.parts)
        if len(weights) != len(self.parts) or min(weights) < 0 or not sum(weights) > 0:
            raise ConfigError("label.query.mix", f"{len(self.parts)} parts and weights {list(self.weights)}",
                              do="give one weight >= 0 for each part")  # fmt: skip

    def members(self) -> list[AbstractQuery]:
        """Return the strategies.

        Raises:
            UnknownNameError: there is no such strategy.
            ConfigError: a parameter of a part makes no sense.
        """
        made = []
        for name in self.parts:
            kind: type[AbstractQuery] = registry.load("label.query", name, AbstractQuery)  # type: ignore[type-abstract]
            draws = {"seed": self.seed} if "seed" in {item.name for item in fields(kind)} else {}
            made.append(kind.from_params({**draws, **self.settings.get(registry.canonical(name), {})}))
        return made

    def turns(self, n: int) -> Ints:
        """Return (n,) whose turn it is: always the part that is most behind its share."""
        share = np.array(self.weights or (1.0,) * len(self.parts), np.float64)
        share /= share.sum()
        had, out = np.zeros(len(share)), np.zeros(n, np.int64)
        for place in range(n):
            out[place] = int(np.argmax(share * (place + 1) - had))
            had[out[place]] += 1
        return out

    def utility(self, pool: Pool) -> Floats:
        """Return (M,) weighted mean of the parts' ranks, in [0, 1]."""
        share = np.array(self.weights or (1.0,) * len(self.parts), np.float64)
        out = np.zeros(len(pool.candidates))
        for weight, part in zip(share / share.sum(), self.members(), strict=True):
            value = np.nan_to_num(part.utility(pool), nan=-1.0)
            rank = np.searchsorted(np.sort(value), value, side="right") / max(len(value), 1)
            out += weight * rank
        return out

    def rank(self, pool: Pool, n: int) -> Picks:
        """Return the parts' picks in turns."""
        turns = self.turns(min(n, len(pool.candidates)))
        now, found = pool, []
        for place, part in enumerate(self.members()):
            picks = part.rank(now, int((turns == place).sum()))
            now = now.asking(picks.rows)
            found.append(list(zip(picks.rows.tolist(), picks.value.tolist(),
                                  (f"{part.plugin_name()}: {why}" for why in picks.why), strict=True)))  # fmt: skip
        chosen = [found[turn].pop(0) for turn in turns if found[turn]]
        chosen += [item for rest in found for item in rest]
        return Picks(
            np.array([row for row, _, _ in chosen], np.int64), np.array([value for _, value, _ in chosen]),
            tuple(why for _, _, why in chosen),
        )  # fmt: skip

    def say(self, pool: Pool, rows: Ints, value: Floats) -> list[str]:  # noqa: ARG002  the shape of the base class
        """Return the reasons."""
        return [f"chosen by {', '.join(self.parts)} together"] * len(rows)
