"""One suite over every plugin of every stage."""

from __future__ import annotations

from pathlib import Path

import pytest

import scarce
from scarce import registry, testing

STAGES = testing.stages()
PLUGINS = [(stage, name) for stage in STAGES for name in registry.names(stage)]
SOURCE = Path(scarce.__file__).parent


def test_stages_are_found() -> None:
    assert {"audit", "augment", "rebalance", "synthesize", "train"} <= set(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_the_number_discovered_is_the_number_of_files(stage: str) -> None:
    folder = SOURCE.joinpath(*stage.split("."))
    files = {path.stem for path in folder.glob("[a-z]*.py")}
    files |= {path.parent.name for path in folder.glob("[a-z]*/__init__.py")}
    others = set(getattr(__import__(f"scarce.{stage}", fromlist=["MODULES"]), "MODULES", ()))
    assert others <= files, f"scarce.{stage}.MODULES names files that do not exist"
    assert files - others == set(registry.names(stage))
    assert len(registry.names(stage)) > 0


@pytest.mark.parametrize(("stage", "name"), PLUGINS)
def test_every_plugin_has_the_form(stage: str, name: str) -> None:
    base = testing.base_of(stage)
    plugin = registry.load(stage, name, base)
    assert plugin.__name__ == registry.camel(name)
    testing.check_form(plugin, base)
    assert registry.load(stage, name.replace("_", "-"), base) is plugin


@pytest.mark.parametrize("name", registry.names("audit"))
def test_every_check_is_pure_seeded_and_in_range(name: str) -> None:
    from scarce.audit import AbstractCheck

    testing.check_audit(registry.load("audit", name, AbstractCheck)())


def test_an_unknown_plugin_is_refused_with_the_closest_name() -> None:
    with pytest.raises(LookupError, match="label_error"):
        registry.load("audit", "lable_error", testing.base_of("audit"))
