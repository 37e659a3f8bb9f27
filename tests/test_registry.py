from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pytest

from scarce import registry
from scarce.errors import ConfigError, UnknownNameError
from scarce.registry import Plugin, camel, canonical, coerce


@dataclass(frozen=True, kw_only=True)
class Sample(Plugin):
    """First line."""

    count: int = 3
    share: float = 0.5
    kind: Literal["near", "far"] = "near"
    sizes: tuple[int, ...] = (1, 2)
    limit: float | None = None
    on: bool = False


def test_params_round_trip() -> None:
    plugin = Sample(count=4, sizes=(3,), limit=2.0)
    assert Sample.from_params(plugin.params()) == plugin
    assert Sample.summary() == "First line."


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"cuont": 1}, "did you mean 'count'"),
        ({"count": 1.5}, "count = 1.5"),
        ({"count": True}, "count = True"),
        ({"kind": "middle"}, "kind = 'middle'"),
        ({"sizes": "ab"}, "sizes = 'ab'"),
        ({"sizes": [1, "b"]}, "sizes = 'b'"),
        ({"on": 1}, "on = 1"),
        ({"limit": "x"}, "limit = 'x'"),
    ],
)
def test_wrong_params_are_refused(params: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Sample.from_params(params)


def test_coerce_takes_integers_for_floats_and_mappings() -> None:
    assert coerce("x", "share", 1, float) == 1.0
    assert coerce("x", "limits", {"a": [1, 2]}, Mapping[str, tuple[float, float]]) == {"a": (1.0, 2.0)}
    assert coerce("x", "limit", None, float | None) is None
    with pytest.raises(ConfigError, match=r"limits\.a"):
        coerce("x", "limits", {"a": [1]}, dict[str, tuple[float, float]])


def test_names() -> None:
    assert camel("near_duplicate") == "NearDuplicate"
    assert canonical(" Near-Duplicate ") == "near_duplicate"


def test_plugins_load_by_file_name_and_unknown_ones_name_the_closest() -> None:
    names = registry.names("audit")
    assert "exact_duplicate" in names
    assert all(not name.startswith("_") for name in names)
    assert registry.load("audit", "exact-duplicate", Plugin).plugin_name() == "exact_duplicate"
    with pytest.raises(UnknownNameError, match="did you mean 'exact_duplicate'"):
        registry.load("audit", "exact_duplicat", Plugin)
