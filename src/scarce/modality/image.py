"""Pictures: decoded by OpenCV, once."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, ClassVar, final

import cv2
import numpy as np

from scarce.dataset import Array
from scarce.modality import perceptual
from scarce.modality._base import AbstractModality, BrokenSampleError, Raw
from scarce.modality.header import Header, complete, read_header

THUMBNAIL_PIXELS = 32
SCALE_PIXELS = 512
"""Sharpness is measured with the longer side at this many pixels (never enlarged)."""
MANY_PIXELS = 200_000
"""Gray levels of larger pictures are counted in every second row."""
ENOUGH_PIXELS = 800
"""A JPEG is decoded at 1/2, 1/4 or 1/8 while its longer side keeps this many pixels."""
UNIFORM_SPAN, UNIFORM_EDGES = 24, 0.002
"""A surface is plain where 96 % of its gray levels span less, and a smaller share of its pixels lies on edges."""
EMPTY, TRUNCATED = "empty: 0 bytes", "truncated: the file ends too early"
BROKEN, NO_IMAGE = "broken: the image cannot be decoded", "broken: not an image"
_quiet = Lock()
_PERCENTILES = {"p01": 0.01, "p05": 0.05, "p50": 0.50, "p95": 0.95, "p99": 0.99}
_REDUCED = {
    1: cv2.IMREAD_COLOR_RGB, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}  # fmt: skip
_REDUCED_GRAY = {
    1: cv2.IMREAD_GRAYSCALE, 2: cv2.IMREAD_REDUCED_GRAYSCALE_2, 4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}  # fmt: skip
_ROTATE = {
    1: (False, None), 2: (True, None), 3: (False, cv2.ROTATE_180), 4: (True, cv2.ROTATE_180),
    5: (True, cv2.ROTATE_90_COUNTERCLOCKWISE), 6: (False, cv2.ROTATE_90_CLOCKWISE),
    7: (True, cv2.ROTATE_90_CLOCKWISE), 8: (False, cv2.ROTATE_90_COUNTERCLOCKWISE),
}  # fmt: skip


@final
@dataclass(frozen=True, kw_only=True)
class Image(AbstractModality):
    """Pictures: JPEG, PNG, WebP, BMP, TIFF, GIF; 8 and 16 bit; gray, color, transparent (on white), CMYK.

    Use when the samples are photographs, scans or camera frames.
    Do not use when depth beyond 8 bits carries the information: pixels are scaled to 8 bits (full range / 255).
    Needs: file bytes, or a uint8 / uint16 / float array (H, W) or (H, W, C).
    Writes: scan.* of shape (N,): width, height, channels, bits, bytes; mean, std and p01 p05 p50 p95 p99 of the gray
    picture (0..255); red, green, blue (mean levels, 0..255); entropy (bits); sharpness and sharpness_robust (variance
    of the Laplacian, 0 = flat; the second on the halved, median-filtered picture, which noise hardly moves);
    edge_density (share of pixels); gray, uniform (bool); pixel_hash, dhash, phash (uint64); thumbnail (N, 32, 32)
    uint8.
    Source: variance of the Laplacian as a focus measure, Pech-Pacheco et al. 2000.

    Args:
        max_pixels: larger pictures are set aside by their header, before anything is decoded.
    """

    max_pixels: int = 100_000_000

    encoders: ClassVar[tuple[str, ...]] = ("efficientnet_lite0", "pixel")
    properties: ClassVar[Mapping[str, Any]] = {
        **dict.fromkeys(("width", "height"), np.int32), "channels": np.uint8, "bits": np.uint8, "bytes": np.int64,
        **dict.fromkeys(("mean", "std", *_PERCENTILES, "entropy", "sharpness", "sharpness_robust"), np.float32),
        **dict.fromkeys(("red", "green", "blue", "edge_density"), np.float32), "gray": np.bool_, "uniform": np.bool_,
        **dict.fromkeys(("pixel_hash", "dhash", "phash"), np.uint64),
        "thumbnail": np.dtype((np.uint8, (THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))),
    }  # fmt: skip

    def decode(self, raw: Raw) -> Array:
        """Return uint8 RGB (H, W, 3), or gray (H, W) where the file is gray."""
        return to_uint8(raw) if isinstance(raw, np.ndarray) else _pixels(raw, self._open(raw), 1)

    def decode_small(self, raw: Raw, pixels: int) -> Array:
        """Return the picture; a large JPEG is decoded at 1/2, 1/4 or 1/8."""
        if isinstance(raw, np.ndarray):
            return to_uint8(raw)
        header = self._open(raw)
        return _pixels(raw, header, _shrink(header, shorter=pixels))

    def thumbnail(self, sample: Array | str, size: int) -> Array:
        """Return the picture squeezed to (size, size) or (size, size, 3)."""
        return np.asarray(cv2.resize(np.asarray(sample), (size, size), interpolation=cv2.INTER_AREA))

    def measure(self, raw: Raw) -> dict[str, Any]:
        """Decode once and measure; see the class."""
        if isinstance(raw, np.ndarray):
            pixels = to_uint8(raw)
            width, height = pixels.shape[1], pixels.shape[0]
            channels, bits, size = (1 if raw.ndim == 2 else raw.shape[2]), raw.dtype.itemsize * 8, raw.nbytes
        else:
            header = self._open(raw)
            pixels = _pixels(raw, header, _shrink(header, longer=ENOUGH_PIXELS))
            (width, height), channels, bits, size = header.shown, header.channels, header.bits, len(raw)
            if not header.width:
                width, height, channels = pixels.shape[1], pixels.shape[0], 1 if pixels.ndim == 2 else 3
        found = measure_pixels(np.ascontiguousarray(pixels))
        return {"width": width, "height": height, "channels": channels, "bits": bits, "bytes": size, **found}

    def finish(self, block: Mapping[str, Array]) -> dict[str, Array]:
        """Turn histograms, small pictures and frequencies to percentiles, entropy and hashes."""
        done = {name: block[name] for name in block if name not in {"histogram", "calm", "tiny", "low"}}
        done["uniform"] = is_uniform(block["calm"], block["edge_density"])
        done.update(histogram_statistics(block["histogram"]))
        done["dhash"], done["phash"] = perceptual.dhash(block["tiny"]), perceptual.phash(block["low"])
        return done

    def _open(self, raw: Raw) -> Header:
        if not isinstance(raw, bytes) or not raw:
            raise BrokenSampleError(EMPTY if isinstance(raw, bytes) else NO_IMAGE)
        header = read_header(raw)
        if header is None:
            return Header(format="other", width=0, height=0)
        if header.width * header.height > self.max_pixels:
            raise BrokenSampleError(f"huge: over {self.max_pixels // 1_000_000} megapixels")
        return header


def measure_pixels(pixels: Array) -> dict[str, Any]:
    """Return the measurements of one contiguous uint8 picture (H, W) or (H, W, 3)."""
    color = pixels.ndim == 3
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) if color else pixels
    scaled = _fixed_scale(gray)
    size = (max(1, scaled.shape[1] // 2), max(1, scaled.shape[0] // 2))
    half = cv2.resize(scaled, size, interpolation=cv2.INTER_AREA)
    calm = cv2.medianBlur(half, 3)
    source = half if min(half.shape) >= 2 * THUMBNAIL_PIXELS else gray
    thumbnail = cv2.resize(source, (THUMBNAIL_PIXELS, THUMBNAIL_PIXELS), interpolation=cv2.INTER_AREA)
    small = thumbnail.astype(np.float32)
    red, green, blue = cv2.mean(pixels)[:3] if color else (cv2.mean(gray)[0],) * 3
    return {
        "histogram": cv2.calcHist([gray[:: 1 + (gray.size > MANY_PIXELS)]], [0], None, [256], [0, 256])[:, 0],
        "calm": cv2.calcHist([calm], [0], None, [256], [0, 256])[:, 0],
        "sharpness": laplacian_variance(scaled),
        "sharpness_robust": laplacian_variance(calm),
        "edge_density": _edge_density(calm),
        "red": red,
        "green": green,
        "blue": blue,
        "gray": not color or _is_gray(pixels),
        "pixel_hash": perceptual.pixel_hash(pixels, half),
        "tiny": cv2.resize(small, (9, 8), interpolation=cv2.INTER_AREA),
        "low": cv2.dct(small)[:8, :8],
        "thumbnail": thumbnail,
    }


def laplacian_variance(gray: Array) -> float:
    """Return the variance of the Laplacian of an (H, W) uint8 picture: 0 = flat, larger = sharper."""
    second = cv2.Laplacian(gray, cv2.CV_16S)
    mean = float(cv2.sumElems(second)[0]) / second.size  # cv2.meanStdDev takes 20 times as long
    return max(0.0, float(cv2.norm(second, cv2.NORM_L2SQR)) / second.size - mean * mean)


def is_uniform(histogram: Array, edge_density: Array) -> Array:
    """Return (N,) whether a picture is a plain surface, on which sharpness means nothing: a narrow range and no edges.

    Args:
        histogram: (N, 256) gray histograms of the small, noise-free pictures.
        edge_density: (N,) share of their pixels on edges.
    """
    sums = np.cumsum(histogram, axis=1) / np.maximum(histogram.sum(axis=1, keepdims=True), 1)
    span = (sums < 0.98).sum(axis=1) - (sums < 0.02).sum(axis=1)
    return np.asarray((span < UNIFORM_SPAN) & (edge_density < UNIFORM_EDGES))


def histogram_statistics(histogram: Array) -> dict[str, Array]:
    """Return mean, std, percentiles (0..255) and entropy (bits), each (N,), of (N, 256) gray histograms."""
    share = histogram.astype(np.float64)
    share /= np.maximum(share.sum(axis=1, keepdims=True), 1)
    levels = np.arange(256.0)
    mean = share @ levels
    found = {"mean": mean, "std": np.sqrt(np.maximum(share @ levels**2 - mean**2, 0))}
    sums = np.cumsum(share, axis=1)
    for name, part in _PERCENTILES.items():
        found[name] = (sums < part - 1e-12).sum(axis=1)
    found["entropy"] = -(share * np.log2(share, where=share > 0, out=np.zeros_like(share))).sum(axis=1)
    return found


def to_uint8(pixels: Array) -> Array:
    """Return any picture array as uint8 RGB or gray: depth scaled to 8 bits, transparency on white, floats by range."""
    if pixels.dtype == np.uint16:
        pixels = cv2.convertScaleAbs(pixels, alpha=255 / 65535)
    elif pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * 255
    elif pixels.dtype != np.uint8:
        values = np.nan_to_num(pixels.astype(np.float32))
        low, high = float(values.min(initial=0.0)), float(values.max(initial=0.0))
        top = 1.0 if low >= 0 and high <= 1 else 255.0
        if low < 0 or high > 255:
            values, top = values - low, max(high - low, 1e-9)
        pixels = np.rint(values * (255.0 / top)).astype(np.uint8)
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        color, alpha = pixels[..., :-1].astype(np.uint16), pixels[..., -1:].astype(np.uint16)
        pixels = ((color * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3) or not pixels.size:
        raise BrokenSampleError(f"broken: an array of shape {pixels.shape} is no picture")
    return np.ascontiguousarray(pixels)


def _shrink(header: Header, *, longer: int = 0, shorter: int = 0) -> int:
    """Return by how much a JPEG may be decoded smaller."""
    if header.format != "jpeg" or header.channels not in (1, 3):
        return 1
    sides = sorted((header.width, header.height))
    for by in (8, 4, 2):
        if sides[1] // by >= longer and sides[0] // by >= max(shorter, 1):
            return by
    return 1


def _pixels(raw: Raw, header: Header, by: int) -> Array:
    """Decode a file's bytes to uint8 RGB or gray, rotated as its EXIF says."""
    data = np.frombuffer(raw, np.uint8)  # type: ignore[arg-type]
    suspicious = header.format in ("other", "gif") or not complete(raw, header)  # type: ignore[arg-type]
    if suspicious or (header.format == "jpeg" and header.channels == 4) or (header.format == "tiff" and header.alpha):
        return _strict(raw, header)
    try:
        if header.format == "jpeg":
            picture = cv2.imdecode(data, (_REDUCED_GRAY if header.channels == 1 else _REDUCED)[by])
            if by > 1 and picture is not None and picture.ndim == 3:
                picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
            return picture if picture is not None else _strict(raw, header)
        picture = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except cv2.error:
        picture = None
    if picture is None or (header.channels == 2 and picture.ndim == 2):
        return _strict(raw, header)
    if picture.ndim == 3 and picture.shape[2] >= 3:
        order = cv2.COLOR_BGRA2RGBA if picture.shape[2] == 4 else cv2.COLOR_BGR2RGB
        picture = cv2.cvtColor(picture, order)
    picture = to_uint8(picture)
    if picture.ndim == 3 and header.channels <= 2:
        picture = np.ascontiguousarray(picture[..., 0])
    # OpenCV turns a TIFF by itself whatever it is told, other formats only where they are not read unchanged.
    return picture if header.format == "tiff" else rotate(picture, header.orientation)


