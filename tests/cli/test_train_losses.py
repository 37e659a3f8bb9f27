from __future__ import annotations

import pytest

from scarce.cli._work import weights_of
from scarce.errors import ConfigError


def test_class_weights_are_auto_or_numbers() -> None:
    assert weights_of(None) is None
    assert weights_of("auto") == "auto"
    assert weights_of("1, 2.5,10") == [1.0, 2.5, 10.0]
    with pytest.raises(ConfigError, match="neither auto nor numbers"):
        weights_of("heavy")
