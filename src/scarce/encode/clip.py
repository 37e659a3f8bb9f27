"""Any image-text network, by name: pictures that can be compared with sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from threading import Lock
from typing import ClassVar, Literal, final

import numpy as np

from scarce.dataset import Array, Floats
from scarce.encode import _image_text
from scarce.encode._base import AbstractEncoder
from scarce.encode._image_text import OPEN_CLIP, ImageText, to_square
from scarce.encode._network import Precision, kept_threads, one_thread
from scarce.extras import need

_loading = Lock()


@final
@dataclass(frozen=True, kw_only=True)
class Clip(AbstractEncoder):
    """Any CLIP or SigLIP by name, so that pictures can be compared with sentences.

    Use for zero-shot labels and search by words, or as features of everyday photos.
    Do not use for tiny defects: at 224 pixels a hairline crack is gone; ``timm`` with a larger size keeps it.
    Needs: uint8 pictures; the extra ``clip``.
    Named with its network: ``clip:google/siglip-base-patch16-224`` as the encoder, or ``model`` in [encode.clip].
    Writes: embedding.clip (N, D) float32 unit vectors, in the space of :func:`embed_texts`.
    Source: Radford et al. 2021 (CLIP), Zhai et al. 2023 (SigLIP).

    Args:
        model: a name of the hub that transformers knows, a folder, or ``open_clip:NAME/WEIGHTS`` (also
            ``open_clip:hf-hub:ORG/NAME`` and ``open_clip:local-dir:FOLDER``).
        fit: ``crop`` = the middle square, ``squash`` = the whole picture squeezed, ``auto`` = as it was trained. Where
            defects lie at the edge, take ``squash``.
        precision: ``auto`` = bfloat16 where the processor has it and a probe batch agrees, else float32.
    """

    extra: ClassVar[str | None] = "clip"

    model: str = "openai/clip-vit-base-patch32"
    fit: Literal["auto", "crop", "squash"] = "auto"
    precision: Precision = "auto"

    def embed(self, batch: Sequence[Array | str]) -> Floats:
        """Return (B, D) unit vectors of pictures."""
        found = self._loaded().images(np.stack([np.asarray(self.reduce(sample)) for sample in batch]))
        return unit(found)

    def reduce(self, sample: Array | str) -> Array:
        """Bring a picture to the square that is seen."""
        loaded = self._loaded()
        return to_square(sample, loaded.size, crop=loaded.crop if self.fit == "auto" else self.fit == "crop")

    def decode_pixels(self) -> int:
        """Return the size that is seen."""
        return self._loaded().size

    def identity(self) -> Mapping[str, str]:
        """Return the weights' hash or ``hub``, and the versions of the packages that touch pixels and weights."""
        package = need("open_clip" if self.model.startswith(OPEN_CLIP) else "transformers", extra="clip")
        pillow = need("PIL", extra="clip").__version__
        return {"weights": _image_text.weights_of(self.model), package.__name__: package.__version__, "pillow": pillow}

    def session(self) -> AbstractContextManager[None]:
        """Load the network, and give torch's threads back afterwards."""
        self._loaded()
        return kept_threads()

    def enter_worker(self) -> None:
        """Compute with one thread a worker."""
        one_thread()

    def _loaded(self) -> ImageText:
        with _loading:
            return _image_text.load(self.model, self.precision)


def embed_texts(texts: Sequence[str], encoder: Clip) -> tuple[Floats, float]:
    """Return (M, D) unit vectors of sentences, and what the model multiplies cosines with.

    Args:
        texts: M sentences.
        encoder: whose model.
    """
    loaded = encoder._loaded()
    return unit(loaded.texts(texts)), loaded.scale


def unit(rows: Floats) -> Floats:
    """Return rows of length 1."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float32)
