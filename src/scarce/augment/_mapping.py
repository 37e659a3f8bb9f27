"""Which transforms of Albumentations are operations of ours, in both directions, as plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

Table = dict[str, Any]
BORDERS: Final = {0: "constant", 1: "replicate", 4: "reflect"}
_MODES: Final = {name: mode for mode, name in BORDERS.items()}


def ours(transform: Mapping[str, Any], *, always: bool = False) -> Table | None:
    """Return the operation that does the same as a transform, or None where none does.

    Args:
        transform: its plain values.
        always: its ``p`` is a weight in a group; chosen, it is applied.
    """
    make = _FROM.get(str(transform["__class_fullname__"]))
    return None if make is None else make(transform, 1.0 if always else float(transform["p"]))


def theirs(table: Mapping[str, Any]) -> list[Table] | None:
    """Return (class name, arguments) of transforms that do the same as an operation, or None where none do."""
    make = _TO.get(str(table["op"]))
    return None if make is None else make(table)


def _plain_move(t: Mapping[str, Any]) -> bool:
    return t["border_mode"] in BORDERS and t["interpolation"] == 1 and t["fill"] in (0, 0.0)


def _rotate(t: Mapping[str, Any], p: float) -> Table | None:
    if not _plain_move(t) or t["crop_border"]:
        return None
    return {
        "op": "rotate",
        "angle": list(map(float, t["limit"])),
        "border": BORDERS[t["border_mode"]],
        "probability": p,
    }


def _shift_scale_rotate(t: Mapping[str, Any], p: float) -> Table | None:
    x, y, turn = t["shift_limit_x"], t["shift_limit_y"], t["rotate_limit"]
    if not _plain_move(t) or list(x) != list(y) or x[0] != -x[1] or turn[0] != -turn[1]:
        return None
    zoom = [round(1 + float(value), 6) for value in t["scale_limit"]]
    return {"op": "shift_scale_rotate", "shift": float(x[1]), "scale": zoom, "rotate": float(turn[1]),
            "border": BORDERS[t["border_mode"]], "probability": p}  # fmt: skip


def _brightness(t: Mapping[str, Any], p: float) -> Table | None:
    light, contrast = t["brightness_limit"], t["contrast_limit"]
    even = light[0] == -light[1] and contrast[0] == -contrast[1]
    if not even or not t["brightness_by_max"] or t["ensure_safe_range"]:
        return None
    return {"op": "brightness_contrast", "brightness": float(light[1]), "contrast": float(contrast[1]), "pivot": 0.0,
            "probability": p}  # fmt: skip


def _noise(t: Mapping[str, Any], p: float) -> Table | None:
    if any(t["mean_range"]) or not t["per_channel"] or t["noise_scale_factor"] != 1:
        return None
    return {"op": "gaussian_noise", "deviation": list(map(float, t["std_range"])), "probability": p}


def _jpeg(t: Mapping[str, Any], p: float) -> Table | None:
    return (
        {"op": "jpeg", "quality": list(t["quality_range"]), "probability": p}
        if t["compression_type"] == "jpeg"
        else None
    )


def _gray(t: Mapping[str, Any], p: float) -> Table | None:
    fits = t["method"] == "weighted_average" and t["num_output_channels"] == 3
    return {"op": "to_gray", "probability": p} if fits else None


_FROM: Final[Mapping[str, Callable[[Mapping[str, Any], float], Table | None]]] = {
    "HorizontalFlip": lambda _, p: {"op": "flip", "horizontal": p, "vertical": 0.0},
    "VerticalFlip": lambda _, p: {"op": "flip", "horizontal": 0.0, "vertical": p},
    "Transpose": lambda _, p: {"op": "flip", "horizontal": 0.0, "diagonal": p},
    "D4": lambda _, p: {"op": "flip", "horizontal": 0.5, "vertical": 0.5, "diagonal": 0.5, "probability": p},
    "RandomRotate90": lambda _, p: {"op": "rotate_90", "probability": p},
    "Rotate": _rotate,
    "ShiftScaleRotate": _shift_scale_rotate,
    "RandomBrightnessContrast": _brightness,
    "GaussNoise": _noise,
    "ImageCompression": _jpeg,
    "ToGray": _gray,
}


def _flip(table: Mapping[str, Any]) -> list[Table] | None:
    sides = {"Transpose": table["diagonal"], "VerticalFlip": table["vertical"], "HorizontalFlip": table["horizontal"]}
    found = [{"name": name, "p": p} for name, p in sides.items() if p]
    return found if table["probability"] == 1 else None


def _to_brightness(table: Mapping[str, Any]) -> list[Table] | None:
    if table["pivot"] or table["tint"]:
        return None
    return [{"name": "RandomBrightnessContrast", "brightness_limit": table["brightness"],
             "contrast_limit": table["contrast"], "p": table["probability"]}]  # fmt: skip


def _to_shift(table: Mapping[str, Any]) -> list[Table] | None:
    zoom = [value - 1 for value in table["scale"]]
    return None if table["cut"] < 1 else [
        {"name": "ShiftScaleRotate", "shift_limit": table["shift"], "scale_limit": tuple(zoom),
         "rotate_limit": table["rotate"], "border_mode": _MODES[table["border"]], "p": table["probability"]}
    ]  # fmt: skip


_TO: Final[Mapping[str, Callable[[Mapping[str, Any]], list[Table] | None]]] = {
    "flip": _flip,
    "rotate_90": lambda t: [{"name": "RandomRotate90", "p": t["probability"]}],
    "rotate": lambda t: [
        {"name": "Rotate", "limit": tuple(t["angle"]), "border_mode": _MODES[t["border"]], "p": t["probability"]}
    ],
    "shift_scale_rotate": _to_shift,
    "brightness_contrast": _to_brightness,
    "gaussian_noise": lambda t: [{"name": "GaussNoise", "std_range": tuple(t["deviation"]), "p": t["probability"]}],
    "jpeg": lambda t: [{"name": "ImageCompression", "quality_range": tuple(t["quality"]), "p": t["probability"]}],
    "to_gray": lambda t: [{"name": "ToGray", "p": t["probability"]}],
}
