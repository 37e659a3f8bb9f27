"""Generate: new samples out of models: diffusion, image services, language models, a renderer.

Unlike a drawn defect, a generated sample cannot be rebuilt from a recipe to the pixel, so its bytes are kept in a
folder with a journal: one line for each sample with its prompt, seed, model, revision and verdict. Generation goes on
until as many are *accepted* as were asked for, or a budget or the limit of rejected ones ends it. What was finished
when a model or server fails is kept, and the same call goes on from there.

Nothing is sent anywhere unless you name an address. What is sent to it is said by each plugin.
"""

from __future__ import annotations

from scarce.synthesize.generate._base import AbstractGenerator, Made, Maker, Order, Stopped
from scarce.synthesize.generate._journal import read_samples
from scarce.synthesize.generate._prompt import prompt_files
from scarce.synthesize.generate._rows import again
from scarce.synthesize.generate._run import Generated, Limits, run

MODULES: tuple[str, ...] = ()
"""Public files that are not plugins."""

__all__ = [
    "MODULES", "AbstractGenerator", "Generated", "Limits", "Made", "Maker", "Order", "Stopped", "again", "prompt_files",
    "read_samples", "run",
]  # fmt: skip
