from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from scarce import evaluate, progress, train
from scarce.dataset import Dataset, FoldView, Schema
from scarce.errors import ConfigError, TrainError, UnknownNameError
from scarce.execute.precision import exact
from scarce.report.model_card import parts
from scarce.train import _network as networks
from scarce.train._learn import unlabelled_rows
from scarce.train._validation import free_of, held_back
from scarce.train.finetune import Finetune, mirrors

TINY = Finetune(epochs=3, batch=16, network="small_resnet")
HERE = Path(__file__).parent


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model(fold: FoldView) -> train.Model:
    return train.fit(fold, Finetune(epochs=12, batch=16), seed=1)


def same(first: train.Model, second: train.Model) -> bool:
    ours, theirs = first.tensors(), second.tensors()
    return set(ours) == set(theirs) and all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_learns_from_84_garments(model: train.Model, fold: FoldView) -> None:
    report = evaluate.run(fold, model, oof=model.held_out)
    assert report.balanced_accuracy["value"] > 0.7
    assert model.card["network"] == "small_resnet"
    assert (model.card["size"], model.card["channels"]) == (28, 1)
    assert model.card["held_back_rows"] + model.card["fitted_rows"] == len(fold.train_ids)
    assert len(model.card["history"]) == model.card["epochs"] == 12
    assert model.card["history"][-1]["loss"] < model.card["history"][0]["loss"]
    assert all(0 <= row["training_balanced_accuracy"] <= 1 for row in model.card["history"])
    assert model.card["history"][-1]["training_balanced_accuracy"] > 0.6


def test_saved_and_loaded_it_says_the_same(model: train.Model, fold: FoldView, tmp_path: Path) -> None:
    again = train.load(model.save(tmp_path / "m"))
    np.testing.assert_allclose(again.predict_proba(fold.eval), model.predict_proba(fold.eval), atol=1e-6)


def test_same_seed_same_weights_whatever_is_judged(fold: FoldView) -> None:
    first = train.fit(fold, TINY, seed=3)
    torch.rand(5)
    blind = fold.dataset.with_columns({
        "label": np.where(np.isin(fold.dataset.ids, fold.eval_ids), 0, fold.dataset["label"])
    }).fold(fold.train_ids, fold.eval_ids)  # fmt: skip
    assert same(first, train.fit(blind, TINY, seed=3))
    assert not same(first, train.fit(fold, TINY, seed=4))
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.slow
def test_killed_and_resumed_it_ends_the_same(fold: FoldView, tmp_path: Path) -> None:
    """A child is killed by SIGKILL, once after the second epoch and once in the middle of the next one."""
    whole = train.fit(fold, TINY, seed=2)
    code = (
        "import os, signal, sys, threading; from pathlib import Path; import torch; torch.set_num_threads(1)\n"
        "sys.path.insert(0, sys.argv[1]); import conftest; from scarce import progress, train\n"
        "from scarce.train import _loop; from scarce.train.finetune import Finetune\n"
        "fold = conftest.fold.__wrapped__(Path(sys.argv[2]))\n"
        "kill = lambda: os.kill(os.getpid(), signal.SIGKILL)\n"
        "def epoch(what, done, total):\n"
        "    if what == 'train' and done == 1 and sys.argv[4] == 'epoch': kill()\n"
        "follow, steps = _loop._follow, []\n"
        "def step(*a):\n"
        "    steps.append(1)\n"
        "    if sys.argv[4] == 'step' and len(steps) == 3: kill()\n"
        "    return follow(*a)\n"
        "_loop._follow = step\n"
        "with progress.listen(epoch):\n"
        "    train.fit(fold, Finetune(epochs=3, batch=16, network='small_resnet'), seed=2, checkpoint=sys.argv[3])\n"
    )
    garments = fold.dataset.sources["garments"] + "/garments.parquet"
    for moment in ("epoch", "step"):
        call = [sys.executable, "-c", code, str(HERE), garments, str(tmp_path / "state"), moment]
        child = subprocess.run(
            call, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, check=False, timeout=200
        )
        assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    seen: list[int] = []
    with progress.listen(lambda what, done, _total: seen.append(done) if what == "train" else None):
        resumed = train.fit(fold, TINY, seed=2, checkpoint=tmp_path / "state")
    assert seen == [2, 3], "the first epoch came from the checkpoint"
    assert same(whole, resumed)
    assert [row["loss"] for row in resumed.card["history"]] == [row["loss"] for row in whole.card["history"]]
    assert resumed.card["temperature"] == whole.card["temperature"]


