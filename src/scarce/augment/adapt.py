"""Policies from elsewhere: Albumentations, torchvision, Ultralytics-style YAML; warnings per domain."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from scarce.augment import _albumentations, _mapping, _torchvision
from scarce.augment._base import AbstractOperation
from scarce.augment._toml import build_entry
from scarce.augment._yolo_keys import NOT_DONE, TRAINING
from scarce.augment.flip import Flip
from scarce.augment.policy import Policy, policy
from scarce.augment.rotate import Rotate
from scarce.augment.rotate_90 import Rotate90
from scarce.augment.wrapped import Wrapped
from scarce.errors import ConfigError, ReadError, unknown_name
from scarce.extras import need

WHO: Final = "augment.adapt"
YOLO: Final = (
    "hsv_h", "hsv_s", "hsv_v", "degrees", "translate", "scale", "shear", "perspective", "flipud", "fliplr", "mosaic",
    "mixup", "cutmix", "copy_paste", "erasing",
)  # fmt: skip
"""The keys that are understood."""


def policy_of(name: str) -> Policy:
    """Return a preset, an automatic policy, or what a file of TOML, YAML or JSON says.

    A YAML or JSON file holds Ultralytics' keys, or a pipeline that ``albumentations.save`` wrote.

    Raises:
        UnknownNameError: no such preset, or an unknown key.
        ReadError: the file cannot be read.
        ConfigError: the file is no policy.
    """
    if not name.endswith((".yaml", ".yml", ".json")):
        found = policy(name)
        return found if found.why else replace(found, why=f"read from {name}")
    yaml = need("yaml", extra="yolo")
    try:
        body = yaml.safe_load(Path(name).read_text(encoding="utf-8"))  # JSON is YAML
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ReadError(WHO, f"the policy {name} cannot be read ({error})", do="name a YAML or JSON file") from error
    saved = isinstance(body, Mapping) and "transform" in body
    return (from_albumentations if saved else from_yolo)(body, name=Path(name).stem)


def from_albumentations(pipeline: Any, *, name: str = "albumentations") -> Policy:
    """Return the policy of an Albumentations 2.0.x pipeline; its recipes replay without the script that built it.

    What ours does the same way (flips, turns, brightness, noise, JPEG ...) becomes an operation of ours; anything else
    is wrapped, neighbors together. ``Normalize``, ``ToFloat`` and ``ToTensorV2`` at the end become ``Policy.finish``,
    and ``Resize`` is left out: copies keep their size, and trainers resize.

    Args:
        pipeline: ``A.Compose([...])``, one transform, or what ``A.to_dict`` or ``A.save`` gave.
        name: of the policy.

    Raises:
        ConfigError: an argument is an old spelling that the installed version silently drops (the new one is named),
            or a part cannot be written into a recipe.
    """
    body = _albumentations.plain(_albumentations.opened(pipeline))
    flat, finish = _finished(_flattened(body))
    entries: list[Any] = []
    waiting: list[dict[str, Any]] = []
    for part in [*flat, None]:
        entry = None if part is None else _entry(part)
        if waiting and (part is None or entry is not None):
            entries.append(_wrapped("albumentations", waiting))
            waiting = []
        if entry is not None:
            entries.append(entry)
        elif part is not None:
            waiting.append(part)
    return Policy(tuple(entries), name, "read from an Albumentations pipeline", **finish)


def to_albumentations(chosen: Policy) -> Any:
    """Return an ``A.Compose`` that does the same in kind; its draws are its own.

    Raises:
        ConfigError: an operation has no counterpart with these settings; all of them are named.
    """
    import warnings as messages

    library = need("albumentations", extra="augment")
    lost: list[str] = []
    with messages.catch_warnings():
        messages.simplefilter("ignore")
        built = [one for entry in chosen.operations for one in _their_entry(library, entry.describe(), lost)]
    if lost:
        raise ConfigError(WHO, f"no transform of Albumentations does the same as {', '.join(lost)}",
                          "with these settings", "leave them out of the policy first")  # fmt: skip
    if chosen.normalize:
        built.append(library.Normalize(*chosen.normalize))
    return library.Compose([*built, *([library.ToTensorV2()] if chosen.to_tensor else [])])


def from_torchvision(pipeline: Any, *, name: str = "torchvision") -> Policy:
    """Return the policy of a ``torchvision.transforms.v2`` pipeline, or of v1's ``Compose`` through v2.

    Its transforms are wrapped as they are. What makes tensors at the start (``ToImage``, ``PILToTensor``) is left out;
    ``ToTensor``, ``ToDtype`` with scale and ``Normalize`` at the end become ``Policy.finish``.

    Raises:
        ConfigError: a part is a lambda or an own class, or needs more than plain numbers.
    """
    body = _torchvision.plain(pipeline)
    flat = body["params"]["transforms"] if body["name"] == "Compose" else [body]
    flat = [part for part in flat if part["name"] not in ("ToImage", "PILToTensor", "ToPILImage", "ToPureTensor")]
    finish: dict[str, Any] = {}
    while flat and flat[-1]["name"] in ("Normalize", "ToDtype", "ToTensor", "ConvertImageDtype"):
        last = flat.pop()
        finish["to_tensor"] = True
        if last["name"] == "Normalize":
            finish["normalize"] = tuple(tuple(map(float, last["params"][key])) for key in ("mean", "std"))
        else:
            finish.setdefault("normalize", ((0.0,), (1.0,)))
    entries = (_wrapped("torchvision", flat),) if flat else ()
    return Policy(entries, name, "read from a torchvision pipeline", **finish)


def _wrapped(library: str, parts: list[dict[str, Any]]) -> Any:
    return build_entry({"op": "wrapped", "library": library, "transform": _albumentations.text_of(parts)})


def _flattened(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the transforms of nested pipelines in a row; those that may be left out as a whole stay together."""
    if body["__class_fullname__"] in ("Compose", "Sequential") and body["p"] == 1:
        return [one for part in body["transforms"] for one in _flattened(part)]
    return [dict(body)]


