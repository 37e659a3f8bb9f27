"""Policies: which operations, how strong, and why; one preset per domain."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from scarce.augment._base import AbstractOperation, plain_row
from scarce.augment._batch import Mixer, change_batch, keys_of
from scarce.augment._group import Entry, OneOf
from scarce.augment._partner import Pool, with_partners
from scarce.augment._preset import BY_KIND, PRESETS, WORDS
from scarce.augment._preset_other import OTHER_PRESETS
from scarce.augment._toml import build_entry, read_toml, write_toml
from scarce.augment.automatic import POLICIES, rand_augment
from scarce.dataset import Array, Dataset, Floats, Ints
from scarce.errors import ConfigError, DataError, ReadError, unknown_name
from scarce.lineage import key64
from scarce.recipe import ALONE, Params, Scene, checked, find, fit_mask, replay, write

__all__ = ["OneOf", "Policy", "apply_batch", "build", "guess_domain", "keys_of", "policy"]


@dataclass(frozen=True)
class Policy:
    """Operations in order; what each sample gets is drawn from its id, the seed and the copy.

    Args:
        operations: applied one after the other; neighboring geometric ones cost one resample.
        name: the preset's or the user's name.
        why: the reason for people.
        normalize: mean and deviation of the channels on the scale 0 to 1, used by :meth:`finish`.
        to_tensor: :meth:`finish` puts the channels first.
    """

    operations: tuple[AbstractOperation | OneOf, ...]
    name: str = "own"
    why: str = ""
    normalize: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    to_tensor: bool = False

    def __post_init__(self) -> None:
        """Refuse operations on different kinds of data.

        Raises:
            ConfigError: there are some.
        """
        kinds = {operation.modality: operation.plugin_name() for operation in self.parts()}
        if len(kinds) > 1:
            told = ", ".join(f"{name} changes {kind}" for kind, name in kinds.items())
            raise ConfigError("augment.policy", "its operations change different kinds of data", told,
                              "write one policy for each kind")  # fmt: skip

    @property
    def modality(self) -> str:
        """The kind of data that it changes."""
        parts = self.parts()
        return parts[0].modality if parts else "image"

    def draw(self, rng: np.random.Generator) -> list[tuple[str, Params]]:
        """Return (``augment.name``, drawn parameters) of one sample from one generator."""
        return [found for entry in self.operations for found in _drawn(entry, rng)]

    def draw_for(self, sample_id: str, *, seed: int = 0, copy: int = 0) -> list[tuple[str, Params]]:
        """Return what copy (or epoch) ``copy`` of a sample gets, whatever the order, batch or worker."""
        key = key64(sample_id)
        return [
            found
            for index, entry in enumerate(self.operations)
            for found in _drawn(entry, np.random.default_rng([seed, key, index, copy]))
        ]

    def recipe(self, sample_id: str, *, seed: int = 0, copy: int = 0) -> str:
        """Return the recipe of one copy of a sample; needs no picture."""
        return write(sample_id, self.draw_for(sample_id, seed=seed, copy=copy), seed=seed, copy=copy)

    @property
    def mixes(self) -> dict[str, AbstractOperation]:
        """Return ``augment.name`` to the operation, of those that take other samples."""
        return {f"augment.{one.plugin_name()}": one for one in self.parts() if one.partner}

    def draw_with(self, sample_id: str, pool: Pool, *, seed: int, copy: int) -> list[tuple[str, Params]]:
        """Return what :meth:`draw_for` gives, with partners from a pool where some are taken."""
        drawn = self.draw_for(sample_id, seed=seed, copy=copy)
        return with_partners(drawn, self.mixes, pool, base=sample_id, key=(seed, copy))

    def without_mixes(self) -> Policy:
        """Return the policy without the operations that take other samples."""
        return self.only([one for one in self.parts() if not one.partner]) if self.mixes else self

    def alter(self, sample: Any, rng: np.random.Generator, other: Any = None) -> Any:
        """Return a changed text, sound or series; ``other``: a second sample of its class, for those that take one."""
        for name, params in self.draw(rng):
            sample = find(name).alter(sample, params, other)
        return sample

    def apply(
        self, image: Array, rng: np.random.Generator, mask: Array | None = None, boxes: Floats | None = None,
        points: Floats | None = None,
    ) -> Any:  # fmt: skip
        """Return the changed picture, or the tuple of picture, mask, boxes and points, those that were given.

        Args:
            image: uint8 (H, W) or (H, W, 3).
            rng: where the parameters are drawn from.
            mask: (H, W) bool that follows.
            boxes: (M, 4) x0 y0 x1 y1 pixels that follow; a box that left the picture comes back without area.
            points: (M, 2) x y pixels that follow; they may leave the picture.

        Raises:
            DataError: the picture cannot be changed, or boxes or points are not of these shapes.
        """
        image = checked(image)
        held = None if mask is None else fit_mask(np.asarray(mask), image.shape[0], image.shape[1])
        boxes = None if boxes is None else _numbers("boxes", boxes, 4)
        points = None if points is None else _numbers("points", points, 2)
        turned = np.zeros(0) if boxes is None else boxes[(boxes[:, :2] > boxes[:, 2:]).any(axis=1)]
        if len(turned):
            raise DataError("augment", "a box ends before it begins", f"it is {turned[0]}",
                            "write boxes as x0, y0, x1, y1")  # fmt: skip
        scene = replay(Scene(image, held, boxes, points), self.draw(rng), ALONE)
        found = [part for part in scene if part is not None]
        return found[0] if len(found) == 1 else tuple(found)

    def apply_batch(self, images: Array, ids: Sequence[str] | Array, *, seed: int = 0, epoch: int | Array = 0) -> Array:
        """Return N changed pictures; see :func:`apply_batch`."""
        return apply_batch(images, ids, self, seed, epoch)

    def apply_mixed(
        self, images: Array, labels: Floats, ids: Sequence[str] | Array, pool: Pool, *, seed: int = 0,
        epoch: int | Array = 0,
    ) -> tuple[Array, Floats]:  # fmt: skip
        """Return N changed pictures, mixes included, and their labels.

        Args:
            images: as in :func:`apply_batch`.
            labels: (N, K) shares of the classes; not changed.
            ids: N sample ids or keys.
            pool: the training samples that may be partners, with ``scene``.
            seed: the run's seed.
            epoch: the epoch; equals the number of the copy offline, where the pool is the same.
        """
        mixer = Mixer(pool, np.array(labels, np.float32))
        return change_batch(images, ids, self.operations, seed, epoch, mixer=mixer), mixer.labels

    def pool(self, ids: Sequence[str], codes: Ints, marked: Array, scene: Callable[[str], Scene]) -> Pool:
        """Return the pool of ids, (M,) classes, (M,) whether each has a mask, and what opens one."""
        return Pool(ids, codes, marked, scene)

    def parts(self) -> tuple[AbstractOperation, ...]:
        """Return every operation that a sample may get, those in groups too."""
        return tuple(one for entry in self.operations for one in _operations(entry))

    def only(self, kept: Sequence[AbstractOperation]) -> Policy:
        """Return the policy with these of its operations; a group keeps the choices that are whole."""
        left = (entry.only(kept) if isinstance(entry, OneOf) else entry for entry in self.operations)
        chosen = (one for one in left if isinstance(one, OneOf) or (one is not None and one in kept))
        return replace(self, operations=tuple(chosen))

    def without_color(self) -> Policy:
        """Return the policy for gray pictures: operations that work on color channels are left out."""
        return self.only([operation for operation in self.parts() if not operation.uses_color()])

    def finish(self, images: Array) -> Array:
        """Return pictures as a network takes them: normalized float32 if ``normalize`` is set, (..., C, H, W) if
        ``to_tensor`` is; else as they are.
        """  # noqa: D205  one sentence
        out = images
        if self.normalize is not None:
            mean, deviation = (np.asarray(part, np.float32) for part in self.normalize)
            out = (images.astype(np.float32) / np.float32(255) - mean) / deviation
        return np.ascontiguousarray(np.moveaxis(out, -1, -3)) if self.to_tensor else out

    def to_toml(self) -> str:
        """Return the policy as TOML; :meth:`from_toml` reads it."""
        return write_toml(self.params(), self.why)

    @classmethod
    def from_toml(cls, text: str) -> Policy:
        """Read a policy from TOML.

        Raises:
            ConfigError: the text is no TOML, or an operation or a setting is unknown.
        """
        return cls(**read_toml(text))

    def params(self) -> dict[str, Any]:
        """Return the policy as plain values for the lineage."""
        finish: dict[str, Any] = {"normalize": [list(part) for part in self.normalize]} if self.normalize else {}
        finish |= {"to_tensor": True} if self.to_tensor else {}
        return {"name": self.name, "operations": [entry.describe() for entry in self.operations], **finish}


def _numbers(what: str, values: Any, width: int) -> Floats:
    try:
        found = np.atleast_2d(np.asarray(values, np.float64))
    except (TypeError, ValueError):
        found = np.zeros((0, 0))
    if not found.size and np.size(values) == 0:
        return np.zeros((0, width))
    if found.ndim != 2 or found.shape[1] != width or not np.isfinite(found).all():
        raise DataError(
            "augment", f"{what} of shape {np.shape(values)} cannot follow", f"they are (M, {width}) numbers"
        )
    return found


def _drawn(entry: Entry, rng: np.random.Generator) -> list[tuple[str, Params]]:
    found = entry.draws(rng.random((1, entry.uniforms + 1)))
    return [(f"augment.{one.plugin_name()}", plain_row(drawn, 0)) for one, drawn, applied in found if applied[0]]


def _operations(entry: Entry) -> Iterator[AbstractOperation]:
    if isinstance(entry, OneOf):
        yield from (operation for choice in entry.choices for operation in choice)
    elif isinstance(entry, AbstractOperation):
        yield entry


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
    return change_batch(images, ids, policy.operations, seed, epoch)


def policy(name: str) -> Policy:
    """Return the preset of a domain, an automatic policy, or what a TOML file says.

    Automatic ones are ``rand_augment``, ``rand_augment_n2_m9`` (any n and m), ``trivial_augment``, ``strong`` ...

    Raises:
        UnknownNameError: no such preset; the message names the closest.
        ReadError: the file cannot be read.
        ConfigError: the file is no policy.
    """
    if name.endswith(".toml"):
        return Policy.from_toml(_text(name))
    key = name.strip().lower().replace("-", "_").replace(" ", "_")
    if found := re.fullmatch(r"rand_augment_n(\d)_m(\d+(?:\.\d+)?)", key):
        return rand_augment(int(found[1]), float(found[2]))
    if key in POLICIES:
        return POLICIES[key]()
    known = {**PRESETS, **OTHER_PRESETS}
    if key not in known:
        raise unknown_name("augment.policy", "policy", name, [*known, *POLICIES])
    why, items = known[key]
    return build(items, name=key, why=" ".join(why.split()))


def build(items: Iterable[tuple[str, Mapping[str, Any]]], *, name: str = "own", why: str = "") -> Policy:
    """Return a policy from (operation, settings).

    Raises:
        UnknownNameError: no such operation.
        ConfigError: a setting is unknown, or the operations change different kinds of data.
    """
    return Policy(tuple(build_entry({"op": op, **settings}) for op, settings in items), name, why)


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError(
            "augment.policy", f"the policy {path} cannot be read ({error})", do="name a TOML file"
        ) from error


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
