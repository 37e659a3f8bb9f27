"""Policies that need no domain: RandAugment, TrivialAugment, AutoAugment, and a strong one with its validation twin."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import TYPE_CHECKING, Any, Final

from scarce.augment._group import OneOf
from scarce.augment._toml import build_entry
from scarce.errors import ConfigError

if TYPE_CHECKING:
    from scarce.augment._base import AbstractOperation
    from scarce.augment.policy import Policy

IMAGENET: Final = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and deviation of the channels that most pretrained networks expect."""
BINS: Final = 30
"""RandAugment's strengths go from 0 to 30."""
_SIGNED: Final = {"rotate", "shear_x", "shear_y", "translate_x", "translate_y"}
_SPACE: Final = (
    "identity", "auto_contrast", "equalize", "rotate", "solarize", "color", "posterize", "contrast", "brightness",
    "sharpness", "shear_x", "shear_y", "translate_x", "translate_y",
)  # fmt: skip
SUBPOLICIES: Final = (
    "posterize .4 8, rotate .6 9", "solarize .6 5, auto_contrast .6", "equalize .8, equalize .6",
    "posterize .6 7, posterize .6 6", "equalize .4, solarize .2 4", "equalize .4, rotate .8 8",
    "solarize .6 3, equalize .6", "posterize .8 5, equalize 1", "rotate .2 3, solarize .6 8",
    "equalize .6, posterize .4 6", "rotate .8 8, color .4 0", "rotate .4 9, equalize .6", "equalize 0, equalize .8",
    "invert .6, equalize 1", "color .6 4, contrast 1 8", "rotate .8 8, color 1 2", "color .8 8, solarize .8 7",
    "sharpness .4 7, invert .6", "shear_x .6 5, equalize 1", "color .4 0, equalize .6", "equalize .4, solarize .2 4",
    "solarize .6 5, auto_contrast .6", "invert .6, equalize 1", "color .6 4, contrast 1 8", "equalize .8, equalize .6",
)  # fmt: skip
"""AutoAugment's 25 pairs for ImageNet: operation, probability, strength 0 to 9."""


def rand_augment(n: int = 2, m: float = 9.0) -> Policy:
    """Return RandAugment: ``n`` of fourteen operations for each sample, all of strength ``m``.

    Moves have the strength or its negative; brightness, contrast, color and sharpness are drawn up to it.

    Args:
        n: operations in a row, 1 to 8.
        m: strength, 0 to 30.

    Raises:
        ConfigError: n or m is out of range.

    Source: Cubuk, Zoph, Shlens and Le 2020.
    """
    if not 1 <= n <= 8 or not 0 <= m <= BINS:
        raise ConfigError(
            "augment.rand_augment", f"n = {n}, m = {m} are out of range", "it takes n 1 to 8 and m 0 to 30"
        )
    group = _group([[(name, 1.0, m / BINS)] for name in _SPACE])
    return _policy((group,) * n, f"rand_augment_n{n}_m{m:g}", f"{n} random operations of strength {m:g} of {BINS}")


def trivial_augment() -> Policy:
    """Return TrivialAugment: one of fourteen operations for each sample, of any of ten strengths.

    Source: Mueller and Hutter 2021.
    """
    choices = [[(name, 1.0, step / 9)] for name in _SPACE for step in range(10)]
    return _policy((_group(choices),), "trivial_augment", "one random operation of a random strength, nothing to tune")


def auto_augment() -> Policy:
    """Return AutoAugment as found on ImageNet: one of 25 pairs for each sample.

    Source: Cubuk, Zoph, Mane, Vasudevan and Le 2019, Table 9.
    """
    choices = [[_step(part) for part in pair.split(", ")] for pair in SUBPOLICIES]
    return _policy((_group(choices),), "auto_augment", "25 pairs of operations that were found by search on ImageNet")