def rotate(picture: Array, orientation: int) -> Array:
    """Return a picture turned upright from its EXIF orientation (1 to 8)."""
    mirrored, turn = _ROTATE[orientation]
    picture = cv2.flip(picture, 1) if mirrored else picture
    return np.asarray(picture if turn is None else cv2.rotate(picture, turn))


def _strict(raw: Raw, header: Header) -> Array:
    """Decode with Pillow, which refuses a file that ends too early."""
    import PIL.Image
    import PIL.ImageOps

    try:
        with _quiet, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            opened = PIL.Image.open(io.BytesIO(raw))  # type: ignore[arg-type]
        with opened:
            deep = opened.mode.startswith(("I", "F"))
            clear = "A" in opened.mode or "transparency" in opened.info
            gray = opened.mode in ("1", "L", "LA", "La")
            picture = PIL.ImageOps.exif_transpose(opened)
            if deep:
                return to_uint8(np.asarray(picture).astype(np.uint16 if opened.mode != "F" else np.float32))
            picture = picture.convert("LA" if gray and clear else "L" if gray else "RGBA" if clear else "RGB")
            return to_uint8(np.asarray(picture))
    except PIL.UnidentifiedImageError:
        raise BrokenSampleError(NO_IMAGE if header.format == "other" else BROKEN) from None
    except PIL.Image.DecompressionBombError:
        raise BrokenSampleError("huge: over 178 megapixels") from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, Warning) as error:
        cut = "truncated" in str(error) or "Truncated" in str(error) or not complete(raw, header)  # type: ignore[arg-type]
        raise BrokenSampleError(TRUNCATED if cut else BROKEN) from None


