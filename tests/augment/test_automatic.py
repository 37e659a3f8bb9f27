from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from scarce.augment import OneOf, Policy, apply_batch, policy
from scarce.augment.automatic import POLICIES, SUBPOLICIES, rand_augment, trivial_augment
from scarce.errors import ConfigError, ReadError, UnknownNameError


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_they_change_pictures_and_pass_through_toml(name: str, shared_data: Path, tmp_path: Path) -> None:
    first = min((shared_data / "magnetic_tile").rglob("*.jpg"))
    image = cv2.resize(cv2.imread(str(first), cv2.IMREAD_COLOR_RGB), (72, 72))
    images, ids, chosen = np.stack([image] * 30), [f"s{k}" for k in range(30)], policy(name)
    found = apply_batch(images, ids, chosen, 1, 0)
    changed = (found != images).any(axis=(1, 2, 3)).mean()
    assert changed == 0 if name == "strong_validation" else changed > 0.5
    path = tmp_path / "own.toml"
    path.write_text(chosen.to_toml(), encoding="utf-8")
    assert policy(str(path)) == Policy(chosen.operations, chosen.name, chosen.why, chosen.normalize, chosen.to_tensor)
    gray = chosen.without_color()
    assert not any(operation.uses_color() for operation in gray.parts())
    assert apply_batch(images[..., 0], ids, gray, 1, 0).shape == (30, 72, 72)


def test_autoaugment_is_torchvisions_table() -> None:
    transforms = pytest.importorskip("torchvision.transforms.v2")
    names = {
        "shearx": "shear_x", "autocontrast": "auto_contrast",
    }  # fmt: skip
    wanted = []
    for pair in transforms.AutoAugment()._policies:
        steps = []
        for name, probability, strength in pair:
            own = names.get(name.lower(), name.lower())
            steps.append((own, float(probability), float(strength) if strength is not None else None))
        wanted.append(tuple(steps))
    found = []
    for pair in SUBPOLICIES:
        parts = [part.split() for part in pair.split(", ")]
        found.append(tuple((name, float(p), float(m[0]) if m else None) for name, p, *m in parts))
    assert found == wanted


def test_randaugment_draws_n_of_fourteen_alike() -> None:
    chosen = rand_augment(2, 9)
    found = Counter(name for k in range(3000) for name, _ in chosen.draw_for(f"s{k}", seed=2))
    total = 6000
    assert found["augment.equalize"] / total == pytest.approx(1 / 14, abs=0.015)
    assert found["augment.rotate"] / total == pytest.approx(1 / 14, abs=0.015)
    assert sum(found.values()) / total == pytest.approx(13 / 14, abs=0.015)
    angles = {
        params["angle"] for k in range(400) for name, params in chosen.draw_for(f"s{k}") if name == "augment.rotate"
    }
    assert angles == {9.0, -9.0}
    [group] = trivial_augment().operations
    assert isinstance(group, OneOf)
    assert sum(group.weights) == pytest.approx(140)


def test_wrong_names_files_and_strengths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="rand_augment"):
        policy("randaugment")
    with pytest.raises(ReadError):
        policy(str(tmp_path / "none.toml"))
    for n, m in ((0, 9.0), (2, 31.0)):
        with pytest.raises(ConfigError, match="out of range"):
            rand_augment(n, m)