def _finished(parts: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the transforms without those that prepare the finished picture for a network, and what these say."""
    finish: dict[str, Any] = {}
    kept = list(parts)
    while kept and kept[-1]["__class_fullname__"] in ("Normalize", "ToFloat", "ToTensorV2"):
        last = kept.pop()
        if last["__class_fullname__"] == "ToTensorV2":
            finish["to_tensor"] = True
        elif last["__class_fullname__"] == "ToFloat" and last["max_value"] in (None, 255.0):
            finish["normalize"] = ((0.0,), (1.0,))
        elif last.get("normalization") == "standard" and last["max_pixel_value"] == 255.0:
            finish["normalize"] = tuple(tuple(map(float, last[key])) for key in ("mean", "std"))
        else:
            raise ConfigError(WHO, f"{last['__class_fullname__']} normalizes by no fixed numbers on one scale",
                              "a policy normalizes by fixed numbers on the scale 0 to 1",
                              'write Normalize(normalization="standard", max_pixel_value=255.0)')  # fmt: skip
    return [part for part in kept if part["__class_fullname__"] not in ("Resize", "NoOp")], finish


def _entry(part: Mapping[str, Any]) -> Any:
    if part["__class_fullname__"] != "OneOf":
        table = _mapping.ours(part)
        return None if table is None else build_entry(table)
    tables = [_mapping.ours(one, always=True) for one in part["transforms"]]
    if any(table is None for table in tables):
        return None
    weights = [float(one["p"]) for one in part["transforms"]]
    return build_entry({"op": "one_of", "probability": float(part["p"]), "weights": weights, "choices": tables})


def _their_entry(library: Any, table: Mapping[str, Any], lost: list[str]) -> list[Any]:
    if table["op"] == "wrapped" and table["library"] == "albumentations" and table["probability"] == 1:
        parts = json.loads(str(table["transform"]))
        return [library.from_dict({"__version__": library.__version__, "transform": part}) for part in parts]
    if table["op"] == "one_of":
        rows = [[one for step in choice for one in _their_entry(library, step, lost)] for choice in table["choices"]]
        weights = table.get("weights") or [1.0] * len(rows)
        inner = [library.Sequential(row, p=weight) for row, weight in zip(rows, weights, strict=True)]
        return [library.OneOf(inner, p=table["probability"])]
    found = _mapping.theirs(table)
    if found is None:
        lost.append(str(table["op"]))
        return []
    return [getattr(library, one["name"])(**{key: one[key] for key in one if key != "name"}) for one in found]


def from_yolo(body: Any, *, name: str = "yolo") -> Policy:
    """Return the policy that Ultralytics' hyperparameters describe, flat or below a key like ``augment``.

    Args:
        body: the keys of :data:`YOLO` and their numbers; other keys of a training file are passed over and named in
            ``why``, unknown ones refused.
        name: of the policy.

    Raises:
        ConfigError: it is no mapping of numbers.
        UnknownNameError: a key is unknown.
    """
    values = _flat(body)
    others = [key for key in values if key in NOT_DONE and values[key]], [key for key in values if key in TRAINING]
    values = {key: item for key, item in values.items() if key not in NOT_DONE | TRAINING}
    unknown = sorted(set(values) - set(YOLO))
    if unknown:
        raise unknown_name(WHO, "key", unknown[0], YOLO)
    wrong = {key: item for key, item in values.items() if isinstance(item, bool) or not isinstance(item, int | float)}
    if wrong or not values:
        raise ConfigError(WHO, f"{wrong or body!r} are no numbers", f"known keys are {', '.join(YOLO)}")
    get = {key: float(values.get(key, 0.0)) for key in YOLO}
    shear, zoom = [-get["shear"], get["shear"]], [1 - get["scale"], 1 + get["scale"]]
    tables: list[dict[str, Any]] = [
        {"op": "mosaic", "probability": get["mosaic"]},
        {"op": "cutmix", "probability": get["cutmix"]},
        {"op": "copy_paste", "probability": get["copy_paste"], "any_class": True},
        {"op": "mixup", "probability": get["mixup"], "alpha": 32.0},
        {"op": "flip", "horizontal": get["fliplr"], "vertical": get["flipud"]},
        {"op": "shift_scale_rotate", "rotate": get["degrees"], "shift": get["translate"], "scale": zoom,
         "border": "constant"},
        {"op": "shear", "x": shear, "y": shear, "border": "constant"},
        {"op": "perspective", "scale": min(0.45, 100 * get["perspective"])},
        {"op": "hue_saturation_value", "hue": 360 * get["hsv_h"], "saturation": get["hsv_s"], "value": get["hsv_v"]},
        {"op": "random_erasing", "probability": get["erasing"]},
    ]  # fmt: skip
    asked = [("mosaic",), ("cutmix",), ("copy_paste",), ("mixup",),
             ("fliplr", "flipud"), ("degrees", "translate", "scale"), ("shear",), ("perspective",),
             ("hsv_h", "hsv_s", "hsv_v"), ("erasing",)]  # fmt: skip
    tables = [table for table, keys in zip(tables, asked, strict=True) if any(get[key] for key in keys)]
    entries = tuple(build_entry(table) for table in tables)
    why = "read from Ultralytics-style hyperparameters"
    for said, keys in zip(("not done here", "passed over, since they change no picture"), others, strict=True):
        why += f"; {said}: {', '.join(keys)}" if keys else ""
    return Policy(entries, name, why)


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
        if domain in ("text_in_picture", "medical") and _mirrors(operation):
            out.append(f"{operation.plugin_name()} mirrors left-right, and in {domain} pictures the side matters")
        if domain == "gray" and operation.uses_color():
            out.append(f"{operation.plugin_name()} changes colors, and gray pictures have none")
        if domain == "surface" and operation.plugin_name() in COVERING:
            out.append(f"{operation.plugin_name()} may cover the one defect that the label is about")
    return list(dict.fromkeys(out))


COVERING: Final = ("random_erasing", "coarse_dropout", "cutmix", "mixup")
"""Operations that may take a small defect away."""
TURNED: Final = ("VerticalFlip", "RandomRotate90", "Transpose", "D4")
MIRRORED: Final = ("HorizontalFlip", "Transpose", "D4")


def _upside_down(operation: AbstractOperation) -> bool:
    if isinstance(operation, Wrapped):
        parts = json.loads(operation.transform or "[]")
        return any(word in operation.transform for word in TURNED) or _largest_turn(parts) > 90
    angle = max(map(abs, operation.angle)) if isinstance(operation, Rotate) else 0.0
    turned = max(angle, getattr(operation, "rotate", 0.0)) > 90
    return turned or isinstance(operation, Rotate90) or (isinstance(operation, Flip) and operation.vertical > 0)


def _mirrors(operation: AbstractOperation) -> bool:
    if isinstance(operation, Wrapped):
        return any(word in operation.transform for word in MIRRORED)
    return isinstance(operation, Flip) and operation.horizontal > 0


def _largest_turn(parts: Any) -> float:
    """Return the largest angle in degrees that plain values of transforms ask for."""
    if isinstance(parts, list):
        return max(map(_largest_turn, parts), default=0.0)
    if not isinstance(parts, Mapping):
        return 0.0
    parts = {**parts, **parts.get("params", {})}
    name = str(parts.get("__class_fullname__", parts.get("name", "")))
    turning = any(word in name for word in ("Rotat", "Affine"))
    angles = [parts.get(key) for key in ("limit", "rotate", "rotate_limit", "degrees")] if turning else []
    own = [abs(float(one)) for pair in angles for one in np.atleast_1d(pair) if isinstance(one, int | float)]
    return max([*own, *(_largest_turn(one) for key, one in parts.items() if key != "params")], default=0.0)
