"""Policies: which operations, how strong, and why; one preset per domain."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from scarce.augment._base import APPLIED, AbstractOperation
from scarce.augment._partner import partners_of, with_partners
from scarce.augment._preset import BY_KIND, PRESETS, WORDS
from scarce.augment._preset_other import OTHER_PRESETS, Settings
from scarce.augment._uniform import uniforms
from scarce.dataset import Array, Dataset, Floats
from scarce.errors import ConfigError, DataError, unknown_name
from scarce.lineage import key64
from scarce.recipe import BORDERS, Params, Parents, Scene, checked, compose, find, fit_mask, replay, warp_images, write
from scarce.registry import load


@dataclass(frozen=True)
class Policy:
    """Operations in order; what each sample gets is drawn from its id, the seed and the copy.

    Args:
        operations: applied one after the other; neighboring geometric ones cost one resample.
        name: the preset's or the user's name.
        why: the reason for people.
    """

    operations: tuple[AbstractOperation, ...]
    name: str = "own"
    why: str = ""

    def __post_init__(self) -> None:
        """Refuse operations on different kinds of data.

        Raises:
            ConfigError: there are some.
        """
        kinds = {operation.modality: operation.plugin_name() for operation in self.operations}
        if len(kinds) > 1:
            told = ", ".join(f"{name} changes {kind}" for kind, name in kinds.items())
            raise ConfigError("augment.policy", "its operations change different kinds of data", told,
                              "write one policy for each kind")  # fmt: skip

    @property
    def modality(self) -> str:
        """The kind of data that it changes."""
        return self.operations[0].modality if self.operations else "image"

    def draw(self, rng: np.random.Generator) -> list[tuple[str, Params]]:
        """Return (``augment.name``, drawn parameters) of one sample from one generator."""
        return self._named([operation.draw(rng) for operation in self.operations])

    def draw_for(self, sample_id: str, *, seed: int = 0, copy: int = 0) -> list[tuple[str, Params]]:
        """Return what copy (or epoch) ``copy`` of a sample gets, whatever the order, batch or worker."""
        return self._named(
            [
                operation.draw_for(sample_id, seed=seed, operation=index, copy=copy)
                for index, operation in enumerate(self.operations)
            ]
        )

    def recipe(self, sample_id: str, *, seed: int = 0, copy: int = 0) -> str:
        """Return the recipe of one copy of a sample; needs no picture."""
        return write(sample_id, self.draw_for(sample_id, seed=seed, copy=copy), seed=seed, copy=copy)

    def recipe_with(self, sample_id: str, ids: Sequence[str], *, seed: int, copy: int) -> tuple[str, list[str]]:
        """Return the recipe of one copy and its partners, chosen from ids of the same class where one is taken."""
        wanted = {f"augment.{operation.plugin_name()}": operation.partner for operation in self.operations}
        drawn = self.draw_for(sample_id, seed=seed, copy=copy)
        drawn = with_partners(drawn, wanted, ids, base=sample_id, key=(seed, copy))
        return write(sample_id, drawn, seed=seed, copy=copy), partners_of(drawn)

    def alter(self, sample: Any, rng: np.random.Generator, other: Any = None) -> Any:
        """Return a changed text, sound or series; ``other``: a second sample of its class, for those that take one."""
        for name, params in self.draw(rng):
            sample = find(name).alter(sample, params, other)
        return sample

    def apply(
        self, image: Array, rng: np.random.Generator, mask: Array | None = None, boxes: Floats | None = None
    ) -> Any:
        """Return the changed picture, or the tuple of picture, mask (if given) and boxes (if given).

        Args:
            image: uint8 (H, W) or (H, W, 3).
            rng: where the parameters are drawn from.
            mask: (H, W) bool that follows.
            boxes: (M, 4) x0 y0 x1 y1 pixels that follow; a box that left the picture comes back without area.
        """
        image = checked(image)
        held = None if mask is None else fit_mask(np.asarray(mask), image.shape[0], image.shape[1])
        scene = replay(Scene(image, held, boxes), self.draw(rng), Parents(lambda _: image))
        found = [scene.image, *([] if mask is None else [scene.mask]), *([] if boxes is None else [scene.boxes])]
        return found[0] if len(found) == 1 else tuple(found)

    def apply_batch(self, images: Array, ids: Sequence[str] | Array, *, seed: int = 0, epoch: int | Array = 0) -> Array:
        """Return N changed pictures; see :func:`apply_batch`."""
        return apply_batch(images, ids, self, seed, epoch)

    def without_color(self) -> Policy:
        """Return the policy for gray pictures: operations that work on color channels are left out."""
        kept = tuple(operation for operation in self.operations if not operation.uses_color())
        return Policy(kept, self.name, self.why)

    def to_toml(self) -> str:
        """Return the policy as TOML: name, why, and one ``[[operation]]`` table each."""
        lines = [f"name = {_toml(self.name)}", f"why = {_toml(self.why)}"]
        for operation in self.operations:
            lines += ["", "[[operation]]", f"op = {_toml(operation.plugin_name())}"]
            lines += [f"{key} = {_toml(value)}" for key, value in operation.params().items()]
        return "\n".join(lines) + "\n"

    @classmethod
    def from_toml(cls, text: str) -> Policy:
        """Read a policy from TOML.

        Raises:
            ConfigError: the text is no TOML, or an operation or a setting is unknown.
        """
        try:
            body = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError("augment.policy", f"the policy is no valid TOML ({error})") from error
        known = {"name", "why", "operation"}
        if set(body) - known:
            raise unknown_name("augment.policy", "key", min(set(body) - known), known)
        tables = body.get("operation", [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) and "op" in table for table in tables):
            raise ConfigError("augment.policy", "a policy needs [[operation]] tables, each with a key op",
                              do='write [[operation]] and op = "flip"')  # fmt: skip
        items = [(str(table["op"]), {key: value for key, value in table.items() if key != "op"}) for table in tables]
        return build(items, name=str(body.get("name", "own")), why=str(body.get("why", "")))

    def params(self) -> dict[str, Any]:
        """Return the policy as plain values for the lineage."""
        return {"name": self.name, "operations": [[op.plugin_name(), op.params()] for op in self.operations]}

    def _named(self, drawn: Sequence[Params | None]) -> list[tuple[str, Params]]:
        pairs = zip(self._names, drawn, strict=True)
        return [(name, params) for name, params in pairs if params is not None]

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(f"augment.{operation.plugin_name()}" for operation in self.operations)


def apply_batch(
    images: Array, ids: Sequence[str] | Array, policy: Policy, seed: int = 0, epoch: int | Array = 0
) -> Array:
    """Return N changed pictures, the same to the bit as N recipes of copy ``epoch``; made for small pictures.

    Args:
        images: (N, H, W), (N, H, W, 1) or (N, H, W, 3) uint8; not changed.
        ids: N sample ids, or their (N,) uint64 keys (:func:`scarce.lineage.key64`), which saves hashing every epoch.
        policy: what to apply.
        seed: the run's seed.
        epoch: the epoch; equals the number of the copy offline. (N,) numbers where a sample occurs more than once in
            an epoch and each time should look different.
    """
    if images.ndim == 4 and images.shape[3] == 1:
        return apply_batch(images[..., 0], ids, policy, seed, epoch)[..., None]
    keys = keys_of(ids)
    fits = images.ndim == 3 or (images.ndim == 4 and images.shape[3] == 3)
    if images.dtype != np.uint8 or not fits or len(images) != len(keys):
        raise DataError("augment", f"a batch of type {images.dtype} and shape {images.shape} for {len(keys)} ids",
                        "it takes uint8 (N, H, W) or (N, H, W, 3)")  # fmt: skip
    out = images.copy()
    matrix: Floats | None = None
    border = np.full(len(out), BORDERS[0], object)
    width = max((operation.uniforms + 1 for operation in policy.operations), default=0)
    numbers = uniforms(seed, keys, len(policy.operations), epoch, width)
    for operation, uniform in zip(policy.operations, numbers, strict=True):
        drawn = operation.draw_many(uniform[:, : operation.uniforms + 1])
        applied = drawn.pop(APPLIED)
        if operation.geometric:
            step = operation.matrices(drawn, out.shape[1], out.shape[2])
            step[~applied] = np.eye(3)
            matrix = step if matrix is None else compose(step, matrix)
            border[applied] = drawn.get("border", border[applied])
            continue
        if matrix is not None:
            _warp_batch(out, matrix, border)
            matrix, border[:] = None, BORDERS[0]
        operation.change(out, drawn, np.flatnonzero(applied))
    if matrix is not None:
        _warp_batch(out, matrix, border)
    return out


def keys_of(ids: Sequence[str] | Array) -> npt.NDArray[np.uint64]:
    """Return (N,) random keys of sample ids; keys pass through."""
    if isinstance(ids, np.ndarray) and ids.dtype == np.uint64:
        return ids
    return np.fromiter((key64(str(item)) for item in ids), np.uint64, count=len(ids))


def _warp_batch(images: Array, matrices: Floats, border: Array) -> None:
    moved = (matrices != np.eye(3)).any(axis=(1, 2))
    for name in BORDERS:
        rows = np.flatnonzero(moved & (border == name))
        if len(rows):
            images[rows] = warp_images(images[rows], matrices[rows], name)


def build(items: Sequence[tuple[str, Settings]], *, name: str = "own", why: str = "") -> Policy:
    """Return a policy from (operation, settings) pairs.

    Raises:
        UnknownNameError: no such operation.
        ConfigError: a setting is unknown or wrong.
    """
    operations = (load("augment", op, AbstractOperation).from_params(settings) for op, settings in items)
    return Policy(tuple(operations), name, why)


def policy(name: str) -> Policy:
    """Return the preset of a domain.

    Raises:
        UnknownNameError: no such preset; the message names the closest.
    """
    key = name.strip().lower().replace("-", "_").replace(" ", "_")
    known = {**PRESETS, **OTHER_PRESETS}
    if key not in known:
        raise unknown_name("augment.policy", "policy", name, known)
    why, items = known[key]
    return build(items, name=key, why=" ".join(why.split()))


def guess_domain(ds: Dataset) -> tuple[str, str]:
    """Return (domain, reason) from class names, known sound classes and the gray flag of the scan."""
    names = ds.schema.classes
    if ds.schema.modality in BY_KIND:
        return BY_KIND[ds.schema.modality], f"the samples are {ds.schema.modality}"
    for domain in ("garment", "medical", "surface", "text_in_picture"):
        hits = [name for name in names if WORDS[domain] & _words(name)]
        if hits and len(hits) * 3 >= len(names):
            return (
                domain,
                f"{len(hits)} of {len(names)} class names are {domain.replace('_', ' ')} words: {hits[0]!r} ...",
            )
    if len(names) > 1 and all(len(name) == 1 for name in names):
        return "text_in_picture", "every class is one sign"
    if ds.schema.normal_classes:
        return "surface", f"{ds.schema.normal_classes[0]!r} is a sound class, so this looks like inspection"
    gray = ds["scan.gray"].astype(bool) if "scan.gray" in ds and len(ds) else np.zeros(1, bool)
    if gray.mean() > 0.9:
        return "gray", f"{gray.mean():.0%} of the pictures are gray and the class names say nothing"
    return "natural", "neither the class names nor the pictures point to a special domain"


def _words(name: str) -> set[str]:
    return set(re.split(r"[^a-z]+", name.lower().replace("t-shirt", "tshirt")))


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{escaped}"'
    return "[" + ", ".join(_toml(item) for item in value) + "]" if isinstance(value, list) else repr(value)
