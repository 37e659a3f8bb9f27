"""The base class of augmentation operations."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np

from scarce.dataset import Array, Floats, Ints
from scarce.errors import ConfigError, DataError
from scarce.lineage import key64
from scarce.recipe import PARTNER, Params, Parents, Pending, Scene, Tone, finished, rows_of_one
from scarce.registry import Plugin

APPLIED = "applied"
"""Key of the (N,) mask of samples that an operation was drawn for."""
_DIGITS = 5


@dataclass(frozen=True, kw_only=True)
class AbstractOperation(Plugin, ABC):
    """Base of operations: drawn parameters first, pixels second.

    A plugin says how many uniform numbers it needs (``uniforms``), turns them into parameters (:meth:`parameters`), and
    either moves pixels (neighbors are composed and resampled once), gives a tone (neighbors become one table or one
    matrix, done after the moves), or changes finished pixels in place. All work
    on N samples at once; one picture is N = 1, so that batches and single pictures agree to the bit. Parameters are
    shares of the picture, rounded to five digits, so that a recipe stays short and replays exactly.

    Args:
        probability: share of the samples that it is applied to, in [0, 1].
    """

    uniforms: ClassVar[int]
    """How many numbers in [0, 1) one sample needs (one more decides whether it is applied)."""
    modality: ClassVar[str] = "image"
    """The kind of data that it changes; other kinds than pictures offer :meth:`alter`."""
    partner: ClassVar[bool] = False
    """Whether :meth:`alter` or :meth:`combine` takes other samples."""
    partners: ClassVar[int] = 1
    """How many it takes, where it takes some."""
    geometric: ClassVar[bool] = False
    """True: moves pixels, offers :meth:`matrices` or, where it ``bends``, :meth:`sources`."""
    bends: ClassVar[bool] = False
    """True: a geometric operation that no matrix describes."""
    color: ClassVar[bool] = False
    """True: changes each pixel by its own value, offers :meth:`tone`. Neither: offers :meth:`change`."""

    probability: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a probability outside [0, 1]."""
        self.check("probability", self.probability, 0.0, 1.0)

    def check(self, name: str, value: float, low: float, high: float) -> None:
        """Refuse a setting outside [low, high].

        Raises:
            ConfigError: it is.
        """
        if not low <= value <= high:
            raise ConfigError(f"augment.{self.plugin_name()}", f"{name} = {value} is out of range",
                              f"it takes {low:g} to {high:g}")  # fmt: skip

    def check_range(self, name: str, pair: tuple[float, float], low: float, high: float) -> None:
        """Refuse a (low, high) setting that is reversed or leaves [low, high]."""
        self.check(name, pair[0], low, high)
        self.check(name, pair[1], pair[0], high)

    def uses_color(self) -> bool:
        """Return whether it treats the color channels differently (pointless on gray pictures)."""
        return False

    def parameters(self, uniform: Floats) -> dict[str, Any]:
        """Return drawn parameters from (N, uniforms) numbers in [0, 1): name to (N,) or (N, M) array, or one text."""
        raise NotImplementedError

    def matrices(self, params: Params, height: int, width: int) -> Floats:
        """Return (N, 3, 3) maps from source to destination pixels, pixel centers at whole numbers."""
        raise NotImplementedError

    def sources(self, params: Params, x: Floats, y: Floats, size: tuple[int, int]) -> tuple[Floats, Floats]:
        """Return where destination points of one (height, width) picture are read from, float32 as x and y."""
        raise NotImplementedError

    def tone(self, params: Params, rows: Ints, channels: int) -> Tone:
        """Return what it does to the values of some rows, pictures of 1 or 3 channels; params have N rows."""
        raise NotImplementedError

    def change(self, images: Array, params: Params, rows: Ints) -> None:
        """Change some rows of (N, H, W) or (N, H, W, 3) uint8 pictures in place; params have N rows."""
        raise NotImplementedError

    def ready(self) -> None:
        """Load what it needs beside the samples (words, models), so that what is missing is told at once.

        Raises:
            ConfigError: something is missing; the message says how to get it.
        """

    def alter(self, sample: Any, params: Params, other: Any = None) -> Any:
        """Return a changed text, sound (T,) or series (T,) or (C, T); never writes into its input.

        Args:
            sample: the decoded sample.
            params: its drawn parameters as plain values.
            other: the decoded partner, for operations that take one.
        """
        raise NotImplementedError

    def pool(self) -> tuple[bool, bool]:
        """Return whether its partners are of the sample's own class, and whether they must have a mask."""
        return True, False

    def combine(self, scene: Scene, params: Params, others: Sequence[Scene]) -> Scene:
        """Return a picture made of several; boxes of the partners stand behind those of the picture itself.

        Args:
            scene: the picture; not changed.
            params: its drawn parameters as plain values.
            others: the partners.
        """
        raise NotImplementedError

    def shares(self, params: Params) -> tuple[float, ...]:  # noqa: ARG002  those that mix labels look
        """Return how much of the label is the sample's own and each partner's; they sum to 1."""
        return (1.0, *([0.0] * self.partners))

    def draw_many(self, uniform: Floats) -> dict[str, Any]:
        """Return the parameters of N samples from (N, uniforms + 1) numbers, with the mask ``applied``."""
        drawn = {key: _short(value) for key, value in self.parameters(uniform[:, 1:]).items()}
        return {APPLIED: uniform[:, 0] < self.probability, **drawn}

    def draws(self, uniform: Floats) -> list[Drawn]:
        """Return itself with the parameters of N samples and the (N,) mask of those that get it."""
        drawn = self.draw_many(uniform)
        return [(self, drawn, drawn.pop(APPLIED))]

    def describe(self) -> dict[str, Any]:
        """Return the operation as plain values, with the key ``op``."""
        return {"op": self.plugin_name(), **self.params()}

    def draw(self, rng: np.random.Generator) -> dict[str, Any] | None:
        """Return the parameters of one sample as plain values, or None where it is not applied."""
        drawn = self.draw_many(rng.random((1, self.uniforms + 1)))
        return plain_row(drawn, 0) if drawn.pop(APPLIED)[0] else None

    def draw_for(self, sample_id: str, *, seed: int, operation: int, copy: int) -> dict[str, Any] | None:
        """Return what :meth:`draw` gives for one copy of a sample, whatever the order."""
        return self.draw(np.random.default_rng([seed, key64(sample_id), operation, copy]))

    def replay(self, scene: Scene, params: Params, parents: Parents) -> Scene:
        """Return the scene changed by drawn parameters; the mask and the boxes of a pixel operation stay."""
        if self.partner:
            return self.combine(
                scene, params, [parents.scene(name) for name in partners_in(self.plugin_name(), params)]
            )
        values, only = rows_of_one(params), np.zeros(1, np.int64)
        if self.geometric or self.color:
            waiting = Pending(1, *scene.image.shape[:2])
            (waiting.move if self.geometric else waiting.shade)(self, values, only)
            return finished(scene, waiting)
        images = scene.image[None].copy()
        self.change(images, values, only)
        return scene._replace(image=images[0])


