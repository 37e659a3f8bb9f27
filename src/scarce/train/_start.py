"""A network that another training begins with: the weights of a saved model, fitted to classes that may be more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scarce.errors import ReadError, TrainError
from scarce.lineage import digest
from scarce.train._pixels import Shape

if TYPE_CHECKING:
    from scarce.dataset import Array
    from scarce.train._network import Network


@dataclass(frozen=True, eq=False)
class Start:
    """What a training begins with.

    Attributes:
        who: the trainer that speaks in messages.
        name: of the model's folder.
        card: of its network.
        data: what the whole model's card says of its data and of what it was started from.
        tensors: weights by name.
    """

    who: str
    name: str
    card: Mapping[str, Any]
    data: Mapping[str, Any]
    tensors: Mapping[str, Array]

    @classmethod
    def of(cls, who: str, folder: str | Path) -> Start:
        """Open the network of a saved model (of finetune or blend).

        Raises:
            TrainError: there is no such model, or it has no network on pixels.
        """
        from scarce.train.model import load

        place = Path(folder)
        try:
            model = load(place)
        except ReadError as error:
            there = f"{error.what}. {error.there}".strip(". ")
            raise TrainError(who, f"start = {str(folder)!r} cannot be loaded", there,
                             "give the folder of a model of finetune or blend") from error  # fmt: skip
        net = getattr(model, "net", None) if model.card["trainer"] == "blend" else model
        if net is None or net.card["trainer"] != "finetune":
            trainer = model.card["trainer"]
            raise TrainError(who, f"{place.name} was trained by {trainer}, which has no network on pixels",
                             do="start from a model of finetune or blend, or leave start out")  # fmt: skip
        return cls(who, place.name, net.card, model.card, net.tensors())

    def network(self, wanted: str) -> str:
        """Return the network that must be built.

        Raises:
            TrainError: another one was asked for.
        """
        own = str(self.card["network"])
        if wanted not in ("auto", own):
            raise TrainError(self.who, f"network = {wanted!r} and start = {self.name!r}", f"that one is a {own}",
                             f"use network = {own!r}, or leave start out")  # fmt: skip
        return own

    def shape(self, found: Shape, size: int | None) -> Shape:
        """Return what the network sees: its own size and channels, where no size was asked for.

        Raises:
            TrainError: the pictures have color, and the network has never seen any.
        """
        own = int(self.card["channels"])
        if found.channels > own:
            raise TrainError(self.who, "the pictures have color", f"{self.name} was trained on gray ones",
                             "leave start out")  # fmt: skip
        return Shape(size or int(self.card["size"]), own)

    def built(self, classes: Sequence[str], *, size: int, cosine: float | None) -> Network:
        """Return the network with these weights; a class that the model did not know gets a fresh row of the head.

        Args:
            classes: of the data; order and number may differ from the model's.
            size: pixels.
            cosine: scale of a head of cosines; None = a linear one.

        Raises:
            TrainError: a layer has another shape.
        """
        import torch

        from scarce.train import _network as networks

        kept_from = str(self.card["weights_from"])
        module = networks.bare(str(self.card["network"]), n_classes=len(classes), channels=int(self.card["channels"]),
                               size=size, weights=kept_from)  # fmt: skip
        if cosine is not None:
            networks.put_cosine_head(module, cosine)
        state, heads = module.state_dict(), self._heads(module)
        same_head = bool(self.card.get("cosine_scale")) == (cosine is not None)
        for name, value in state.items():
            old = self.tensors.get(name)
            if name in heads:
                if same_head and old is not None and old.shape[1:] == tuple(value.shape[1:]):
                    state[name] = torch.from_numpy(self._rows(value.numpy(), old, classes))
                continue
            if old is None or old.shape != tuple(value.shape):
                there = "nothing" if old is None else f"{list(old.shape)}"
                raise TrainError(self.who, f"{name} is {list(value.shape)}, and {there} in {self.name}",
                                 f"at {size} pixels; that one saw {self.card['size']}",
                                 "take its size and network, or leave start out")  # fmt: skip
            state[name] = torch.from_numpy(np.array(old))
        module.load_state_dict(state)
        return networks.Network(module, str(self.card["network"]), kept_from, list(self.card["mean"]),
                                list(self.card["std"]))  # fmt: skip

    def told(self) -> dict[str, Any]:
        """Return what the new card says of it: name, hash of the weights, and all data that stands behind them."""
        version = (self.data.get("data") or {}).get("version")
        earlier = (self.data.get("started_from") or {}).get("versions") or []
        versions = [*earlier, *([version] if version else [])]
        return {"model": self.name, "weights": self.weights, "versions": list(dict.fromkeys(versions))}

    @property
    def weights(self) -> str:
        """Hash of the network's weights."""
        parts = ((name, np.ascontiguousarray(self.tensors[name]).tobytes()) for name in sorted(self.tensors))
        return digest(*(part for both in parts for part in both))

    def _heads(self, module: Any) -> set[str]:
        head = module.get_classifier()
        path = next(name for name, part in module.named_modules() if part is head)
        return {f"{path}.{name}" for name in head.state_dict()}

    def _rows(self, fresh: Array, old: Array, classes: Sequence[str]) -> Array:
        """Return a head's array with the rows of known classes; a new bias is the mean of the old ones."""
        known, out = list(self.card["classes"]), np.array(fresh)
        if out.ndim == 1:
            out[:] = old.mean()
        for row, name in enumerate(classes):
            if name in known:
                out[row] = old[known.index(name)]
        return out


def named_start(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters whose ``start`` is the name of the model, not the place where its folder lies."""
    return {**params, "start": Path(str(params["start"])).name if params["start"] else ""}
