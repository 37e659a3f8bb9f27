"""How two copies differ, in words."""

from __future__ import annotations

from scarce.audit.near_duplicate import CROPPED, FEATURES, MIRRORED, WORDS
from scarce.dataset import Dataset, Ints

WAYS = {
    MIRRORED: "one is mirrored", CROPPED: "one is cut out of the other", FEATURES: "by their features",
    WORDS: "by the pieces of their wording",
}  # fmt: skip
SHADES = 4
"""Mean gray levels below this are called equal."""


def notes(ds: Dataset, pairs: Ints, how: Ints) -> list[str]:
    """Return (P,) what is different between the two of each pair, as far as the one pass over the bytes knows it.

    Args:
        ds: the rows.
        pairs: (P, 2) row numbers.
        how: (P,) how each pair was found.
    """
    said = [[WAYS[int(way)]] if int(way) in WAYS else [] for way in how]
    if "scan.thumbnail" in ds and ds.schema.modality == "image":
        thumbnails = ds["scan.thumbnail"]
        for parts, (i, j) in zip(said, pairs.tolist(), strict=True):
            lighter = float(thumbnails[i].mean()) - float(thumbnails[j].mean())
            if abs(lighter) >= SHADES:
                parts.append(f"mean gray differs by {abs(lighter):.0f} levels")
    if "scan.width" in ds and "scan.height" in ds:
        sizes = [ds[name] for name in ("scan.width", "scan.height")]
        for parts, (i, j) in zip(said, pairs.tolist(), strict=True):
            one, other = (tuple(int(size[row]) for size in sizes) for row in (i, j))
            if one != other:
                parts.append(f"{one[0]} x {one[1]} and {other[0]} x {other[1]} pixels")
    return [", ".join(parts) for parts in said]
