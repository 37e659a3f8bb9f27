"""torchvision.transforms.v2 (and v1): its pipelines as plain values, and their seeds."""

from __future__ import annotations

import inspect
import json
import threading
import warnings
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

import numpy as np

from scarce.errors import ConfigError
from scarce.extras import need
from scarce.recipe import Scene

WHO: Final = "augment.adapt"
_lock = threading.Lock()
_built: dict[str, Any] = {}


def version() -> str:
    """Return the installed version without its build."""
    return str(need("torchvision", extra="train").__version__).partition("+")[0]


def plain(transform: Any) -> dict[str, Any]:
    """Return a transform of v2, or one of v1 of the same name, as plain values: its name and arguments.

    Raises:
        ConfigError: it is none, or its arguments cannot be read back from it.
    """
    v2 = need("torchvision.transforms.v2", extra="train")
    name = type(transform).__name__
    kind = getattr(v2, name, None)
    if not type(transform).__module__.startswith("torchvision.transforms") or not isinstance(kind, type):
        raise ConfigError(WHO, f"{name} of {type(transform).__module__} cannot be written into a recipe",
                          "a recipe holds names and numbers, no code", "leave out lambdas and own classes")  # fmt: skip
    held = {**transform.__dict__, **transform.__dict__.get("_modules", {})}
    params: dict[str, Any] = {}
    for key in inspect.signature(kind).parameters:
        if key in held:
            params[key] = [plain(one) for one in held[key]] if key == "transforms" else _value(name, key, held[key])
        elif hasattr(transform, key) or f"_{key}" in held:
            params[key] = _value(name, key, getattr(transform, key, held.get(f"_{key}")))
        else:
            raise ConfigError(WHO, f"the argument {key} of {name} cannot be read back", do="leave this transform out")
    found = {"name": name, "params": params}
    built(found)
    return found


def _value(name: str, key: str, value: Any) -> Any:
    import torch

    if isinstance(value, Enum):
        return {"enum": type(value).__name__, "name": value.name}
    if isinstance(value, torch.Tensor):
        return value.tolist()
    if isinstance(value, torch.dtype):
        return {"dtype": str(value).removeprefix("torch.")}
    if isinstance(value, tuple | list):
        return [_value(name, key, one) for one in value]
    if isinstance(value, Mapping) and all(isinstance(one, type) or one == "others" for one in value):
        alike = {json.dumps(_value(name, key, one)) for one in value.values()}
        if len(alike) == 1:  # torchvision writes one fill as a table for every kind of tensor
            return json.loads(alike.pop())
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise ConfigError(WHO, f"{key} = {value!r} of {name} cannot be written into a recipe", do="use plain numbers")


def built(found: Mapping[str, Any]) -> Any:
    """Return the transform of v2 that plain values describe; only its public names are looked up."""
    import torch
    from torchvision.transforms import v2

    def value(item: Any) -> Any:
        if isinstance(item, dict) and "name" in item and "params" in item:
            return built(item)
        if isinstance(item, dict):
            return (
                getattr(torch, item["dtype"]) if "dtype" in item else getattr(getattr(v2, item["enum"]), item["name"])
            )
        return [value(one) for one in item] if isinstance(item, list) else item

    name = str(found["name"])
    kind = getattr(v2, name, None)
    if name.startswith("_") or not (isinstance(kind, type) and issubclass(kind, torch.nn.Module)):
        raise ConfigError(WHO, f"torchvision.transforms.v2 has no transform {name!r}", f"this is {version()}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old spellings of v1 that v2 still takes
            return kind(**{key: value(item) for key, item in found["params"].items()})
    except Exception as error:  # whatever torchvision raises on arguments that it does not take
        raise ConfigError(WHO, f"{name} cannot be built from its plain values ({error})",
                          do="leave this transform out") from error  # fmt: skip


def run(transform: str, seed: int, scene: Scene) -> Scene:
    """Return the scene as a pipeline leaves it; the caller's random state stays as it is."""
    import torch
    from torchvision import tv_tensors

    height, width = scene.image.shape[:2]
    parts: dict[str, Any] = {"image": tv_tensors.Image(torch.from_numpy(scene.image).permute(2, 0, 1))}
    if scene.mask is not None:
        parts["mask"] = tv_tensors.Mask(torch.from_numpy(scene.mask.astype(np.uint8)))
    if scene.boxes is not None:
        values = torch.from_numpy(np.asarray(scene.boxes, np.float32))
        parts["boxes"] = tv_tensors.BoundingBoxes(values, format="XYXY", canvas_size=(height, width))
    if scene.points is not None:
        values = torch.from_numpy(np.asarray(scene.points, np.float32))
        parts["points"] = tv_tensors.KeyPoints(values, canvas_size=(height, width))
    with _lock, torch.random.fork_rng(devices=()):  # torch has one generator for all threads
        torch.manual_seed(seed)
        for step in _pipeline(transform):
            parts = step(parts)
    image = np.ascontiguousarray(parts["image"].permute(1, 2, 0).numpy())
    mask = None if scene.mask is None else parts["mask"].numpy() > 0
    boxes = None if scene.boxes is None else parts["boxes"].as_subclass(torch.Tensor).numpy().astype(np.float64)
    points = None if scene.points is None else parts["points"].as_subclass(torch.Tensor).numpy().astype(np.float64)
    return Scene(image, mask, boxes, points)


def _pipeline(transform: str) -> Any:
    if transform not in _built:
        _built[transform] = [built(part) for part in json.loads(transform)]
    return _built[transform]
