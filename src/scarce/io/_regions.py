"""Label Studio's regions and choices, from and to the one shape of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from scarce.io import boxes as shape
from scarce.io._brush import decode_brush, encode_brush
from scarce.io._picture import finite, sure_size

BOX, POLYGON, BRUSH, CHOICE = "box", "polygon", "brush", "choice"
_LABELS: Final = ("rectanglelabels", "polygonlabels", "brushlabels", "ellipselabels", "labels")


@dataclass(kw_only=True)
class Result:
    """What one annotation or prediction says about a task.

    Args:
        boxes: objects; None = it marks none and no empty annotation of regions either.
        choices: chosen classes, None = none was chosen.
        texts: name of a field to the text or number that was given.
        size: width and height of the picture, where a region tells it.
        left_out: kinds of results that cannot be kept.
    """

    boxes: list[dict[str, Any]] | None = None
    choices: list[str] | None = None
    texts: dict[str, Any] = field(default_factory=dict)
    size: tuple[int, int] | None = None
    left_out: list[str] = field(default_factory=list)


def read_results(results: Sequence[Mapping[str, Any]]) -> Result:
    """Return what the entries of ``result`` say.

    Raises:
        ValueError: a region is broken.
    """
    found = Result()
    for item in results:
        value, kind = item.get("value"), str(item.get("type", ""))
        if not isinstance(value, Mapping):
            found.left_out.append(kind or "without a type")
            continue
        if kind in ("choices", "taxonomy"):
            found.choices = [*(found.choices or []), *_choices(value.get(kind) or value.get("choices") or [])]
        elif kind in ("textarea", "number", "rating", "datetime"):
            said = value.get("text" if kind == "textarea" else kind)
            found.texts[str(item.get("from_name", kind))] = (
                "\n".join(map(str, said)) if isinstance(said, list) else said
            )
        elif "x" in value or "points" in value or "rle" in value:
            size = sure_size(item.get("original_width"), item.get("original_height"))
            if size is None:
                raise ValueError("a region has no original_width and original_height")
            found.size = size
            found.boxes = [*(found.boxes or []), _object(item, value, size)]
        else:
            found.left_out.append(kind)
    return found


def _choices(said: Any) -> list[str]:
    listed = said if isinstance(said, list) else [said]
    return [" / ".join(map(str, one)) if isinstance(one, list) else str(one) for one in listed]


def _object(item: Mapping[str, Any], value: Mapping[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    names = next((value[key] for key in _LABELS if value.get(key)), None)
    found: dict[str, Any] = {"label": str(names[0]) if isinstance(names, list) else "object"}
    wide, high = size[0] / 100, size[1] / 100
    if "rle" in value:
        mask = decode_brush(value["rle"], *size)
        found |= {"bbox": shape.mask_box(mask), "segmentation": shape.encode_mask(mask)}
    elif "points" in value:
        flat = finite(number for point in value["points"] for number in point)
        outline = [shape.number(number * (high if i % 2 else wide)) for i, number in enumerate(flat)]
        if len(outline) < 6:
            raise ValueError("a polygon has fewer than three points")
        found |= {"bbox": shape.hull([outline]), "segmentation": [outline]}
    elif "width" in value:
        left, top, width, height = finite(value[key] for key in ("x", "y", "width", "height"))
        box = (left * wide, top * high, width * wide, height * high)
        found["bbox"] = [shape.number(number) for number in box]
        if value.get("rotation"):
            found["rotation"] = value["rotation"]
    else:
        x, y, rx, ry = finite(value[key] for key in ("x", "y", "radiusX", "radiusY"))
        box = ((x - rx) * wide, (y - ry) * high, 2 * rx * wide, 2 * ry * high)
        found["bbox"] = [shape.number(number) for number in box]
    if item.get("id") is not None:
        found["id"] = item["id"]
    if isinstance(item.get("score"), int | float):
        found["score"] = item["score"]
    more = item.get("meta")
    return {**found, **(more if isinstance(more, Mapping) else {})}


def box_results(objects: Sequence[Mapping[str, Any]], size: tuple[int, int], to_name: str) -> list[dict[str, Any]]:
    """Return objects as regions: boxes, polygons (of one part) and brush masks (all else).

    Args:
        objects: as :mod:`scarce.io.boxes` describes them.
        size: width and height of the picture.
        to_name: name of the picture in the labelling page.
    """
    return [_region(item, number, size, to_name) for number, item in enumerate(objects, 1)]


def _region(item: Mapping[str, Any], number: int, size: tuple[int, int], to_name: str) -> dict[str, Any]:
    wide, high = 100 / size[0], 100 / size[1]
    kind, value = region_kind(item), dict[str, Any]()
    if kind == BRUSH:
        value = {"format": "rle", "rle": encode_brush(shape.shape_mask(item, size)), "brushlabels": [item["label"]]}
    elif kind == POLYGON:
        (outline,) = shape.polygons_of(item)
        points = [[outline[i] * wide, outline[i + 1] * high] for i in range(0, len(outline) - 1, 2)]
        value = {"points": points, "closed": True, "polygonlabels": [item["label"]]}
    else:
        left, top, width, height = item["bbox"]
        value = {"x": left * wide, "y": top * high, "width": width * wide, "height": height * high}
        value |= {"rotation": item.get("rotation", 0), "rectanglelabels": [item["label"]]}
    shut = {"label", "bbox", "segmentation", "id", "score", "rotation"}
    more = {key: part for key, part in item.items() if key not in shut}
    region = {
        "id": str(item.get("id", f"r{number}")), "type": {BOX: "rectanglelabels"}.get(kind, f"{kind}labels"),
        "from_name": kind, "to_name": to_name, "original_width": size[0], "original_height": size[1],
        "image_rotation": 0, "value": value,
    }  # fmt: skip
    if item.get("score") is not None:
        region["score"] = item["score"]
    return {**region, "meta": more} if more else region


def region_kind(item: Mapping[str, Any]) -> str:
    """Return how an object is drawn: ``box``, ``polygon`` or ``brush``."""
    outline = item.get("segmentation")
    if not outline:
        return BOX
    return POLYGON if isinstance(outline, list) and len(outline) == 1 and len(outline[0]) >= 6 else BRUSH


def choice_result(labels: Sequence[str], to_name: str) -> dict[str, Any]:
    """Return chosen classes as a result."""
    value = {"choices": list(labels)}
    return {"id": "c1", "type": "choices", "from_name": CHOICE, "to_name": to_name, "value": value}