def strong_train() -> Policy:
    """Return a strong policy for training on natural pictures of about 224 px; ``strong_validation`` is its twin."""
    tables: list[dict[str, Any]] = [
        {"op": "crop", "area": [0.7, 1.0], "ratio": [0.75, 1.333]},
        {"op": "flip"},
        {"op": "shift_scale_rotate", "rotate": 30.0, "p": 0.5},
        {
            "op": "one_of",
            "p": 0.2,
            "choices": [{"op": "grid_distortion"}, {"op": "elastic"}, {"op": "optical_distortion"}],
        },
        {"op": "brightness_contrast", "brightness": 0.1, "contrast": 0.2, "p": 0.8},
        {"op": "hue_saturation_value", "hue": 18.0, "saturation": 0.2, "value": 0.1, "p": 0.8},
        {"op": "to_gray", "p": 0.1},
        {"op": "gamma", "p": 0.3},
        {"op": "gaussian_noise", "p": 0.3},
        {"op": "one_of", "p": 0.2, "choices": [{"op": "gaussian_blur"}, {"op": "motion_blur"}, {"op": "median_blur"}]},
        {"op": "coarse_dropout", "holes": [8, 8], "size": [0.143, 0.143], "p": 0.3},
    ]
    why = """long training of a large network on few pictures needs many views; too strong for small defects, which a
        crop, a blur or a hole can take away"""
    return _policy(tuple(build_entry(table) for table in tables), "strong", why, finished=True)


def strong_validation() -> Policy:
    """Return the twin of the strong policy: nothing is changed, pictures are only normalized."""
    why = "what is judged stays as it was taken; it only gets the scale that training had"
    return _policy((), "strong_validation", why, finished=True)


POLICIES: Final[dict[str, Callable[[], Policy]]] = {
    "rand_augment": rand_augment,
    "trivial_augment": trivial_augment,
    "auto_augment": auto_augment,
    "strong": strong_train,
    "strong_validation": strong_validation,
}
"""Name to policy, besides the presets of the domains."""


def _policy(operations: tuple[Any, ...], name: str, why: str, *, finished: bool = False) -> Policy:
    from scarce.augment.policy import Policy

    moments = IMAGENET if finished else None
    return Policy(operations, name, " ".join(why.split()), moments, finished)


def _step(text: str) -> tuple[str, float, float]:
    name, probability, *strength = text.split()
    return name, float(probability), float(strength[0]) / 9 if strength else 0.0


def _group(choices: list[list[tuple[str, float, float]]]) -> OneOf:
    """Return a group of sequences; a signed operation stands in it twice, with half the weight."""
    built: list[tuple[AbstractOperation, ...]] = []
    weights: list[float] = []
    for choice in choices:
        steps = [step for step in choice if step[0] != "identity"]
        signs = [(1, -1) if name in _SIGNED else (1,) for name, _, _ in steps]
        variants = list(product(*signs))
        built += [tuple(_build(*step, sign) for step, sign in zip(steps, variant, strict=True)) for variant in variants]
        weights += [1 / len(variants)] * len(variants)
    return OneOf(tuple(built), tuple(weights))


def _build(name: str, probability: float, strength: float, sign: int) -> AbstractOperation:
    angle, slant, way, change = sign * 30.0 * strength, sign * 16.7 * strength, sign * 0.302 * strength, 0.9 * strength
    tables: dict[str, dict[str, Any]] = {
        "rotate": {"angle": [angle, angle]},
        "shear_x": {"op": "shear", "x": [slant, slant]},
        "shear_y": {"op": "shear", "x": [0.0, 0.0], "y": [slant, slant]},
        "translate_x": {"op": "translate", "x": [way, way], "y": [0.0, 0.0]},
        "translate_y": {"op": "translate", "x": [0.0, 0.0], "y": [way, way]},
        "solarize": {"threshold": [1 - strength, 1 - strength]},
        "invert": {"op": "solarize", "threshold": [0.0, 0.0]},
        "posterize": {"bits": [8 - round(4 * strength)] * 2},
        "color": {"op": "hue_saturation_value", "hue": 0.0, "saturation": change, "value": 0.0},
        "contrast": {"op": "brightness_contrast", "brightness": 0.0, "contrast": change},
        "brightness": {"op": "brightness_contrast", "brightness": 0.0, "contrast": change, "pivot": 0.0},
        "sharpness": {"op": "sharpen", "amount": [-change, change]},
    }
    found = build_entry({"op": name, "probability": probability, **tables.get(name, {})})
    assert not isinstance(found, OneOf)
    return found
