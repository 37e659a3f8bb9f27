"""A function of the user's as a step: what is recorded about it."""

from __future__ import annotations

import inspect
import json
import textwrap
from collections.abc import Callable, Mapping
from typing import Any, Final

from scarce.errors import DataError
from scarce.lineage import Step, canonical_json, digest

STAGE: Final = "own"


def own_step(function: Callable[..., Any], params: Mapping[str, Any], *, seed: int | None = None) -> Step:
    """Return the step that a function of the user's is: its place, its source, its parameters and its seed.

    Args:
        function: any function that takes a dataset; a callable object counts by its class.
        params: what it is called with besides the dataset; plain values, so that it can be done again.
        seed: of what it draws.

    Raises:
        DataError: it cannot be called, or a parameter is no plain value.
    """
    if not callable(function):
        raise DataError("apply", f"{function!r} cannot be called", do="give a function that takes a dataset")
    known = function if hasattr(function, "__qualname__") else type(function)
    place = f"{known.__module__}:{known.__qualname__}"
    try:
        plain = json.loads(json.dumps(dict(params), allow_nan=False))
    except (TypeError, ValueError) as error:
        do = "give text, numbers, true, false, null, and lists or objects of them"
        raise DataError("apply", f"a parameter of {place} cannot be recorded ({error})", do=do) from error
    if plain != json.loads(canonical_json(dict(params))):
        raise DataError("apply", f"the parameters of {place} change when they are recorded", do="name keys by text")
    source = source_of(function)
    body = {"function": place, "params": plain, "source": source}
    return Step(stage=STAGE, name=known.__name__, params=body, seed=seed, inputs={"source": digest(source)})


def source_of(function: Callable[..., Any]) -> str:
    """Return the text of a function (of an object's class); empty where it was not read from a file."""
    known = inspect.unwrap(function) if hasattr(function, "__qualname__") else type(function)
    try:
        return textwrap.dedent(inspect.getsource(known))
    except (OSError, TypeError):
        return ""