def partners_in(name: str, params: Params) -> list[str]:
    """Return the ids of the partners that drawn parameters name.

    Raises:
        DataError: they name none.
    """
    if PARTNER not in params:
        raise DataError(f"augment.{name}", "it mixes several samples, and no partner was drawn",
                        do="use Policy.apply_mixed or scarce.augment.run, which draw partners")  # fmt: skip
    return [str(one) for one in np.atleast_1d(params[PARTNER])]


def plain_row(drawn: Mapping[str, Any], row: int) -> dict[str, Any]:
    """Return one sample's drawn parameters as values that JSON holds exactly."""
    return {
        key: value if isinstance(value, str) else value[row].tolist() for key, value in drawn.items() if key != APPLIED
    }


def spread(uniform: Floats, low: float, high: float) -> Floats:
    """Return numbers in [low, high] from numbers in [0, 1)."""
    return low + (high - low) * uniform


def identities(n: int) -> Floats:
    """Return (n, 3, 3) identity matrices."""
    return np.broadcast_to(np.eye(3), (n, 3, 3)).copy()


def _short(value: Any) -> Any:
    return np.round(value, _DIGITS) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


Drawn: TypeAlias = tuple[AbstractOperation, dict[str, Any], Array]
"""An operation, its parameters for N samples, and the (N,) bool mask of the samples that get it."""