def test_a_checkpoint_of_something_else_or_a_corrupt_one_is_not_used(fold: FoldView, tmp_path: Path) -> None:
    short = Finetune(epochs=1, batch=32, network="small_resnet")
    train.fit(fold, short, seed=0, checkpoint=tmp_path)
    seen: list[int] = []
    said: list[str] = []
    with progress.listen(lambda what, done, _: seen.append(done) if what == "train" else said.append(what)):
        train.fit(fold, short, seed=0, checkpoint=tmp_path)
        assert seen == [], "it was finished already"
        other = train.fit(fold, short, seed=1, checkpoint=tmp_path)
        assert seen == [1]
        weights = next(tmp_path.glob("epoch-*.safetensors"))
        weights.write_bytes(weights.read_bytes()[:-5])
        assert same(other, train.fit(fold, short, seed=1, checkpoint=tmp_path))
    assert seen == [1, 1]
    assert sum("is corrupt: training starts anew" in line for line in said) == 1


def test_the_card_counts_what_was_fitted_and_not_what_was_held_back(model: train.Model, fold: FoldView) -> None:
    card, names = model.card, fold.dataset.schema.classes
    assert card["fitted_rows"] + card["held_back_rows"] == len(fold.train)
    held = np.bincount(model.held_out[0], minlength=3)  # type: ignore[index]
    whole = np.bincount(fold.train["label"], minlength=3)
    assert [card["fitted"][name]["real"] for name in names] == (whole - held).tolist()
    assert next(row for row in parts(card) if row.title == "Training samples").rows == tuple(
        (name, str(count)) for name, count in zip(names, whole - held, strict=True)
    )


def test_what_is_held_back_is_real_grouped_and_free_of_descendants(fold: FoldView) -> None:
    ds = fold.dataset.with_columns({"split_group": [f"part {row // 4}" for row in range(len(fold.dataset))]})
    parents = [str(ds.ids[row]) for row in range(0, len(ds), 3)]
    grown = ds.append({
        "id": [f"g{row}" for row in range(len(parents))], "label": ["Bag"] * len(parents),
        "origin": ["augmented"] * len(parents), "parents": [[parent] for parent in parents],
    })  # fmt: skip
    held = held_back(grown, share=0.2, seed=0)
    free = free_of(grown, held)
    assert 0.1 < held[grown["origin"] == "real"].mean() < 0.4
    assert (grown["origin"][held] == "real").all()
    assert not (held & free).any()
    assert not set(grown["split_group"][held]) & set(grown["split_group"][free]) - {None}
    shut = set(grown.ids[held])
    for row in np.flatnonzero(free):
        assert not shut & set(grown["parents"][row])
    for code in range(3):
        assert ((grown["label"] == code) & free).any()
    marked = ds.with_columns({"split": ["val" if row % 5 == 0 else "train" for row in range(len(ds))]})
    np.testing.assert_array_equal(held_back(marked, share=0.1, seed=0), marked["split"] == "val")
    assert not held_back(ds, share=0.0, seed=0).any()


def test_grown_rows_soft_labels_and_weights(fold: FoldView) -> None:
    from scarce import augment

    ds = fold.dataset.with_columns(
        {"split": ["test" if key in set(fold.eval_ids) else "train" for key in fold.dataset.ids]}
    )
    grown = augment.run(ds, "garment", counts={"Bag": 6}, seed=0)
    soft = [[0.6, 0.4, 0.0] if label == 0 else None for label in grown["label"]]
    view = grown.with_columns({"label_probs": soft}).fold(fold.train_ids, fold.eval_ids)
    model = train.fit(view, Finetune(epochs=1, batch=32, network="small_resnet", validation=0.0, sampling=0.0))
    assert model.card["fitted_rows"] == len(fold.train_ids) + 6
    assert model.held_out is None
    assert model.card["temperature"] == 1.0
    prior = np.exp(model.card["loss"]["prior"])
    np.testing.assert_allclose(prior, np.array([0.6 * 48, 0.4 * 48 + 24, 12 + 6]) / 90, rtol=1e-5)


