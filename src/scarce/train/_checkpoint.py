"""Training that survives a kill: everything that the next epoch depends on, written whole after each epoch."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scarce import progress
from scarce.lineage import canonical_json, digest

STATE = "checkpoint.json"
_log = logging.getLogger("scarce.train")


@dataclass(frozen=True)
class Checkpoint:
    """A folder with the last finished epoch of one training.

    The random numbers of an epoch come from the seed and the epoch's number alone, so no generator state is kept.

    Args:
        folder: made when first written.
        fingerprint: of data, parameters and seed; a checkpoint of something else is ignored.
    """

    folder: Path
    fingerprint: str

    def save(self, tensors: Mapping[str, Any], state: Mapping[str, Any]) -> None:
        """Write one epoch; after a kill at any moment either this or the one before is there."""
        from safetensors.torch import save_file

        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"epoch-{state['epoch']:05d}.safetensors"
        temporary = self.folder / f".{name}"
        save_file({key: value.detach().contiguous().clone() for key, value in tensors.items()}, temporary)
        temporary.replace(self.folder / name)
        body = {"fingerprint": self.fingerprint, "weights": name, **state}
        body["check"] = digest((self.folder / name).read_bytes())
        draft = self.folder / f".{STATE}"
        draft.write_text(canonical_json(body), encoding="utf-8")
        draft.replace(self.folder / STATE)
        for old in self.folder.glob("*epoch-*.safetensors"):
            if old.name != name:
                old.unlink(missing_ok=True)

    def load(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Return (tensors, state) of the last epoch of this same training, or None. A broken one is ignored."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            state = json.loads((self.folder / STATE).read_text(encoding="utf-8"))
            if state["fingerprint"] != self.fingerprint:
                _log.info("the checkpoint in %s is of another training: starting anew", self.folder)
                return None
            path = self.folder / state["weights"]
            if digest(path.read_bytes()) == state["check"]:
                return load_file(path), state
            self._tell("is corrupt")
            return None
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            self._tell(f"cannot be used ({error})")
            return None

    def _tell(self, what: str) -> None:
        progress.say(f"the checkpoint in {self.folder} {what}: training starts anew")
        _log.warning("the checkpoint in %s %s: starting anew", self.folder, what)
