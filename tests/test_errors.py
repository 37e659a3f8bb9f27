from __future__ import annotations

import inspect

import pytest

from scarce import errors
from scarce.errors import ReadError, ScarceError, closest, unknown_name

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, ScarceError)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_has_four_parts_and_crosses_processes(kind: type[ScarceError]) -> None:
    error = kind("audit.blur", "3 rows have no size", "sizes are in scan.width", "scan first")
    assert str(error) == "audit.blur: 3 rows have no size. sizes are in scan.width. scan first."
    rebuild, args = error.__reduce__()[:2]
    again = rebuild(*args)
    assert type(again) is kind
    assert (again.who, again.what, again.there, again.do) == (error.who, error.what, error.there, error.do)


def test_every_error_is_a_builtin_as_well() -> None:
    builtins = (ValueError, OSError, LookupError, ImportError, RuntimeError)
    assert all(issubclass(kind, builtins) for kind in KINDS if kind is not ScarceError)


def test_read_errors_print_their_parts() -> None:
    assert str(ReadError("io", "x.png is broken")) == "io: x.png is broken."


def test_closest() -> None:
    assert closest("lable", ["label", "split"]) == "did you mean 'label'?"
    assert closest("zzz", ["label", "split"]) == "known are label, split"
    assert closest("zzz", []) == "nothing is available"
    assert closest("q", [f"name{i:02d}" for i in range(20)]).endswith("and 8 more")
    assert "there is no stage 'adit'" in str(unknown_name("cli", "stage", "adit", ["audit"]))