def test_sampling_and_its_prior_cancel_out(fold: FoldView) -> None:
    """Drawn by 1 / count, all classes are alike, so the prior that is left is flat; other losses draw as they come."""
    flat = train.fit(fold, Finetune(epochs=1, batch=32, network="small_resnet", validation=0.0, sampling=1.0))
    np.testing.assert_allclose(flat.card["loss"]["prior"], np.log([1 / 3] * 3), atol=1e-6)
    root = train.fit(fold, Finetune(epochs=1, batch=32, network="small_resnet", validation=0.0, sampling=0.5))
    expected = np.sqrt([48, 24, 12]) / np.sqrt([48, 24, 12]).sum()
    np.testing.assert_allclose(np.exp(root.card["loss"]["prior"]), expected, rtol=1e-5)
    plain = train.fit(fold, Finetune(epochs=1, batch=32, network="small_resnet", loss="cross_entropy"))
    as_they_come = train.fit(
        fold, Finetune(epochs=1, batch=32, network="small_resnet", loss="cross_entropy", sampling=0.0)
    )
    assert same(plain, as_they_come)


def test_a_class_without_training_samples_is_never_answered(fold: FoldView) -> None:
    ds = fold.dataset
    judged = np.isin(ds.ids, fold.eval_ids)
    train_ids = ds.ids[~judged & (ds["label"] != 1)]
    model = train.fit(ds.fold(train_ids, fold.eval_ids), Finetune(epochs=1, batch=32, network="small_resnet"))
    assert model.card["absent_classes"] == ["Trouser"]
    assert model.predict_proba(fold.eval)[:, 1].max() < 1e-6
    one = ds.ids[~judged & (ds["label"] == 0)]
    with pytest.raises(TrainError, match="at least two classes"):
        train.fit(ds.fold(one, ()), TINY)


def test_one_sample_of_a_class_stays_in_training(fold: FoldView) -> None:
    ds = fold.dataset
    bags = fold.train.ids[fold.train["label"] == 2]
    ids = [key for key in fold.train_ids if key not in set(bags[1:])]
    model = train.fit(ds.fold(ids, fold.eval_ids), Finetune(epochs=1, batch=32, network="small_resnet"))
    assert model.card["absent_classes"] == []
    assert model.card["data"]["counts"]["Bag"] == {"real": 1}


@pytest.mark.parametrize("settings", [
    {"network": "small_convnext", "mixup": 0.4, "cutmix": 1.0, "label_smoothing": 0.1},
    {"network": "resnet10t", "optimizer": "sgd", "augment": "upright", "loss": "focal", "ema": 0.0},
    {"network": "convnext_atto", "policy": "garment", "loss": "class_balanced", "size": 32},
    {"network": "small_resnet", "augment": "none", "loss": "class_weight", "minutes": 0.05, "epochs": 500},
])  # fmt: skip
def test_networks_losses_and_recipes_run_on_small_pictures(
    fold: FoldView, settings: dict[str, object], tmp_path: Path
) -> None:
    trainer = Finetune.from_params({"epochs": 1, "batch": 28, "pretrained": "no", **settings})
    model = train.fit(fold, trainer)
    probs = model.predict_proba(fold.eval)
    np.testing.assert_allclose(probs.sum(1), 1)
    assert np.isfinite([row["loss"] for row in model.card["history"]]).all()
    assert model.card["epochs"] < 500
    again = train.load(model.save(tmp_path / "m"))
    np.testing.assert_allclose(again.predict_proba(fold.eval), probs, atol=1e-5)
    assert model.card["mirror"] == (settings.get("augment", "light") == "light")


def test_the_packaged_weights_are_used_for_photos(fold: FoldView) -> None:
    assert networks.resolve("auto", 28) == "small_resnet"
    assert networks.resolve("auto", 192) in (networks.PACKAGED, networks.DEFAULT)
    built = networks.build(networks.PACKAGED, n_classes=3, channels=1, size=64)
    color = networks.build(networks.PACKAGED, n_classes=3, channels=3, size=64)
    gray = torch.rand(2, 1, 64, 64)
    with torch.inference_mode():
        ours = built.module.eval().forward_features(gray)
        theirs = color.module.eval().forward_features(gray.expand(-1, 3, -1, -1))
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_refusals_say_what_to_do(fold: FoldView) -> None:
    with pytest.raises(UnknownNameError, match="convnext_atto"):
        train.fit(fold, Finetune(network="convnext_ato"))
    if not torch.cuda.is_available():
        with pytest.raises(TrainError, match="there are cpu"):
            train.fit(fold, Finetune(device="cuda"))
    with pytest.raises(TrainError, match="no device 'gpu'"):
        train.fit(fold, Finetune(device="gpu"))
    with pytest.raises(TrainError, match=r"the loss is nan.*lower learning_rate"):
        train.fit(fold, Finetune(epochs=5, batch=16, optimizer="sgd", network="small_resnet"), given=_Overflowing(fold))
    with pytest.raises(ConfigError, match="mixup = -1"):
        Finetune(mixup=-1)
    with pytest.raises(ConfigError, match="did you mean 'label_smoothing'"):
        Finetune.from_params({"label_smothing": 0.1})
    with pytest.raises(TrainError, match="no weight file"):
        train.fit(fold, Finetune(network="resnet10t", pretrained="weights.safetensors"))


