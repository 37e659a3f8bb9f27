"""Policies from elsewhere: Ultralytics-style YAML, and warnings where a policy breaks the rules of its domain."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from scarce.augment._toml import build_entry
from scarce.augment.flip import Flip
from scarce.augment.policy import Policy, policy
from scarce.augment.rotate_90 import Rotate90
from scarce.errors import ConfigError, ReadError, unknown_name
from scarce.extras import need

WHO: Final = "augment.adapt"
YOLO: Final = (
    "hsv_h", "hsv_s", "hsv_v", "degrees", "translate", "scale", "shear", "perspective", "flipud", "fliplr", "mosaic",
    "mixup", "copy_paste", "erasing",
)  # fmt: skip
"""The keys that are understood."""
MIXES: Final = ("mosaic", "mixup", "copy_paste")
"""Keys that mix several samples and labels: array functions of their own (``scarce.augment.mosaic.mix`` ...)."""


def policy_of(name: str) -> Policy:
    """Return a preset, an automatic policy, or what a file of TOML or YAML says.

    Raises:
        UnknownNameError: no such preset, or an unknown key.
        ReadError: the file cannot be read.
        ConfigError: the file is no policy.
    """
    if not name.endswith((".yaml", ".yml")):
        return policy(name)
    yaml = need("yaml", extra="yolo")
    try:
        body = yaml.safe_load(Path(name).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ReadError(WHO, f"the policy {name} cannot be read ({error})", do="name a YAML file") from error
    return from_yolo(body, name=Path(name).stem)


def from_yolo(body: Any, *, name: str = "yolo") -> Policy:
    """Return the policy that Ultralytics' hyperparameters describe, flat or below a key like ``augment``.

    Args:
        body: the keys of :data:`YOLO` and their numbers; other keys of a training file are refused by name.
        name: of the policy.

    Raises:
        ConfigError: it is no mapping of numbers.
        UnknownNameError: a key is unknown.
    """
    values = _flat(body)
    unknown = sorted(set(values) - set(YOLO))
    if unknown:
        raise unknown_name(WHO, "key", unknown[0], YOLO)
    wrong = {key: item for key, item in values.items() if isinstance(item, bool) or not isinstance(item, int | float)}
    if wrong or not values:
        raise ConfigError(WHO, f"{wrong or body!r} are no numbers", f"known keys are {', '.join(YOLO)}")
    mixes = [key for key in MIXES if values.get(key)]
    left = f"; left out, since they mix several samples and their labels: {', '.join(mixes)}" if mixes else ""
    get = {key: float(values.get(key, 0.0)) for key in YOLO}
    shear, zoom = [-get["shear"], get["shear"]], [1 - get["scale"], 1 + get["scale"]]
    tables: list[dict[str, Any]] = [
        {"op": "flip", "horizontal": get["fliplr"], "vertical": get["flipud"]},
        {"op": "shift_scale_rotate", "rotate": get["degrees"], "shift": get["translate"], "scale": zoom,
         "border": "constant"},
        {"op": "shear", "x": shear, "y": shear, "border": "constant"},
        {"op": "perspective", "scale": min(0.45, 100 * get["perspective"])},
        {"op": "hue_saturation_value", "hue": 360 * get["hsv_h"], "saturation": get["hsv_s"], "value": get["hsv_v"]},
        {"op": "random_erasing", "probability": get["erasing"]},
    ]  # fmt: skip
    asked = [("fliplr", "flipud"), ("degrees", "translate", "scale"), ("shear",), ("perspective",),
             ("hsv_h", "hsv_s", "hsv_v"), ("erasing",)]  # fmt: skip
    tables = [table for table, keys in zip(tables, asked, strict=True) if any(get[key] for key in keys)]
    entries = tuple(build_entry(table) for table in tables)
    return Policy(entries, name, f"read from Ultralytics-style hyperparameters{left}")


def _flat(body: Any) -> dict[str, Any]:
    if not isinstance(body, Mapping):
        raise ConfigError(WHO, f"{body!r} is no mapping of keys", f"known keys are {', '.join(YOLO)}")
    out: dict[str, Any] = {}
    for key, value in body.items():
        out |= _flat(value) if isinstance(value, Mapping) else {str(key): value}
    return out


def warnings(chosen: Policy, domain: str) -> list[str]:
    """Return why a policy does not suit a domain of the presets; empty where it does."""
    out = []
    for operation in chosen.parts():
        if operation.probability == 0:
            continue
        if domain in ("garment", "natural", "gray") and _upside_down(operation):
            out.append(f"{operation.plugin_name()} turns upside down, and {domain} pictures have an upright")
        if domain in ("text_in_picture", "medical") and isinstance(operation, Flip) and operation.horizontal > 0:
            out.append(f"flip mirrors left-right, and in {domain} pictures the side matters")
        if domain == "gray" and operation.uses_color():
            out.append(f"{operation.plugin_name()} changes colors, and gray pictures have none")
        if domain == "surface" and operation.plugin_name() in ("random_erasing", "coarse_dropout"):
            out.append(f"{operation.plugin_name()} may cover the one defect that the label is about")
    return list(dict.fromkeys(out))


def _upside_down(operation: object) -> bool:
    angle = max(map(abs, getattr(operation, "angle", (0.0,)))) if operation.__class__.__name__ == "Rotate" else 0.0
    turned = max(angle, getattr(operation, "rotate", 0.0)) > 90
    return turned or isinstance(operation, Rotate90) or (isinstance(operation, Flip) and operation.vertical > 0)
