"""Times from the many ways in which tables write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_FORMATS = (
    "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d",
    "%y.%m.%d",
    "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y", "%d.%m.%y", "%d/%m/%Y", "%m/%d/%Y", "%Y:%m:%d %H:%M:%S",
)  # fmt: skip
_ZONE = re.compile(r"(Z|[+-]\d\d:?\d\d)$")


def moments(column: Any) -> tuple[pa.Array | None, str]:
    """Return a column as timestamps (microseconds, UTC where a zone is stated) and how it was read.

    None where one value cannot be read as a time; whole numbers count as seconds since 1970 where all lie between
    2001 and 2065.
    """
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    kind = array.type
    if array.null_count == len(array):
        return None, ""
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        zoned = pa.types.is_timestamp(kind) and kind.tz is not None
        utc = pc.cast(array, pa.timestamp("us", tz="UTC"), safe=False) if zoned else array
        return pc.cast(utc, pa.timestamp("us"), safe=False), "times"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        low, high = pc.min(array).as_py(), pc.max(array).as_py()
        if not 1e9 <= low <= high <= 3e9:
            return None, ""
        micro = pc.cast(pc.multiply(pc.cast(array, pa.float64()), 1e6), pa.int64(), safe=False)
        return pc.cast(micro, pa.timestamp("us")), "seconds since 1970"
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return None, ""
    return _from_text(array)


def moment(value: Any) -> datetime | None:
    """Return one value as a time (UTC where a zone is stated); None where it cannot be read as one."""
    if isinstance(value, datetime):
        return value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
    found = moments(pa.array([value]))[0] if isinstance(value, str | int | float) else None
    return None if found is None else found[0].as_py()


def _from_text(array: pa.Array) -> tuple[pa.Array | None, str]:
    texts = [None if text is None or not text.strip() else text.strip() for text in array.to_pylist()]
    known = [text for text in texts if text is not None]
    if not known:
        return None, ""
    for form in ("ISO 8601", *_FORMATS):
        try:
            _parse(known[0], form)
            values = [None if text is None else _parse(text, form) for text in texts]
        except ValueError:
            continue
        return pa.array(values, pa.timestamp("us")), form
    return None, ""


def _parse(text: str, form: str) -> datetime:
    if form != "ISO 8601":
        return datetime.strptime(text, form)  # noqa: DTZ007 - a time without a zone stays one
    if not re.match(r"\d{4}-\d\d-\d\d[T ]", text):
        raise ValueError(text)
    found = datetime.fromisoformat(_ZONE.sub(lambda match: match[1].replace("Z", "+00:00"), text))
    return found if found.tzinfo is None else found.astimezone(UTC).replace(tzinfo=None)
