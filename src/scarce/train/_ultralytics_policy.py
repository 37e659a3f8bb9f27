"""An augmentation policy of ours in the words of Ultralytics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

OFF: Final[Mapping[str, float]] = dict.fromkeys(
    ("hsv_h", "hsv_s", "hsv_v", "degrees", "translate", "scale", "shear", "perspective", "flipud", "fliplr", "bgr",
     "mosaic", "mixup", "cutmix", "copy_paste"), 0.0,
)  # fmt: skip


def settings_of(operations: Sequence[Any]) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return the augmentation settings of Ultralytics for operations, and the names of those that it has none for.

    All that no operation asks for is off. Where Ultralytics cannot apply an operation to a share of the pictures, it is
    applied to all; ranges that are not the same to both sides become the wider side.

    Args:
        operations: of a policy, each with the fields of its class.
    """
    out: dict[str, float] = dict(OFF)
    without: list[str] = []
    for one in operations:
        name = one.plugin_name()
        if name not in _WORDS:
            without.append(name)
            continue
        for key, value in _WORDS[name](one).items():
            out[key] = max(out[key], round(float(value), 6))
    return out, tuple(without)


def _wide(*bounds: float) -> float:
    return max(abs(value) for value in bounds)


_WORDS: Final[dict[str, Callable[[Any], dict[str, float]]]] = {
    "flip": lambda o: {"fliplr": o.horizontal * o.probability, "flipud": o.vertical * o.probability},
    "rotate": lambda o: {"degrees": _wide(*o.angle)},
    "shift_scale_rotate": lambda o: {
        "translate": o.shift,
        "scale": _wide(o.scale[0] - 1, o.scale[1] - 1),
        "degrees": o.rotate,
    },
    "translate": lambda o: {"translate": _wide(*o.x, *o.y)},
    "shear": lambda o: {"shear": _wide(*o.x, *o.y)},
    "hue_saturation_value": lambda o: {"hsv_h": o.hue / 360, "hsv_s": o.saturation, "hsv_v": o.value},
    "brightness_contrast": lambda o: {"hsv_v": o.brightness},
    "perspective": lambda o: {"perspective": min(o.scale / 100, 0.001)},
    "mosaic": lambda o: {"mosaic": o.probability},
    "mixup": lambda o: {"mixup": o.probability},
    "cutmix": lambda o: {"cutmix": o.probability},
}
