"""The contract of plugins: what holds for every one of them."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import pkgutil
import re
import tomllib
from typing import Any, TypeVar

import numpy as np

from scarce.config import to_toml
from scarce.dataset import Dataset
from scarce.errors import ConfigError
from scarce.registry import Plugin
from scarce.testing.tiny import tiny_dataset

AnyPlugin = TypeVar("AnyPlugin", bound=Plugin)


def stages() -> tuple[str, ...]:
    """Return the packages of scarce that hold plugins, ``label.query`` among them: their ``_base.py`` has a base."""
    return tuple(name for name in _packages("scarce") if _bases(name))


def _packages(parent: str) -> list[str]:
    package = importlib.import_module(parent)
    own = sorted(item.name for item in pkgutil.iter_modules(package.__path__) if item.ispkg)
    found = []
    for name in own:
        below = f"{parent}.{name}".removeprefix("scarce.")
        found += [below, *_packages(f"scarce.{below}")]
    return found


def base_of(stage: str) -> type[Plugin]:
    """Return the abstract base class of a stage's plugins."""
    bases = _bases(stage)
    assert len(bases) == 1, f"scarce.{stage}._base defines {len(bases)} bases: {bases}"
    return bases[0]


def _bases(stage: str) -> list[type[Plugin]]:
    try:
        module = importlib.import_module(f"scarce.{stage}._base")
    except ModuleNotFoundError as error:
        if error.name != f"scarce.{stage}._base":
            raise
        return []
    own = (value for value in vars(module).values() if inspect.isclass(value) and value.__module__ == module.__name__)
    return [value for value in own if issubclass(value, Plugin)]


def check_form(plugin: type[Plugin], base: type[Plugin] | None = None) -> None:
    """Check what holds for every plugin: a frozen final dataclass that explains itself and survives TOML.

    Raises:
        AssertionError: something does not hold; the message says what.
    """
    name = plugin.__name__
    params: Any = getattr(plugin, "__dataclass_params__", None)
    assert params is not None, f"{name} is no dataclass"
    assert params.frozen, f"{name} is not frozen"
    assert "__dataclass_fields__" in vars(plugin), f"{name} is not decorated with @dataclass itself"
    assert getattr(plugin, "__final__", False), f"{name} is not decorated with @final"
    assert not inspect.isabstract(plugin), f"{name} leaves hooks of its base open"
    assert base is None or plugin.__bases__ == (base,), f"{name} does not derive from {base} alone"
    assert all(field.kw_only for field in dataclasses.fields(plugin)), f"{name} takes parameters by position"
    _check_docstring(plugin)
    _check_parameters(plugin)


def _check_docstring(plugin: type[Plugin]) -> None:
    name, text = plugin.__name__, inspect.cleandoc(plugin.__doc__ or "")
    first, _, rest = text.partition("\n")
    assert first.endswith("."), f"the first line of {name}'s docstring is no sentence: {first!r}"
    assert len(first) <= 120, f"the first line of {name}'s docstring is longer than 120 characters"
    assert not rest or rest.startswith("\n"), f"{name}'s docstring needs an empty line after the first"
    assert not text.startswith(f"{name}("), f"{name} has no docstring of its own"
    undocumented = [field.name for field in dataclasses.fields(plugin) if not _documented(plugin, field.name)]
    assert not undocumented, f"{name}'s docstring says nothing about {', '.join(undocumented)}"


def _documented(plugin: type[Plugin], parameter: str) -> bool:
    """Return whether a docstring of the class or its bases names a parameter, or a text stands below its line."""
    below = rf"^ +{parameter}: .*\n +\"\"\""
    for part in plugin.__mro__[:-1]:
        if re.search(rf"\b{parameter}\b", part.__doc__ or "") or re.search(
            below, inspect.getsource(part), re.MULTILINE
        ):
            return True
    return False


def _check_parameters(plugin: type[Plugin]) -> None:
    made = plugin()
    plain = made.params()
    assert plugin.from_params(plain) == made, f"{plugin.__name__} does not survive params() and from_params()"
    assert plugin.from_params(json.loads(json.dumps(plain))) == made, f"{plugin.__name__} does not survive JSON"
    present = {key: value for key, value in plain.items() if value is not None}
    through = tomllib.loads(to_toml({"plugin": present})).get("plugin", {})
    assert plugin.from_params(through) == made, f"{plugin.__name__} does not survive TOML"
    assert hash(made) == hash(plugin()), f"{plugin.__name__} cannot be hashed by value"
    try:
        plugin.from_params({"no_such_setting": 1})
    except ConfigError:
        return
    raise AssertionError(f"{plugin.__name__} accepts a setting that it does not have")


def check_audit(check: Any, ds: Dataset | None = None) -> None:
    """Check what holds for every check of the audit.

    Its score is (N,) in [0, 1] or NaN; it changes nothing; the same data gives the same result; the order of the rows
    does not matter; findings name samples (or classes) that exist, with a score in [0, 1] and a reason.

    Args:
        check: an instance of a subclass of ``scarce.audit.AbstractCheck``.
        ds: rows to judge; :func:`tiny_dataset` by default. A check that this data does not suit is not run.

    Raises:
        AssertionError: something does not hold.
    """
    ds = tiny_dataset() if ds is None else ds
    if check.unmet(ds):
        return
    before = ds.table
    first, again = check.measure(ds), check.measure(ds)
    assert ds.table.equals(before), "it changed the dataset"
    score = np.asarray(first.score)
    assert score.shape == (len(ds),), f"its score has shape {score.shape}, not ({len(ds)},)"
    known = score[np.isfinite(score)]
    assert ((known >= 0) & (known <= 1)).all(), "its score leaves [0, 1]"
    np.testing.assert_array_equal(score, np.asarray(again.score), err_msg="the same data gives another score")
    assert list(first.findings) == list(again.findings), "the same data gives other findings"
    order = np.random.default_rng(5).permutation(len(ds))
    shuffled = np.asarray(check.measure(ds.take(order)).score)
    np.testing.assert_allclose(shuffled, score[order], atol=1e-4, err_msg="the order of the rows matters")
    names = {*ds.ids, *ds.schema.classes}
    for finding in first.findings:
        assert set(finding["members"]) <= names, f"a finding names what does not exist: {finding}"
        assert 0 <= finding["score"] <= 1, f"a finding's score leaves [0, 1]: {finding}"
        assert finding["why"], f"a finding has no reason: {finding}"
