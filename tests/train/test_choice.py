from __future__ import annotations

from pathlib import Path

import pytest

from scarce import train
from scarce.dataset import FoldView
from scarce.errors import ConfigError, TrainError, UnknownNameError
from scarce.train._choice import suited
from scarce.train.finetune import Finetune


def test_a_model_is_a_trainer_or_a_network() -> None:
    assert train.trainer_of("linear-probe", "image") == ("linear_probe", {})
    assert train.trainer_of("resnet18", "image") == ("finetune", {"network": "resnet18"})
    assert train.trainer_of("convnext_atto.d2_in1k", "image")[1] == {"network": "convnext_atto.d2_in1k"}
    assert train.trainer_of("some/model", "text") == ("transformer", {"checkpoint": "some/model"})
    assert train.trainer_of("PekingU/rtdetr_v2_r18vd", "image") == ("rt_detr", {"network": "PekingU/rtdetr_v2_r18vd"})
    assert train.draws_boxes("PekingU/rtdetr_v2_r18vd", "image")
    assert not train.draws_boxes("some/model", "text")
    with pytest.raises(UnknownNameError, match=r"did you mean .*'resnet18'"):
        train.trainer_of("resnet_18", "image")
    with pytest.raises(UnknownNameError, match="did you mean 'finetune'"):
        train.trainer_of("finetun", "image")
    with pytest.raises(UnknownNameError, match="did you mean 'gradient_boosting'"):
        train.trainer_of("gradient_bosting", "tabular")


def test_a_trainer_that_does_not_take_the_data_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"finetune does not take tabular.*gradient_boosting"):
        train.trainer_of("finetune", "tabular")
    for modality, name in (
        ("text", "tfidf_linear"), ("tabular", "gradient_boosting"), ("audio", "logmel_network"),
        ("time_series", "minirocket"), ("image", "anomaly"),
    ):  # fmt: skip
        assert name in suited(modality)
        assert "linear_probe" in suited(modality)
        assert train.usual(modality, small=False) in suited(modality)
    assert train.usual("image", small=True) == "blend"


def test_a_broken_weight_file_is_told(fold: FoldView, tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    file.write_bytes(b"no weights")
    with pytest.raises(TrainError, match=r"the weights of resnet10t cannot be had"):
        train.fit(fold, Finetune(network="resnet10t", pretrained=str(file)))
