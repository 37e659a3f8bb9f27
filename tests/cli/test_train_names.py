"""Names that do not exist are told before the data is scanned or encoded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scarce.cli import main
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