def _fixed_scale(gray: Array) -> Array:
    """Shrink to a longer side of at most :data:`SCALE_PIXELS`: whole factors by area, the rest bilinear (5x faster)."""
    longer = max(gray.shape)
    by = longer // SCALE_PIXELS
    if by > 1:
        size = (max(1, gray.shape[1] // by), max(1, gray.shape[0] // by))
        gray = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
        longer = max(gray.shape)
    if longer > SCALE_PIXELS:
        by_part = SCALE_PIXELS / longer
        size = (max(1, round(gray.shape[1] * by_part)), max(1, round(gray.shape[0] * by_part)))
        gray = cv2.resize(gray, size, interpolation=cv2.INTER_LINEAR)
    return gray


def _edge_density(calm: Array) -> float:
    across, down = cv2.spatialGradient(calm)
    strength = cv2.addWeighted(cv2.convertScaleAbs(across), 0.5, cv2.convertScaleAbs(down), 0.5, 0)
    return float(cv2.countNonZero(cv2.threshold(strength, 24, 1, cv2.THRESH_BINARY)[1])) / strength.size


def _is_gray(pixels: Array) -> bool:
    size = (min(64, pixels.shape[1]), min(64, pixels.shape[0]))
    red, green, blue = cv2.split(cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST))
    apart = max(cv2.norm(red, green, cv2.NORM_L1), cv2.norm(green, blue, cv2.NORM_L1))
    return bool(apart / red.size < 2.0)
