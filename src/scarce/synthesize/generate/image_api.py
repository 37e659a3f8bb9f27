"""Pictures from an image service."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, final

import numpy as np

from scarce.dataset import Array
from scarce.errors import ConfigError, DataError
from scarce.synthesize.generate._base import AbstractGenerator, Made, Maker, Order
from scarce.synthesize.generate._prompt import combined, picture_prompt, read_templates
from scarce.synthesize.generate._region import keep_outside, paint_region, to_rgb
from scarce.synthesize.generate._server import RefusedError, Server, Terms, multipart

WHO: Final = "synthesize.image_api"
LARGEST: Final = 64 * 2**20
"""Pixels of an answer beyond which it is not decoded."""


@final
@dataclass(frozen=True, kw_only=True)
class ImageApi(AbstractGenerator):
    """Ask an image service for pictures: from words alone, or by editing a real sound photo.

    Use when no real defect can be had and a service may see your prompts. Do not use edit or inpaint when photos must
    not leave the house.
    Sent to base_url, and nowhere else: the prompt; with mode edit or inpaint also one real training photo a call, as
    PNG, with inpaint its mask as well; the key, where key_env names one. Redirects are not followed.
    Needs: edit and inpaint need a sound class.
    Writes: pictures; inpaint also mask and box (pixels outside the mask stay as they were).

    Args:
        base_url: address of the service, for example https://HOST/v1; nothing is sent without one.
        protocol: openai (images/generations, images/edits) or gemini (models/MODEL:generateContent).
        model: name that the service knows.
        key_env: name of the environment variable that holds the key; empty = none is sent.
        mode: prompt, edit or inpaint (openai only).
        garments: things to show, one after the other; empty = "the part".
        damages: what is wrong with them; empty = the name of the class.
        style: how it should look.
        templates: prompts with {garment} {damage} {style} {label}; empty = the file of the mode (picture.txt ...).
        prompts: folder with your own prompt files; empty = the shipped ones.
        n: pictures a call.
        size: as the service writes it: 1024x1024; empty = its default.
        answer: b64_json or url; empty = what the service sends by itself (both are understood).
        region: radius of the mask of inpaint, as a share of the shorter side.
        price: money for one picture; counted for most_money.
        most_calls: requests in all, failed ones included; 0 = no limit.
        most_money: in all, in the currency of price; 0 = no limit.
        timeout_seconds: for one request.
        tries: of one request, where the service is busy or does not answer.
        pause_seconds: before the second try; doubled before each further one.
    """

    free: ClassVar[tuple[str, ...]] = (
        "base_url", "key_env", "price", "most_calls", "most_money", "timeout_seconds", "tries", "pause_seconds",
    )  # fmt: skip

    base_url: str = ""
    protocol: Literal["openai", "gemini"] = "openai"
    model: str = ""
    key_env: str = ""
    mode: Literal["prompt", "edit", "inpaint"] = "prompt"
    garments: tuple[str, ...] = ()
    damages: tuple[str, ...] = ()
    style: str = "realistic"
    templates: tuple[str, ...] = ()
    prompts: str = ""
    n: int = 1
    size: str = ""
    answer: Literal["", "b64_json", "url"] = ""
    region: float = 0.15
    price: float = 0.0
    most_calls: int = 0
    most_money: float = 0.0
    timeout_seconds: float = 120.0
    tries: int = 5
    pause_seconds: float = 1.0

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        if self.protocol == "gemini" and self.mode == "inpaint":
            raise ConfigError(WHO, "protocol gemini takes no mask", do="use mode = 'edit', or protocol = 'openai'")
        if self.n < 1 or self.tries < 1 or self.timeout_seconds <= 0 or not 0 < self.region <= 0.5:
            what = (
                f"n = {self.n}, tries = {self.tries}, timeout_seconds = {self.timeout_seconds}, region = {self.region}"
            )
            raise ConfigError(WHO, f"{what} are out of range", do="use n, tries >= 1, a time > 0, region in (0, .5]")
        if min(self.price, self.most_calls, self.most_money) < 0 or (self.most_money and not self.price):
            what = f"price = {self.price}, most_calls = {self.most_calls}, most_money = {self.most_money}"
            raise ConfigError(WHO, f"{what} make no budget", do="use 0 or more, and a price with most_money")

    def sources(self) -> tuple[str, int]:
        """Return that editing starts from one sound photo."""
        return ("none", 0) if self.mode == "prompt" else ("normal", 1)

    def per_order(self) -> int:
        """Return the pictures of one call; Gemini's protocol has no number."""
        return self.n if self.protocol == "openai" else 1

    def combinations(self, name: str) -> list[dict[str, str]]:
        """Return every garment with every damage."""
        return combined(self.garments, self.damages, name)

    def maker(self, spent: Mapping[str, float]) -> AbstractContextManager[Maker]:
        """Get ready to speak to the service."""
        if not self.model:
            raise ConfigError(WHO, "model is empty", do="name the model as the service calls it")
        terms = Terms(base_url=self.base_url, key_env=self.key_env, price=self.price, most_calls=self.most_calls,
                      most_money=self.most_money, timeout_seconds=self.timeout_seconds, tries=self.tries,
                      pause_seconds=self.pause_seconds)  # fmt: skip
        name = {"prompt": "picture"}.get(self.mode, self.mode)
        templates = self.templates or read_templates(self.prompts, name, who=WHO)
        return nullcontext(_Service(self, Server(terms, WHO, spent), templates))


