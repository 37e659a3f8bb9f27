from __future__ import annotations

import tomllib
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scarce import config as module
from scarce.config import Config, Rebalance, Split, Train, to_toml, value_to_toml
from scarce.errors import ConfigError


def test_the_default_file_documents_every_key_and_reads_back() -> None:
    text = Config().to_toml()
    assert Config.from_toml(text) == Config()
    lines = text.splitlines()

    def sections(found: object, name: str) -> None:
        for item in fields(found):  # type: ignore[arg-type]
            inner = getattr(found, item.name)
            if is_dataclass(inner):
                sections(inner, f"{name}.{item.name}".lstrip("."))
            elif item.name != "plugins":
                at = lines.index(f"[{name}]")
                place = next(number for number in range(at, len(lines)) if lines[number].startswith(f"#{item.name} = "))
                assert lines[place - 1].startswith("# ")

    sections(Config(), "")


def test_uncommenting_every_key_changes_nothing() -> None:
    lines = [
        line[1:] if line.startswith("#") and not line.startswith("# ") else line
        for line in Config().to_toml().splitlines()
    ]
    body = tomllib.loads("\n".join(lines))
    assert body["rebalance"]["strategy"]["ratio_augment"] == 10.0
    assert Config.from_toml("\n".join(lines)) == Config()


def test_changed_values_are_written_and_read_back() -> None:
    config = replace(
        Config(), split=Split(ratios=(0.5, 0.25, 0.25), hold_out='camera="B"\\\n'), train=Train(epochs=7),
        rebalance=replace(Rebalance(), only=("focal",)),
    )  # fmt: skip
    text = config.to_toml()
    assert "\nepochs = 7\n" in text
    assert Config.from_toml(text) == config


def test_tables_of_plugins_are_kept_for_the_plugins() -> None:
    text = "[audit.near-duplicate]\nradius = 5\n[audit]\nonly = ['near-duplicate']\n"
    config = Config.from_toml(text)
    assert config.audit.plugins == {"near_duplicate": {"radius": 5}}
    assert Config.from_toml(config.to_toml()) == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[trian]\nepochs = 3", r"unknown section \[trian\]. did you mean 'train'"),
        ("[train]\nepoch = 3", r"\[train\]: unknown key 'epoch'. did you mean 'epochs'"),
        ("[train]\nepochs = '3'", "epochs = '3' has the wrong type"),
        ("[train]\nepochs = -1", "epochs = -1 is too small. the least is 0"),
        ("[evaluate]\nfalse_positive_rate = 2.0", "too large. the greatest is 1"),
        ("[split]\nratios = [0.5, 0.4]", "three shares that sum to 1"),
        ("[split]\nratios = [0.5, 0.4, 0.3]", "three shares that sum to 1"),
        ("[audit.near_duplicat]\nradius = 1", "did you mean 'near_duplicate'"),
        ("[rebalance.strategy]\nratio = 1", "unknown key 'ratio'. did you mean 'ratio_"),
        ("train = 3", r"write \[train\]"),
        ("[ledger.more]\na = 1", r"\[ledger\]: unknown key 'more'"),
        ("epochs = 3", r"unknown section \[epochs\]"),
        ("[train\n", "this is not TOML"),
        ("format = 99", "upgrade scarce"),
        ("format = true", "is not known"),
        ("[run]\nminutes = nan", "too small"),
    ],
)
def test_what_is_wrong_is_said(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Config.from_toml(text)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("audit = 0.05", "audit = 0.05 is too small. the least is 0.1"),
        ("labels_per_week = 0", "labels_per_week = 0 is too small. the least is 1"),
        ("uncertainty = 0.9", "uncertainty = 0.9, rarity = 0.3, diversity = 0.2"),
        ("strategy = 'entrpy'", "did you mean 'entropy'?"),
        ("margin = 0", "margin = 0.0 is too small"),
        ("label_per_week = 5", "did you mean 'labels_per_week'"),
    ],
)
def test_the_wheel_is_checked(line: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config.from_toml(f"[flywheel]\n{line}\n")
    assert message in str(caught.value)


def test_the_wheel_takes_shares_that_sum_to_one_and_a_strategy() -> None:
    wheel = Config.from_toml("[flywheel]\nuncertainty = 1\nrarity = 0\ndiversity = 0\nstrategy = 'core-set'\n").flywheel
    assert (wheel.uncertainty, wheel.strategy, wheel.labels_per_week, wheel.audit) == (1.0, "core-set", 100, 0.1)
    with pytest.raises(ConfigError, match="sum to 1"):
        Config().with_values("flywheel", rarity=0.9)


def test_hyphens_are_read_as_underscores() -> None:
    assert Config.from_toml("[evaluate]\nfalse-positive-rate = 0.05").evaluate.false_positive_rate == 0.05


def test_with_values_checks() -> None:
    assert Config().with_values("train", epochs=4).train.epochs == 4
    kept = Config.from_toml("[audit.near_duplicate]\nradius = 5").with_values("audit", only=["blur"])
    assert (kept.audit.only, kept.audit.plugins) == (("blur",), {"near_duplicate": {"radius": 5}})
    with pytest.raises(ConfigError, match="did you mean 'train'"):
        Config().with_values("trian", epochs=4)
    with pytest.raises(ConfigError, match="did you mean 'epochs'"):
        Config().with_values("train", epoch=4)


def test_an_older_format_is_migrated(monkeypatch: pytest.MonkeyPatch) -> None:
    def moved(body: dict[str, object]) -> dict[str, object]:
        body["train"] = {**body.get("train", {}), "epochs": body.pop("epochs")}  # type: ignore[dict-item]
        return body

    monkeypatch.setattr(module, "FORMAT", 2)
    monkeypatch.setattr(module, "MIGRATIONS", (moved,))
    config = Config.from_toml("format = 1\nepochs = 9\n[train]\nmodel = 'resnet18'")
    assert (config.train.epochs, config.train.model) == (9, "resnet18")
    assert "format = 2" in config.to_toml()


PLAIN = st.one_of(
    st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(),
    st.dates(date(1, 1, 1)), st.datetimes(timezones=st.just(UTC), min_value=datetime(1, 1, 1)),  # noqa: DTZ001
)  # fmt: skip


@given(
    st.dictionaries(st.text(), st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3), max_leaves=5), max_size=4)
)
def test_the_writer_agrees_with_the_standard_reader(body: dict[str, object]) -> None:
    assert tomllib.loads(to_toml(body)) == body


def test_the_writer_nests_tables_and_leaves_out_nothing_but_none() -> None:
    body = {"a": 1, "b": {"c": [1.0, {"d": "x"}], "e f": {"g": True}}, "n": None}
    assert tomllib.loads(to_toml(body)) == {"a": 1, "b": {"c": [1.0, {"d": "x"}], "e f": {"g": True}}}
    assert value_to_toml(float("inf")) == "inf"
