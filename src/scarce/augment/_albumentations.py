"""Albumentations 2.0.x: its pipelines as plain values, their seeds, and what maps to operations of ours."""

from __future__ import annotations

import inspect
import json
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from scarce.dataset import Floats
from scarce.errors import ConfigError
from scarce.extras import need
from scarce.recipe import Scene

WHO: Final = "augment.adapt"
RENAMED: Final[Mapping[str, tuple[str, ...]]] = {
    "always_apply": ("p",), "var_limit": ("std_range",), "max_holes": ("num_holes_range",),
    "min_holes": ("num_holes_range",), "num_holes": ("num_holes_range",), "max_height": ("hole_height_range",),
    "min_height": ("hole_height_range",), "max_width": ("hole_width_range",), "min_width": ("hole_width_range",),
    "fill_value": ("fill",), "mask_fill_value": ("fill_mask",), "value": ("fill",), "mask_value": ("fill_mask",),
    "cval": ("fill",), "cval_mask": ("fill_mask",), "pad_cval": ("fill",), "pad_mode": ("border_mode",),
    "mode": ("border_mode",), "quality_lower": ("quality_range",), "quality_upper": ("quality_range",),
    "height": ("size", "height"), "width": ("size", "width"), "scale_min": ("scale_range",),
    "scale_max": ("scale_range",), "threshold": ("threshold_range",), "mean": ("mean_range",),
    "unit_size_min": ("unit_size_range",), "unit_size_max": ("unit_size_range",),
    "num_shadows_lower": ("num_shadows_limit",), "num_shadows_upper": ("num_shadows_limit",),
    "fog_coef_lower": ("fog_coef_range",), "fog_coef_upper": ("fog_coef_range",),
    "snow_point_lower": ("snow_point_range",), "snow_point_upper": ("snow_point_range",),
}  # fmt: skip
"""Old spelling of an argument to newer ones; only those that the transform really takes are told."""
_built = threading.local()


def version() -> str:
    """Return the installed version."""
    return str(need("albumentations", extra="augment").__version__)


def nodes(pipeline: Any) -> Iterator[Any]:
    """Return a pipeline and everything in it, in a fixed order."""
    yield pipeline
    for inner in getattr(pipeline, "transforms", ()):
        yield from nodes(inner)


def opened(pipeline: Any) -> Any:
    """Return a pipeline from itself or from its saved plain values, with every argument understood.

    Raises:
        ConfigError: it is none, or the installed version would silently drop an argument; the new name is told.
    """
    library = need("albumentations", extra="augment")
    if isinstance(pipeline, Mapping):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                pipeline = library.from_dict(dict(pipeline))
        except Exception as error:  # the library raises what it likes on a wrong file
            raise ConfigError(WHO, f"the saved Albumentations pipeline cannot be read ({error})",
                              f"this is Albumentations {library.__version__}",
                              "save it again with A.save") from error  # fmt: skip
    if not isinstance(pipeline, library.BaseCompose | library.BasicTransform):
        raise ConfigError(WHO, f"{type(pipeline).__name__} is no Albumentations pipeline", do="give A.Compose([...])")
    for node in nodes(pipeline):
        if dropped := list(getattr(node, "invalid_args", ()) or ()):
            raise _dropped(type(node), dropped)
    return pipeline


def _dropped(kind: type, names: Sequence[str]) -> ConfigError:
    known = [name for name in inspect.signature(kind).parameters if name != "self"]
    new = {name: next((one for one in RENAMED.get(name, ()) if one in known), "") for name in names}
    told = "; ".join(f"{name} is now {one}" for name, one in new.items() if one)
    what = f"{kind.__name__} has no argument {', '.join(names)}: Albumentations would drop it silently"
    return ConfigError(WHO, what, told or f"it takes {', '.join(known)}", "write the new name, or leave it out")


def plain(pipeline: Any) -> dict[str, Any]:
    """Return a transform or a pipeline as plain values.

    Raises:
        ConfigError: a part (a Lambda, an own class) has none.
    """
    try:
        found = need("albumentations", extra="augment").to_dict(pipeline)["transform"]
        return dict(json.loads(json.dumps(found)))
    except Exception as error:
        raise ConfigError(WHO, f"the pipeline cannot be written into a recipe ({error})",
                          "a recipe holds names and numbers, no code",
                          "leave out lambdas and own classes") from error  # fmt: skip


def text_of(parts: Sequence[Mapping[str, Any]]) -> str:
    """Return the JSON of some transforms, given as plain values, for the operation ``wrapped``."""
    return json.dumps(list(parts), sort_keys=True, separators=(",", ":"))


def run(transform: str, seed: int, scene: Scene) -> Scene:
    """Return the scene as a pipeline leaves it; the same seed gives the same pixels, whatever ran before."""
    pipeline = _pipeline(transform)
    # the library's own seeding gives every part the same numbers: a flip would then always come with the same noise
    for place, node in enumerate(nodes(pipeline)):
        node.random_generator = np.random.default_rng([seed, place])
        node.py_random.seed(int(np.random.default_rng([seed, place, 1]).integers(2**63)))
    given: dict[str, Any] = {"image": scene.image, "bboxes": np.zeros((0, 4)), "box_rows": []}
    given |= {"keypoints": np.zeros((0, 2)), "point_rows": []}
    if scene.mask is not None:
        given["mask"] = scene.mask.astype(np.uint8)
    height, width = scene.image.shape[:2]
    if scene.boxes is not None:
        inside = np.clip(scene.boxes, 0, [width, height, width, height])
        kept = np.flatnonzero((inside[:, 2] > inside[:, 0]) & (inside[:, 3] > inside[:, 1]))
        given |= {"bboxes": inside[kept], "box_rows": kept.tolist()}
    if scene.points is not None:
        given |= {"keypoints": scene.points - 0.5, "point_rows": list(range(len(scene.points)))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pipeline(**given)
    mask = None if scene.mask is None else np.asarray(found["mask"]) > 0
    boxes = None if scene.boxes is None else _back(found["bboxes"], found["box_rows"], len(scene.boxes), 4)
    points = None if scene.points is None else _back(found["keypoints"], found["point_rows"], len(scene.points), 2)
    return Scene(found["image"], mask, boxes, None if points is None else points + 0.5)


def _back(values: Any, rows: Sequence[Any], n: int, wide: int) -> Floats:
    """Return (n, wide) values in their old order; lost ones are zero."""
    out = np.zeros((n, wide))
    if len(rows):
        out[np.asarray(rows, np.int64)] = np.asarray(values, np.float64)[:, :wide]
    return out


def _pipeline(transform: str) -> Any:
    """Return this thread's own copy: a pipeline holds its random state."""
    held: dict[str, Any] = _built.__dict__.setdefault("held", {})
    if transform not in held:
        library = need("albumentations", extra="augment")
        parts = [{"__version__": library.__version__, "transform": part} for part in json.loads(transform)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            boxes = library.BboxParams("pascal_voc", label_fields=["box_rows"], clip=True)
            points = library.KeypointParams("xy", label_fields=["point_rows"], remove_invisible=False)
            built = [library.from_dict(part) for part in parts]
            held[transform] = library.Compose(built, bbox_params=boxes, keypoint_params=points)
    return held[transform]