class _Service:
    """A service that pictures are asked of."""

    def __init__(self, plugin: ImageApi, server: Server, templates: tuple[str, ...]) -> None:
        self.plugin, self.server, self.templates, self.spent = plugin, server, templates, server.spent

    def make(self, order: Order) -> Iterator[Made]:
        """Ask once; a picture that came broken, or that the service refuses to make, is one rejected sample."""
        values = {"style": self.plugin.style, "label": order.label, **order.values}
        prompt = picture_prompt(self.templates, values, turn=order.index, who=WHO)
        record = {"prompt": prompt, "model": self.plugin.model, "protocol": self.plugin.protocol}
        photo = to_rgb(np.asarray(order.sources[0].content)) if order.sources else None
        region = None
        if self.plugin.mode == "inpaint" and photo is not None:
            region = paint_region(photo, seed=order.seed, share=self.plugin.region)
        try:
            ask = _openai if self.plugin.protocol == "openai" else _gemini
            items, told = ask(self, prompt, photo, region, self.server.affordable(order.count))
        except RefusedError as error:
            yield Made("", record=record, refused=error.what)
            return
        self.server.paid(len(items))
        parents = tuple(source.id for source in order.sources)
        for item in items:
            yield self._made(item, photo, region, Made("", parents=parents, record={**record, **told}))

    def _made(self, item: Mapping[str, Any], photo: Array | None, region: Array | None, frame: Made) -> Made:
        try:
            raw = self.server.fetch(str(item["url"])) if item.get("url") else _decoded(item.get("data"))
            picture = read_picture(raw)
        except DataError as error:
            return Made("", parents=frame.parents, record=frame.record, refused=error.what)
        if photo is None or region is None:
            return Made(picture, None, frame.parents, frame.record)
        out, changed = keep_outside(photo, picture, region)
        refused = "" if changed.any() else "the service changed nothing"
        return Made(out, changed, frame.parents, frame.record, refused)


Answer = tuple[list[dict[str, Any]], dict[str, str]]


def _openai(service: _Service, prompt: str, photo: Array | None, region: Array | None, count: int) -> Answer:
    """Return the pictures of one call in OpenAI's protocol, and what the service says about them."""
    plugin = service.plugin
    fields = {
        "model": plugin.model,
        "prompt": prompt,
        "n": count,
        "size": plugin.size,
        "response_format": plugin.answer,
    }
    fields = {key: value for key, value in fields.items() if value != ""}
    if photo is None:
        body = service.server.post("/images/generations", fields, service.server.bearer())
    else:
        files = {"image": write_picture(photo)}
        if region is not None:  # transparent where it may be changed
            alpha = np.where(region, 0, 255).astype(np.uint8)
            files["mask"] = write_picture(np.dstack([photo, alpha]))
        form, head = multipart({key: str(value) for key, value in fields.items()}, files)
        body = service.server.call("/images/edits", form, {**head, **service.server.bearer()})
    items = body.get("data") if isinstance(body, dict) else None
    if not isinstance(items, list):
        raise RefusedError(WHO, f"the answer holds no data: {str(body)[:100]}")
    items = [item if isinstance(item, dict) else {} for item in items]
    found = [{"url": item.get("url"), "data": item.get("b64_json")} for item in items]
    revised = next((str(item["revised_prompt"]) for item in items if item.get("revised_prompt")), "")
    told = {"revised_prompt": revised, "revision": str(body.get("model") or body.get("system_fingerprint") or "")}
    return found, {key: value for key, value in told.items() if value}


def _gemini(service: _Service, prompt: str, photo: Array | None, _: Array | None, __: int) -> Answer:
    """Return the pictures of one call in Gemini's protocol, and what the service says about them."""
    parts: list[dict[str, Any]] = [{"text": prompt}]
    if photo is not None:
        data = base64.b64encode(write_picture(photo)).decode()
        parts.append({"inline_data": {"mime_type": "image/png", "data": data}})
    body = {
        "contents": [{"role": "user", "parts": parts}],
        "generationConfig": {"responseModalities": ["TEXT", "IMAGE"]},
    }
    head = {"x-goog-api-key": service.server.key} if service.server.key else {}
    answer = service.server.post(f"/models/{service.plugin.model}:generateContent", body, head)
    try:
        every = answer.get("candidates") or []
        parts = [part for one in every for part in (one.get("content") or {}).get("parts") or []]
        inline = [part.get("inlineData") or part.get("inline_data") for part in parts]
        found = [{"data": item.get("data")} for item in inline if item]
        feedback = (answer.get("promptFeedback") or {}).get("blockReason")
        why = feedback or next((str(one.get("finishReason")) for one in every), "")
    except (AttributeError, TypeError) as error:
        raise RefusedError(WHO, f"the answer has another form: {str(answer)[:100]}") from error
    if not found:
        raise RefusedError(WHO, f"the answer holds no picture ({why or 'no reason is given'})")
    revision = str(answer.get("modelVersion") or "")
    return found, {"revision": revision} if revision else {}


def _decoded(text: object) -> bytes:
    try:
        return base64.b64decode(str(text or "").partition("base64,")[2] or str(text or ""), validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError(WHO, f"the picture's base64 is broken ({error})") from error


def read_picture(raw: bytes) -> Array:
    """Return the bytes of a picture file as uint8 RGB (H, W, 3).

    Raises:
        DataError: they are no picture, cut off, or too large.
    """
    import io

    from PIL import Image

    try:
        with Image.open(io.BytesIO(raw)) as image:
            if image.width * image.height > LARGEST:
                raise DataError(WHO, f"the picture has {image.width} x {image.height} pixels")
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(WHO, "broken picture: the bytes cannot be decoded") from error


def write_picture(pixels: Array) -> bytes:
    """Return uint8 pixels (H, W, 3 or 4) as a PNG file."""
    import cv2

    turned = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR if pixels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)
    return bytes(cv2.imencode(".png", turned)[1].tobytes())
