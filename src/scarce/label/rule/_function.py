"""Labelling functions: what a user writes, and what a function may answer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType
from typing import Any, Final

import numpy as np

from scarce.dataset import Array
from scarce.errors import DataError, ReadError, closest
from scarce.lineage import digest

WHO: Final = "label.rule"
ABSTAIN: Final = -1
Answer = tuple[int, Array | None]
"""A class code, -1 = abstains, and (K,) probabilities or None."""


@dataclass(frozen=True, eq=False)
class LabelingFunction:
    """A labelling function; make it with :func:`labeling_function`. It is called with one sample.

    Attributes:
        name: what it is called in tables and votes.
        function: the function itself.
        resources: passed to it by keyword.
        pre: functions that the sample goes through first, in this order.
    """

    name: str
    function: Callable[..., Any]
    resources: Mapping[str, Any] = field(default_factory=dict)
    pre: tuple[Callable[[Any], Any], ...] = ()

    def __call__(self, sample: Any) -> Any:
        """Return what the function says about a sample, as it says it."""
        for step in self.pre:
            sample = step(sample)
        return self.function(sample, **self.resources)

    def source_hash(self) -> str:
        """Return a hash of its source, of what it names in its own module, of its resources and of ``pre``."""
        parts: list[str] = [self.name]
        for function in (*self.pre, self.function):
            parts += _source(function, set())
        parts += [f"{key}={_told(value)}" for key, value in sorted(self.resources.items())]
        return digest("\n".join(parts))


def labeling_function(
    name: str | None = None,
    resources: Mapping[str, Any] | None = None,
    pre: Sequence[Callable[[Any], Any]] | None = None,
) -> Callable[[Callable[..., Any]], LabelingFunction]:
    """Turn a function of one sample into a labelling function.

    It answers with a class name, a class code from 0 on, -1 or None where it abstains, ``(class, probability)``, or K
    probabilities in the order of the classes.

    Args:
        name: what it is called; the function's name by default.
        resources: passed to it by keyword: word lists, models.
        pre: functions that the sample goes through first.

    Raises:
        DataError: it was used without parentheses.

    Example:
        >>> @labeling_function()
        ... def has_link(x):
        ...     return "spam" if "http" in x.text else -1
        >>> has_link.name
        'has_link'
    """
    if callable(name):
        raise DataError(WHO, "labeling_function was used without parentheses", do="write @labeling_function()")

    def wrap(function: Callable[..., Any]) -> LabelingFunction:
        return LabelingFunction(name or function.__name__, function, dict(resources or {}), tuple(pre or ()))

    return wrap


def answer_of(said: Any, classes: Sequence[str]) -> Answer:
    """Return what a function's answer means.

    Args:
        said: the answer.
        classes: names of the K classes.

    Raises:
        ValueError: it means nothing; the text says why.
    """
    if said is None:
        return ABSTAIN, None
    if isinstance(said, str):
        if said not in classes:
            raise ValueError(f"it answered {said!r}, which is no class; {closest(said, classes)}")
        return list(classes).index(said), None
    if isinstance(said, tuple) and len(said) == 2 and not (len(classes) == 2 and _float(said[0]) and _float(said[1])):
        return _with_probability(said, classes)
    if isinstance(said, list | tuple | np.ndarray) and np.ndim(said):
        return _with_probabilities(said, classes)
    return _code(said, len(classes)), None


def _float(value: Any) -> bool:
    return isinstance(value, float | np.floating)


def _code(said: Any, k: int) -> int:
    try:
        code = int(said)
        same = bool(code == said)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"it answered {said!r}, which is no class, no code and no abstention (-1)") from None
    if not same or code < ABSTAIN or code >= k:
        raise ValueError(f"it answered {said!r}; codes are 0 to {k - 1}, and -1 abstains")
    return code


def _with_probability(said: tuple[Any, Any], classes: Sequence[str]) -> Answer:
    code, _ = answer_of(said[0], classes)
    if code < 0:
        return ABSTAIN, None
    try:
        probability = float(said[1])
    except (TypeError, ValueError):
        raise ValueError(f"it answered {said!r}; the second part is no probability") from None
    if not 0 <= probability <= 1:
        raise ValueError(f"it answered {said!r}; a probability is between 0 and 1")
    rest = (1 - probability) / max(len(classes) - 1, 1)
    probs = np.full(len(classes), rest, np.float32)
    probs[code] = probability if len(classes) > 1 else 1.0
    return int(probs.argmax()) if probability < rest else code, probs


def _with_probabilities(said: Any, classes: Sequence[str]) -> Answer:
    try:
        probs = np.asarray(said, np.float32)
    except (TypeError, ValueError):
        raise ValueError(f"it answered {str(said)[:80]}, which are no probabilities") from None
    if (
        probs.shape != (len(classes),)
        or not np.isfinite(probs).all()
        or (probs < 0).any()
        or abs(probs.sum() - 1) > 1e-3
    ):
        raise ValueError(f"it answered {str(said)[:80]}; {len(classes)} probabilities that sum to 1 are wanted")
    return int(probs.argmax()), probs / probs.sum()


def load_functions(path: str | Path) -> list[LabelingFunction]:
    """Return the labelling functions of a Python file, in the order in which it defines them.

    The file is run: only load files that you trust.

    Raises:
        ReadError: the file is missing or cannot be run.
        DataError: it holds no labelling function, or two of one name.
    """
    path = Path(path)
    if not path.is_file():
        raise ReadError(WHO, f"{path} is no file", do="give the Python file that holds the labelling functions")
    spec = spec_from_file_location(f"_rules_{digest(str(path.absolute()))[:8]}", path)
    if spec is None or spec.loader is None:
        raise ReadError(WHO, f"{path} is no Python file", do="its name must end in .py")
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        line = f" in line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise ReadError(WHO, f"{path} cannot be run ({type(error).__name__}: {error}{line})") from error
    found = [value for value in vars(module).values() if isinstance(value, LabelingFunction)]
    if not found:
        raise DataError(WHO, f"{path} holds no labelling function", do="write @labeling_function() above a function")
    refuse_twins(found)
    return found


def refuse_twins(functions: Sequence[LabelingFunction]) -> None:
    """Refuse two functions of one name, and what is no labelling function.

    Raises:
        DataError: there is such a thing.
    """
    for one in functions:
        if not isinstance(one, LabelingFunction):
            raise DataError(WHO, f"{one!r} is no labelling function", do="write @labeling_function() above it")
    names = [one.name for one in functions]
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise DataError(WHO, f"two labelling functions are called {twins[0]!r}", do="give one of them another name")


def _source(function: Any, seen: set[str]) -> list[str]:
    """Return the source of a function and, once each, of the functions and plain values that it names."""
    known = inspect.unwrap(function) if hasattr(function, "__code__") else type(function)
    try:
        parts = [inspect.getsource(known)]
    except (OSError, TypeError):
        code = getattr(known, "__code__", None)
        parts = [repr((code.co_code, code.co_consts)) if code else repr(function)]
    scope = getattr(known, "__globals__", {})
    inner = inspect.getclosurevars(known).nonlocals if hasattr(known, "__code__") else {}
    parts += [f"{name}={_told(value)}" for name, value in sorted(inner.items())]
    for name in sorted(_names(known.__code__)) if hasattr(known, "__code__") else ():
        value = scope.get(name)
        if name in seen or value is None:
            continue
        seen.add(name)
        if inspect.isfunction(value) and value.__module__ == known.__module__:
            parts += _source(value, seen)
        elif not inspect.ismodule(value) and not callable(value):
            parts.append(f"{name}={_told(value)}")
    return parts


def _names(code: CodeType) -> set[str]:
    """Return the global names that a function's code uses, inner functions included."""
    found = set(code.co_names)
    for item in code.co_consts:
        if isinstance(item, CodeType):
            found |= _names(item)
    return found


def _told(value: Any) -> str:
    """Return a value's text, the same in every process: sets are sorted, objects go by their type and state."""
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(map(_told, value)))}}}"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_told(key)}: {_told(item)}' for key, item in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_told, value))}]"
    if isinstance(value, np.ndarray):
        return digest(str((value.shape, value.dtype)), np.ascontiguousarray(value).tobytes())
    if repr(value).endswith(f"at {hex(id(value))}>"):
        return f"{type(value).__qualname__}({_told(vars(value)) if hasattr(value, '__dict__') else ''})"
    return repr(value)