class _Overflowing:
    """Finite class weights that are too large for float32."""

    def __init__(self, fold: FoldView) -> None:
        from scarce.loss_spec import LossSpec

        self.rows = np.arange(len(fold.train))
        self.weights = np.ones(len(self.rows))
        self.loss = LossSpec(class_weights=(3e38, 3e38, 0.0), prior=(3e38, -3e38, 0.0))
        self.between = None


def test_weights_that_cannot_be_had(fold: FoldView, monkeypatch: pytest.MonkeyPatch) -> None:
    import timm

    create = timm.create_model

    def offline(name: str, *, pretrained: bool = False, **settings: object) -> object:
        if pretrained:
            raise OSError("no route to the hub")
        return create(name, pretrained=False, **settings)

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(TrainError, match=r"cannot be had.*no route"):
        networks.build("resnet10t", n_classes=3, channels=1, size=28, pretrained="yes")
    assert networks.build("resnet10t", n_classes=3, channels=1, size=28, pretrained="auto").weights == "scratch"


def test_mirrors_only_where_training_mirrors() -> None:
    from scarce import augment

    assert mirrors(augment.policy("garment"))
    assert not mirrors(augment.policy("text_in_picture"))
    assert not mirrors(None)


def test_a_step_in_parts_is_the_same_step(fold: FoldView) -> None:
    """A network without batch norm gives the same weights whether a step's samples pass it at once or in four parts."""
    trainer = Finetune(epochs=1, batch=28, network="small_convnext", validation=0.0)
    with exact():  # bfloat16 rounds the parts' gradients each for itself
        whole, parts = (train.fit(fold, replace(trainer, accumulate=n), seed=5).tensors() for n in (1, 4))
    for name, array in whole.items():
        np.testing.assert_allclose(array, parts[name], atol=2e-3, err_msg=name)


def test_unlabelled_samples_are_learnt_from_and_never_those_that_are_judged(fold: FoldView) -> None:
    ds = fold.dataset
    labels = ds["label"].copy()
    train_rows = ds.rows_of(fold.train_ids)
    hidden = train_rows[2::3]
    labels[hidden] = -1
    half = ds.with_columns({"label": [None if code < 0 else ds.schema.classes[code] for code in labels]})
    known = half.ids[np.setdiff1d(train_rows, hidden)]
    view = half.fold(known, fold.eval_ids)
    assert set(unlabelled_rows(view)) == set(hidden)
    grouped = half.with_columns({"split_group": ["one" if row in (hidden[0], *half.rows_of(fold.eval_ids[:1])) else None
                                                 for row in range(len(half))]})  # fmt: skip
    assert hidden[0] not in unlabelled_rows(grouped.fold(known, fold.eval_ids))
    trainer = Finetune(epochs=4, batch=16, network="small_resnet", unlabelled=1.0, confidence=0.35)
    model = train.fit(view, trainer, seed=1)
    assert model.card["unlabelled_rows"] == len(hidden)
    assert max(row["pseudo_labelled"] for row in model.card["history"]) > 0.2
    assert str(train.told_by_pool(model.card)).startswith(f"{len(hidden)} unlabelled samples took part")
    assert not same(model, train.fit(view, replace(trainer, unlabelled=0.0), seed=1))
    assert same(model, train.fit(view, trainer, seed=1))
    unsure = train.fit(view, replace(trainer, epochs=1, confidence=1.0), seed=1)
    assert "they taught nothing" in str(train.told_by_pool(unsure.card))
    assert train.told_by_pool(train.fit(view, replace(trainer, epochs=1, unlabelled=0.0), seed=1).card) is None
    with pytest.raises(TrainError, match="no unlabelled sample"):
        train.fit(fold, trainer)


