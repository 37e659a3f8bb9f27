"""How an encoder is named: ``pixel``, or ``timm:resnet18`` for one that runs many networks."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from scarce import registry
from scarce.encode._base import AbstractEncoder
from scarce.errors import ConfigError, UnknownNameError, closest

AUTO = "auto"


def parse(name: str) -> tuple[str, dict[str, Any]]:
    """Return the encoder's plugin and the settings that its name holds: ``timm:resnet18`` says ``model = resnet18``.

    Raises:
        UnknownNameError: there is no such encoder.
        ConfigError: a network is named for an encoder that has only one.
    """
    plain, colon, network = name.strip().partition(":")
    plugin = registry.canonical(plain)
    known = (AUTO, *registry.names("encode"))
    if plugin not in known:
        do = f"a network of timm is named with its package: timm:{name}" if not colon else ""
        raise UnknownNameError("scarce.encode", f"there is no encoder {name!r}", closest(plain, known), do)
    if not colon:
        return plugin, {}
    kind = registry.load("encode", plugin, AbstractEncoder) if plugin != AUTO else None  # type: ignore[type-abstract]
    if kind is None or "model" not in {field.name for field in fields(kind)}:
        raise ConfigError("scarce.encode", f"{plugin} runs no other network, {name!r} names one", do=f"say {plugin}")
    if not network:
        raise ConfigError("scarce.encode", f"{name!r} names no network", do=f"say {plugin}, or {plugin}:resnet18")
    return plugin, {"model": network}


def canonical(name: str) -> str:
    """Return an encoder's name as its plugin is called, with its network: ``Timm:resnet18`` gives ``timm:resnet18``.

    Raises:
        UnknownNameError: there is no such encoder.
        ConfigError: a network is named for an encoder that has only one.
    """
    plugin, settings = parse(name)
    return ":".join([plugin, *settings.values()])
