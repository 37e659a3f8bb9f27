from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")

from scarce.encode import _network  # noqa: E402 - after importorskip
from scarce.encode.timm import Timm, load_model, trained_size  # noqa: E402 - after importorskip
from scarce.errors import ReadError, UnknownNameError  # noqa: E402 - after importorskip


def test_a_typo_gets_the_closest_names():
    with pytest.raises(UnknownNameError, match="resnet18"):
        Timm(model="resnet_18").embed([])
    with pytest.raises(UnknownNameError, match="a1_in1k"):
        trained_size("resnet18.a1_in1")


def test_no_download_names_the_offline_default(monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("no route to the hub")

    monkeypatch.setattr(timm, "create_model", refuse)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ReadError, match=r"HF_HUB_OFFLINE.*efficientnet_lite0"):
        load_model("resnet18.a1_in1k")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    with pytest.raises(ReadError, match=r"no route to the hub.*efficientnet_lite0"):
        load_model("resnet18.a1_in1k")


def test_weights_from_a_file(tmp_path):
    torch.manual_seed(0)
    model = timm.create_model("test_resnet.r160_in1k", pretrained=False).eval()
    path = tmp_path / "weights.pth"
    torch.save(model.state_dict(), path)
    pictures = _network.probe_pictures(64)
    encoder = Timm(model="test_resnet.r160_in1k", weights=str(path), size=64, precision="float32")
    found = encoder.embed(list(pictures))
    config = model.pretrained_cfg
    mean, std = (torch.tensor(config[name])[:, None, None] for name in ("mean", "std"))
    with torch.inference_mode():
        values = (torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255 - mean) / std
        wanted = model.forward_features(values).mean((2, 3)).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-3, rtol=1e-3)
    assert encoder.fingerprint() == Timm(**encoder.params()).fingerprint()
    path.write_bytes(b"other")
    assert encoder.fingerprint() != Timm(model="test_resnet.r160_in1k", weights="random", size=64).fingerprint()
    with pytest.raises(ReadError, match="does not fit"):
        load_model("test_resnet.r160_in1k", str(path))
    with pytest.raises(ReadError, match=r"weights\.pth"):
        load_model("test_resnet.r160_in1k", str(tmp_path / "weight.pth"))


@pytest.mark.parametrize("model", ["test_vit.r160_in1k", "test_convnext.r160_in1k", "test_efficientnet.r160_in1k"])
def test_other_families_give_one_row_a_picture(model):
    if model not in timm.list_pretrained():
        pytest.skip(f"this timm has no {model}")
    size = trained_size(model)[0]
    found = Timm(model=model, weights="random", precision="float32").embed(list(_network.probe_pictures(size)[:2]))
    assert found.ndim == 2
    assert found.shape[0] == 2
    assert np.isfinite(found).all()
