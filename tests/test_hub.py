from __future__ import annotations

import logging
import socket
import time
from pathlib import Path

import pytest

from scarce import hub
from scarce.augment.back_translation import translate_back
from scarce.augment.contextual_replacement import masked_model
from scarce.cli import main
from scarce.errors import ConfigError

huggingface_hub = pytest.importorskip("huggingface_hub")
pytest.importorskip("transformers")


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> str:
    """A hub behind a port that nobody listens at, for a user who did not say that the machine is offline."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        port = place.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    return url


def test_an_unreachable_hub_is_told_in_seconds(unreachable: str, caplog: pytest.LogCaptureFixture) -> None:
    began = time.monotonic()
    with caplog.at_level(logging.WARNING), pytest.raises(ConfigError, match=f"{unreachable} cannot be reached"):
        masked_model("nosuch/model")
    with pytest.raises(ConfigError, match=f"nosuch/en-fr.*{unreachable} cannot be reached"):
        translate_back(["a word"], seeds=[1], model="nosuch/{source}-{target}")
    assert time.monotonic() - began < 20
    assert "Retry" not in caplog.text
    assert not huggingface_hub.constants.HF_HUB_OFFLINE


@pytest.mark.usefixtures("unreachable")
def test_what_lies_here_needs_no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "answers", lambda _: pytest.fail("the hub was asked"))
    for name in (str(tmp_path), "./model", "~/model"):
        with hub.fetching(name):
            pass
    with pytest.raises(ValueError, match="broken"), hub.fetching(str(tmp_path)):
        raise ValueError("broken")


@pytest.mark.usefixtures("unreachable")
def test_a_hub_that_answers_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "answers", lambda _: True)
    with hub.fetching("some/model"):
        assert not huggingface_hub.constants.HF_HUB_OFFLINE


@pytest.mark.usefixtures("unreachable")
def test_the_command_says_that_the_model_is_missing(
    tmp_path: Path, shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "replace.toml").write_text('[[operation]]\nop = "contextual_replacement"\nmodel = "nosuch/model"\n')
    data, out = str(shared_data / "text_small" / "trec.csv"), str(tmp_path / "out")
    assert main(["augment", data, "--policy", str(tmp_path / "replace.toml"), "--out", out, "-q"]) == 2
    told = capsys.readouterr().err
    assert "nosuch/model" in told
    assert "cannot be reached" in told
    assert told.count("\n") <= 2
