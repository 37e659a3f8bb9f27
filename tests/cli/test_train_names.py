"""Names that do not exist are told before the data is scanned or encoded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scarce.cli import main
from scarce.errors import ConfigError
from scarce.loop import measure


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (["--model", "linear_prob"], "did you mean 'linear_probe'"),
        (["--model", "resnet_18"], "'resnet18'"),
        (["--loss", "focl"], "did you mean 'focal'"),
        (["--model", "finetune", "--loss", "ldam-dwr"], "'ldam_drw'"),
        (["--model", "prototype", "--epochs", "3"], "takes no --epochs"),
        (["--model", "gradient-boosting"], "does not take image"),
    ],
)
def test_a_wrong_name_is_told_before_the_data_is_read(
    project: Path, told: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def never(*_given: object, **_named: object) -> None:
        raise AssertionError("the data was read before the names were checked")

    monkeypatch.setattr(measure, "with_scan", never)
    monkeypatch.setattr(measure, "with_features", never)
    assert main(["train", str(project), *told, "--json"]) == 2
    assert said in json.loads(capsys.readouterr().out)["error"]["message"]


@pytest.mark.parametrize(
    "case",
    [
        ('linear_probe]\nloss_ = "focal"', "linear_probe", "unknown key 'loss_'. did you mean 'loss'"),
        ("linear_probe]\nl2x = 5", "auto", "[train.linear_probe]: unknown key 'l2x'. did you mean 'l2'"),
        ("finetune]\nepochz = 3", "resnet18", "[train.finetune]: unknown key 'epochz'. did you mean 'epochs'"),
        ('finetune]\nbatch = "many"', "finetune", "batch"),
    ],
)
@pytest.mark.parametrize("command", ["train", "run", "round"])
def test_a_wrong_key_of_a_trainers_section_is_told_before_the_data_is_read(
    project: Path, case: tuple[str, str, str], command: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def never(*_given: object, **_named: object) -> None:
        raise AssertionError("the data was read before the settings were checked")

    monkeypatch.setattr(measure, "with_scan", never)
    monkeypatch.setattr(measure, "with_features", never)
    monkeypatch.setattr("scarce.loop.prepare.prepare", never)
    monkeypatch.setattr("scarce.flywheel.round._Turning.go", never)
    section, model, said = case
    file, trainer = project / "scarce.toml", "finetune" if model == "resnet18" else model
    told = ["--model", model] if command == "train" else []
    wanted = "" if command == "train" else f'trainer = "{trainer}"\n'
    file.write_text(f"format = 1\n\n[train]\n{wanted}\n[train.{section}\n")
    assert main([command, str(project), *told, "--json"]) == 2
    assert said in json.loads(capsys.readouterr().out)["error"]["message"]


def test_the_section_of_another_trainer_changes_nothing() -> None:
    from scarce.config import Config
    from scarce.loop.fitting import refuse_settings, trainer_settings

    config = Config.from_toml(
        '[train]\nepochs = 4\n[train.finetune]\nepochz = 3\n[train.linear_probe]\nclass-weights = "auto"'
    )
    refuse_settings(config.train, "linear_probe")
    assert trainer_settings(config.train, "linear_probe") == {"class_weights": "auto"}
    with pytest.raises(ConfigError, match="epochz"):
        refuse_settings(config.train, "auto")
