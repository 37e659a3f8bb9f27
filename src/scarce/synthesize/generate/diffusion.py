"""Pictures from a diffusion model on this machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, final

import numpy as np

from scarce.dataset import Array
from scarce.errors import ConfigError, ReadError, ScarceError
from scarce.extras import need
from scarce.hub import fetching
from scarce.lineage import digest
from scarce.synthesize.generate._base import AbstractGenerator, Made, Maker, Order
from scarce.synthesize.generate._prompt import combined, picture_prompt, read_templates
from scarce.synthesize.generate._region import keep_outside, paint_region, to_rgb

WHO: Final = "synthesize.diffusion"
CLASSES: Final = {
    "text": "AutoPipelineForText2Image", "image": "AutoPipelineForImage2Image", "inpaint": "AutoPipelineForInpainting",
}  # fmt: skip
FILES: Final = {"text": "picture", "image": "edit", "inpaint": "inpaint"}
HEAD_BYTES: Final = 65_536


@final
@dataclass(frozen=True, kw_only=True)
class Diffusion(AbstractGenerator):
    """Make pictures with a diffusion model: from words, from a sound photo, or inside a mask on one.

    Use inpaint where sound parts are many: everything but the defect is real, and the mask is known. LoRA weights
    trained on a few real defects make the difference between a picture and your defect. Do not use text alone for
    a product that the model has never seen.
    Nothing is sent: the model runs here. A name that is no folder is looked up on the model hub and downloaded.
    Needs: diffusers and PyTorch; image and inpaint need a sound class.
    Writes: pictures; inpaint also mask and box (pixels outside the mask stay as they were).
    Source: Rombach et al. 2022, High-Resolution Image Synthesis with Latent Diffusion Models; Hu et al. 2021, LoRA.

    Args:
        model: folder or hub name of any pipeline that diffusers reads.
        revision: commit or branch of a hub model; empty = its newest.
        mode: text, image or inpaint.
        lora: folder, file or hub name of LoRA weights; empty = none.
        lora_scale: how strongly they count.
        garments: things to show, one after the other; empty = "the part".
        damages: what is wrong with them; empty = the name of the class.
        style: how it should look.
        templates: prompts with {garment} {damage} {style} {label}; empty = the file of the mode (picture.txt ...).
        prompts: folder with your own prompt files; empty = the shipped ones.
        negative: what should not be seen.
        steps: of denoising.
        guidance: how closely the words are followed.
        strength: how much of the photo is made anew in mode image, in (0, 1].
        region: radius of the mask of inpaint, as a share of the shorter side.
        size: side in pixels; 0 = the photo's, or the model's own.
        half: half precision on a GPU; a CPU computes in full precision.
        device: auto, cpu or cuda.
    """

    extra: ClassVar[str | None] = "synthesize"
    free: ClassVar[tuple[str, ...]] = ("device",)

    model: str = ""
    revision: str = ""
    mode: Literal["text", "image", "inpaint"] = "inpaint"
    lora: str = ""
    lora_scale: float = 1.0
    garments: tuple[str, ...] = ()
    damages: tuple[str, ...] = ()
    style: str = "realistic"
    templates: tuple[str, ...] = ()
    prompts: str = ""
    negative: str = "drawing, text, watermark, blurry"
    steps: int = 50
    guidance: float = 7.5
    strength: float = 0.6
    region: float = 0.15
    size: int = 0
    half: bool = True
    device: str = "auto"

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        if self.steps < 1 or not 0 < self.strength <= 1 or not 0 < self.region <= 0.5 or self.guidance < 0:
            what = (
                f"steps = {self.steps}, strength = {self.strength}, region = {self.region}, guidance = {self.guidance}"
            )
            raise ConfigError(WHO, f"{what} are out of range",
                              do="use steps >= 1, strength in (0, 1], region in (0, .5], guidance >= 0")  # fmt: skip
        if self.size % 8 or self.size < 0:
            raise ConfigError(WHO, f"size = {self.size} is no multiple of 8", do="use 512, 768, 1024 ... or 0")

    def sources(self) -> tuple[str, int]:
        """Return that image and inpaint start from one sound photo."""
        return ("none", 0) if self.mode == "text" else ("normal", 1)

    def combinations(self, name: str) -> list[dict[str, str]]:
        """Return every garment with every damage."""
        return combined(self.garments, self.damages, name)

    def maker(self, spent: Mapping[str, float]) -> AbstractContextManager[Maker]:  # noqa: ARG002  one hook
        """Load the pipeline."""
        if not self.model:
            raise ConfigError(
                WHO, "model is empty", do="name a folder or a hub model: model = 'stabilityai/sdxl-turbo'"
            )
        templates = self.templates or read_templates(self.prompts, FILES[self.mode], who=WHO)
        return _loaded(self, templates)


@contextlib.contextmanager
def _loaded(plugin: Diffusion, templates: tuple[str, ...]) -> Iterator[Maker]:
    """Load the pipeline; its memory is free again at the end of the block."""
    diffusers, torch = need("diffusers", extra="synthesize"), need("torch", extra="synthesize")
    device = plugin.device if plugin.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    half = plugin.half and device != "cpu"
    options = {"revision": plugin.revision} if plugin.revision else {}
    model = str(Path(plugin.model).expanduser()) if Path(plugin.model).expanduser().exists() else plugin.model
    try:
        with fetching(model):
            pipe = getattr(diffusers, CLASSES[plugin.mode]).from_pretrained(model, **options)
        pipe = pipe.to(device, torch.float16 if half else torch.float32)
        if plugin.lora:
            pipe.load_lora_weights(str(Path(plugin.lora).expanduser()) if Path(plugin.lora).exists() else plugin.lora)
    except (OSError, ValueError, RuntimeError, ImportError, AttributeError, KeyError) as error:
        what = (
            f"the pipeline {plugin.model!r}{' with LoRA ' + repr(plugin.lora) if plugin.lora else ''} cannot be loaded"
        )
        raise ReadError(WHO, f"{what} ({str(error).strip()[:300]})", f"mode {plugin.mode}",
                        "name a folder or a hub model that serves this mode") from error  # fmt: skip
    pipe.set_progress_bar_config(disable=True)
    try:
        yield _Pipeline(plugin, pipe, templates, torch)
    finally:
        del pipe
        if device == "cuda":
            torch.cuda.empty_cache()


class _Pipeline:
    """A loaded pipeline."""

    def __init__(self, plugin: Diffusion, pipe: Any, templates: tuple[str, ...], torch: Any) -> None:
        self.plugin, self.pipe, self.templates, self.torch = plugin, pipe, templates, torch
        self.spent: Mapping[str, float] = {}
        self.unit = 8 if not hasattr(pipe, "vae_scale_factor") else int(pipe.vae_scale_factor)
        commit = getattr(getattr(pipe, "config", None), "_commit_hash", None)
        self.known = {
            "model": plugin.model, "revision": plugin.revision or commit or fingerprint(plugin.model),
            "lora": f"{plugin.lora} {fingerprint(plugin.lora)}".strip() if plugin.lora else "",
        }  # fmt: skip

    def make(self, order: Order) -> Iterator[Made]:
        """Run the pipeline once."""
        from PIL import Image

        plugin = self.plugin
        values = {"style": plugin.style, "label": order.label, **order.values}
        prompt = picture_prompt(self.templates, values, turn=order.index, who=WHO)
        call: dict[str, Any] = {
            "prompt": prompt, "negative_prompt": plugin.negative or None, "num_inference_steps": plugin.steps,
            "guidance_scale": plugin.guidance, "generator": self.torch.Generator("cpu").manual_seed(order.seed),
        }  # fmt: skip
        photo, region, side = None, None, (plugin.size, plugin.size)
        if order.sources:
            photo = to_rgb(np.asarray(order.sources[0].content))
            side = self._side(photo)
            call |= {
                "image": Image.fromarray(photo).resize(side, Image.Resampling.LANCZOS),
                "strength": plugin.strength,
            }
        if photo is not None and plugin.mode == "inpaint":
            region = paint_region(photo, seed=order.seed, share=plugin.region)
            mask = Image.fromarray(region.astype(np.uint8) * np.uint8(255))
            call |= {"mask_image": mask.resize(side, Image.Resampling.NEAREST), "strength": 1.0}
        if photo is None or plugin.mode == "inpaint":
            call |= {"width": side[0] or None, "height": side[1] or None}
        if plugin.lora and plugin.lora_scale != 1:
            call["cross_attention_kwargs"] = {"scale": plugin.lora_scale}
        picture = self._run(call)
        record, parents = {**self.known, "prompt": prompt}, tuple(source.id for source in order.sources)
        if photo is None or region is None:
            yield Made(picture, None, parents, record)
            return
        out, changed = keep_outside(photo, picture, region)
        yield Made(out, changed, parents, record, "" if changed.any() else "the model changed nothing")

    def _side(self, photo: Array) -> tuple[int, int]:
        """Return width and height that the model takes: the photo's, or with the shorter side as set."""
        height, width = photo.shape[:2]
        zoom = self.plugin.size / min(height, width) if self.plugin.size else 1.0
        unit = max(8, self.unit)
        return max(unit, round(width * zoom / unit) * unit), max(unit, round(height * zoom / unit) * unit)

    def _run(self, call: dict[str, Any]) -> Array:
        import inspect

        known = inspect.signature(self.pipe.__call__).parameters
        call = {key: value for key, value in call.items() if value is not None and key in known}
        try:
            image = self.pipe(**call, output_type="np").images[0]
        except (RuntimeError, ValueError, TypeError) as error:
            what = f"the model {self.plugin.model!r} failed ({str(error).strip()[:200]})"
            raise _ModelError(WHO, what, do="what was finished is kept; set a smaller size, or half = true") from error
        return np.asarray(np.rint(np.clip(np.nan_to_num(image), 0, 1) * 255), np.uint8)


class _ModelError(ScarceError, RuntimeError):
    """The model failed half way."""


def fingerprint(place: str) -> str:
    """Return what tells one folder of weights from another: names, sizes and first bytes; empty for a hub name."""
    path = Path(place).expanduser() if place else Path("/nowhere")
    if not path.exists():
        return ""
    files = sorted(item for item in path.rglob("*") if item.is_file()) if path.is_dir() else [path]
    parts: list[bytes | str] = []
    for file in files:
        with file.open("rb") as opened:
            parts += [file.name, str(file.stat().st_size), opened.read(HEAD_BYTES)]
    return digest(*parts)[:16]