def test_what_is_related_to_judged_samples_teaches_nothing_whatever_the_view_says() -> None:
    names = [f"{row:02d}" for row in range(14)]
    ds = Dataset.from_columns(Schema(classes=("a", "b")), {
        "id": names, "label": ["a", "b", "a", "b", "a", "b"] + [None] * 8,
        "split": ["train"] * 4 + ["val", "test"] + ["pool"] * 8,
        "split_group": ["00", "01", "02", "03", "04", "05", "05", "04", "08", "09", "10", "11", "12", "13"],
        "group": [None] * 5 + ["lot"] + [None] * 6 + ["lot", None],
    })  # fmt: skip
    copies = (("08", "05"), ("08", "00"), ("09", "08"), ("10", "01"), ("11", "03"))
    pairs = [{"level": "pair", "members": list(pair), "score": 0.97, "why": ""} for pair in copies]
    ds = ds.with_findings("near_duplicate", pairs)
    view = ds.fold(names[:5], ())
    told = {"06": "group of test", "07": "group of val", "08": "bridge of train and test", "09": "copy of that bridge",
            "12": "lot of test"}  # fmt: skip
    assert [names[row] for row in unlabelled_rows(view)] == [name for name in names[6:] if name not in told]
    assert [names[row] for row in unlabelled_rows(view, np.array(["03"]))] == ["10", "13"]


@pytest.mark.parametrize("name", ["ldam_drw", "deferred", "symmetric_cross_entropy", "class_balanced_focal"])
def test_any_loss_by_name(fold: FoldView, name: str, tmp_path: Path) -> None:
    from scarce.train._named_loss import loss_of

    trainer = Finetune.from_params({"epochs": 2, "batch": 16, "network": "small_resnet", "loss": name, "validation": 0})
    model = train.fit(fold, trainer, seed=2)
    expected = loss_of(name, np.array([48.0, 24.0, 12.0]))  # type: ignore[arg-type]
    assert model.card["loss"]["kind"] == expected.kind
    assert model.card["loss"]["class_weights"] == expected.class_weights
    assert (model.card["cosine_scale"] is not None) == (name == "ldam_drw")
    again = train.load(model.save(tmp_path / "m"))
    np.testing.assert_allclose(again.predict_proba(fold.eval), model.predict_proba(fold.eval), atol=1e-6)


def test_deferred_weights_begin_late_and_survive_a_restart(fold: FoldView, tmp_path: Path) -> None:
    plain = {"epochs": 4, "batch": 16, "network": "small_resnet", "validation": 0.0, "loss": "cross_entropy"}
    spec = {"class_weights": [0.1, 1.0, 5.0], "deferred": 0.5}
    first = train.fit(fold, Finetune.from_params(plain), seed=2)
    late = train.fit(fold, Finetune.from_params({**plain, "loss": spec}), seed=2)
    ours, theirs = (model.card["history"] for model in (late, first))
    assert [row["loss"] for row in ours[:2]] == [row["loss"] for row in theirs[:2]]
    assert ours[2]["loss"] != theirs[2]["loss"]
    halfway = train.fit(fold, Finetune.from_params({**plain, "loss": spec}), seed=2, checkpoint=tmp_path / "c")
    assert same(halfway, late)


def test_class_weights_are_those_that_were_given(fold: FoldView) -> None:
    base = {"epochs": 1, "batch": 16, "network": "small_resnet", "validation": 0.0, "loss": "cross_entropy"}
    auto = train.fit(fold, Finetune.from_params({**base, "class_weights": "auto"}), seed=0)
    np.testing.assert_allclose(auto.card["loss"]["class_weights"], [84 / 48 / 3, 84 / 24 / 3, 84 / 12 / 3])
    own = train.fit(fold, Finetune.from_params({**base, "class_weights": [1, 2, 5]}), seed=0)
    assert own.card["loss"]["class_weights"] == (1.0, 2.0, 5.0)
    with pytest.raises(TrainError, match="2 class weights"):
        train.fit(fold, Finetune.from_params({**base, "class_weights": [1, 2]}), seed=0)
    with pytest.raises(ConfigError, match="loss"):
        Finetune.from_params({"loss": "ldam_dwr"})
