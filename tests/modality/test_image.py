"""Pictures in every format that is read, against Pillow, NumPy and SciPy."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.fft import dctn

from scarce.modality import BrokenSampleError, of, perceptual
from scarce.modality.header import read_header
from scarce.modality.image import Image, histogram_statistics, laplacian_variance, rotate, to_uint8

IMAGE = Image()


def scene(height: int = 48, width: int = 64) -> np.ndarray:
    """A smooth colored picture with no symmetry."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    layers = [rows * 3 + columns, columns * 3, 200 - rows * 2 - columns]
    picture = np.stack(layers, axis=-1)
    picture[5:15, 8:20] = (250, 20, 30)
    return np.clip(picture, 0, 255).astype(np.uint8)


def saved(picture: np.ndarray | PIL.Image.Image, kind: str, **options: object) -> bytes:
    held = io.BytesIO()
    image = picture if isinstance(picture, PIL.Image.Image) else PIL.Image.fromarray(picture)
    image.save(held, kind, **options)
    return held.getvalue()


def measured(raw: object) -> dict[str, np.ndarray]:
    one = IMAGE.measure(raw)  # type: ignore[arg-type]
    found = IMAGE.finish({name: np.stack([np.asarray(value)]) for name, value in one.items()})
    return {name: array[0] for name, array in found.items()}


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP", "GIF", "JPEG", "PPM"])
def test_color_formats(kind: str) -> None:
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95, "subsampling": 0}}.get(kind, {})
    data = saved(scene(), kind, **options)
    found = IMAGE.decode(data)
    oracle = np.asarray(PIL.Image.open(io.BytesIO(data)).convert("RGB"))
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - oracle).max() <= (2 if kind == "JPEG" else 0)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "JPEG"])
def test_gray_stays_gray(kind: str) -> None:
    picture = scene()[..., 0]
    data = saved(picture, kind)
    found = IMAGE.decode(data)
    assert found.shape == picture.shape
    oracle = np.asarray(PIL.Image.open(io.BytesIO(data)))
    assert np.abs(found.astype(int) - oracle).max() <= (2 if kind == "JPEG" else 0)


@pytest.mark.parametrize("ending", [".png", ".tiff"])
@pytest.mark.parametrize("color", [False, True])
def test_sixteen_bits(ending: str, color: bool) -> None:
    deep = scene().astype(np.uint16) * 257
    deep = deep if color else deep[..., 0]
    data = cv2.imencode(ending, deep[..., ::-1] if color else deep)[1].tobytes()
    np.testing.assert_array_equal(IMAGE.decode(data), scene() if color else scene()[..., 0])
    assert measured(data)["bits"] == 16


def test_float_tiff() -> None:
    data = cv2.imencode(".tiff", (scene()[..., 0] / 255).astype(np.float32))[1].tobytes()
    np.testing.assert_array_equal(IMAGE.decode(data), scene()[..., 0])


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_transparency_lies_on_white(kind: str) -> None:
    alpha = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
    image = PIL.Image.fromarray(np.dstack([scene(), alpha]))
    data = saved(image, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
    found = IMAGE.decode(data).astype(float)
    share = alpha[..., None] / 255
    np.testing.assert_allclose(found, scene() * share + 255 * (1 - share), atol=1)
    assert (found[:, 0] == 255).all()


def test_gray_with_transparency_and_palette() -> None:
    gray, alpha = scene()[..., 0], np.full((48, 64), 128, np.uint8)
    found = IMAGE.decode(saved(PIL.Image.merge("LA", [PIL.Image.fromarray(gray), PIL.Image.fromarray(alpha)]), "PNG"))
    assert found.ndim == 2
    np.testing.assert_allclose(found, gray * (128 / 255) + 255 * (127 / 255), atol=1)
    palette = PIL.Image.fromarray(scene()).quantize(16)
    oracle = np.asarray(palette.convert("RGB"))
    np.testing.assert_array_equal(IMAGE.decode(saved(palette, "PNG")), oracle)
    palette.info["transparency"] = 0
    clear = IMAGE.decode(saved(palette, "PNG", transparency=0))
    assert (clear[np.asarray(palette) == 0] == 255).all()


def test_one_bit() -> None:
    picture = scene()[..., 0] > 100
    found = IMAGE.decode(saved(PIL.Image.fromarray(picture), "PNG"))
    np.testing.assert_array_equal(found, picture.astype(np.uint8) * 255)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation(orientation: int, kind: str) -> None:
    exif = PIL.Image.Exif()
    exif[274] = orientation
    image = PIL.Image.fromarray(scene())
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95, "subsampling": 0}}.get(kind, {})
    data = saved(image, kind, exif=exif, **options)
    from PIL import ImageOps

    oracle = np.asarray(ImageOps.exif_transpose(PIL.Image.open(io.BytesIO(data))).convert("RGB"))
    found = IMAGE.decode(data)
    assert found.shape == oracle.shape
    assert np.abs(found.astype(int) - oracle).max() <= 2
    header = read_header(data)
    assert header is not None
    assert header.orientation == orientation
    assert (measured(data)["width"], measured(data)["height"]) == (oracle.shape[1], oracle.shape[0])


def test_cmyk_jpeg() -> None:
    image = PIL.Image.fromarray(scene()).convert("CMYK")
    data = saved(image, "JPEG", quality=95)
    oracle = np.asarray(PIL.Image.open(io.BytesIO(data)).convert("RGB"))
    np.testing.assert_array_equal(IMAGE.decode(data), oracle)
    assert np.abs(oracle.astype(int) - scene()).mean() < 12
    assert measured(data)["channels"] == 4


def test_first_frame_of_several() -> None:
    first, second = PIL.Image.fromarray(scene()), PIL.Image.fromarray(255 - scene())
    for kind in ("GIF", "TIFF"):
        data = saved(first, kind, save_all=True, append_images=[second])
        oracle = np.asarray(PIL.Image.open(io.BytesIO(data)).convert("RGB"))
        np.testing.assert_array_equal(IMAGE.decode(data), oracle)


def huge() -> bytes:
    data = bytearray(saved(scene(), "PNG"))
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    return bytes(data)


def text() -> bytes:
    return b"this is not a picture, whatever its name says\n" * 20


BROKEN: list[tuple[str, Callable[[], bytes], str]] = [
    ("empty", lambda: b"", "empty"),
    ("text", text, "broken"),
    ("html", lambda: b"<html>404</html>", "broken"),
    ("huge", huge, "huge"),
    ("jpeg header", lambda: saved(scene(), "JPEG")[:200], "truncated"),
    ("png header", lambda: saved(scene(), "PNG")[:20], "truncated"),
]


@pytest.mark.parametrize(("name", "make", "reason"), BROKEN, ids=[name for name, _, _ in BROKEN])
def test_what_cannot_be_used(name: str, make: Callable[[], bytes], reason: str) -> None:
    for work in (IMAGE.measure, IMAGE.decode):
        with pytest.raises(BrokenSampleError, match=f"^{reason}"):
            work(make())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"])
@pytest.mark.parametrize("share", [0.4, 0.8, 0.97])
def test_cut_files(kind: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    data = saved(noise, kind)
    IMAGE.measure(data)
    with pytest.raises(BrokenSampleError, match=r"^(truncated|broken)") as caught:
        IMAGE.measure(data[: int(len(data) * share)])
    if kind in ("JPEG", "PNG", "WEBP", "BMP"):
        assert str(caught.value).startswith("truncated")


def test_progressive_and_restart_jpegs_and_trailing_bytes_are_whole() -> None:
    for options in ({"progressive": True}, {"optimize": True}, {"restart_marker_blocks": 2}):
        IMAGE.measure(saved(scene(), "JPEG", **options))
    IMAGE.measure(saved(scene(), "JPEG") + b"\0" * 5000)


def test_a_cut_jpeg_whose_thumbnail_is_whole() -> None:
    exif = PIL.Image.Exif()
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    data = saved(noise, "JPEG", exif=exif)
    small = saved(scene(), "JPEG")
    comment = b"\xff\xe2" + (len(small) + 2).to_bytes(2, "big") + small
    whole = data[:2] + comment + data[2:]
    IMAGE.measure(whole)
    with pytest.raises(BrokenSampleError, match=r"^truncated"):
        IMAGE.measure(whole[: len(whole) // 2])


def test_png_with_damaged_data_is_broken() -> None:
    data = bytearray(saved(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8), "PNG"))
    data[len(data) // 2] ^= 255
    with pytest.raises(BrokenSampleError, match=r"^broken"):
        IMAGE.measure(bytes(data))


def test_statistics_against_numpy() -> None:
    data = saved(scene(240, 320), "PNG")
    found = measured(data)
    gray = cv2.cvtColor(scene(240, 320), cv2.COLOR_RGB2GRAY)
    pillow = np.asarray(PIL.Image.fromarray(scene(240, 320)).convert("L"))
    assert abs(float(gray.mean()) - pillow.mean()) < 1
    assert found["mean"] == pytest.approx(gray.mean(), abs=1e-3)
    assert found["std"] == pytest.approx(gray.std(), abs=1e-3)
    for name, part in (("p01", 1), ("p05", 5), ("p50", 50), ("p95", 95), ("p99", 99)):
        assert found[name] == np.percentile(gray, part, method="inverted_cdf")
    assert found["entropy"] == pytest.approx(PIL.Image.fromarray(gray).entropy(), abs=1e-4)
    assert found["sharpness"] == pytest.approx(cv2.Laplacian(gray, cv2.CV_64F).var(), rel=1e-6)
    assert (found["width"], found["height"], found["channels"], found["bits"]) == (320, 240, 3, 8)
    assert found["bytes"] == len(data)


def test_hashes_against_other_arithmetic() -> None:
    picture = cv2.GaussianBlur(np.random.default_rng(3).integers(0, 256, (128, 128), np.uint8), (0, 0), 6)
    picture = cv2.normalize(picture, None, 0, 255, cv2.NORM_MINMAX)
    found = measured(picture)
    small = np.asarray(PIL.Image.fromarray(picture).resize((9, 8), PIL.Image.Resampling.BOX), int)
    bits = (small[:, 1:] > small[:, :-1]).ravel()
    oracle = int("".join("1" if bit else "0" for bit in bits), 2)
    assert (int(found["dhash"]) ^ oracle).bit_count() <= 4
    low = dctn(found["thumbnail"].astype(float), norm="ortho")[:8, :8].ravel()
    oracle = int("".join("1" if value > np.median(low[1:]) else "0" for value in low), 2)
    assert (int(found["phash"]) ^ oracle).bit_count() <= 1
    thumbnail = np.asarray(PIL.Image.fromarray(picture).resize((32, 32), PIL.Image.Resampling.BOX), int)
    assert np.abs(found["thumbnail"].astype(int) - thumbnail).max() <= 2


def test_hashes_stay_close_for_copies_and_apart_for_others() -> None:
    rng = np.random.default_rng(1)
    pictures = [
        cv2.resize(rng.integers(0, 256, (9, 12, 3), np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC)
        for _ in range(6)
    ]
    plain = [measured(saved(picture, "PNG")) for picture in pictures]
    worse = [measured(saved(cv2.resize(picture, (200, 150)), "JPEG", quality=40)) for picture in pictures]
    for name in ("dhash", "phash"):
        for row, one in enumerate(plain):
            distances = [int(perceptual.hamming(one[name], other[name])) for other in worse]
            assert distances[row] <= 4
            assert min(distances[:row] + distances[row + 1 :]) >= 14


def test_pixel_hash_sees_pixels_only() -> None:
    first, again = measured(saved(scene(), "PNG")), measured(saved(scene(), "BMP"))
    assert first["pixel_hash"] == again["pixel_hash"]
    changed = scene()
    changed[20, 20, 1] ^= 1
    assert measured(saved(changed, "PNG"))["pixel_hash"] != first["pixel_hash"]
    turned = np.ascontiguousarray(scene().transpose(1, 0, 2))
    assert measured(saved(turned, "PNG"))["pixel_hash"] != first["pixel_hash"]


def test_gray_flag() -> None:
    gray = cv2.cvtColor(scene(), cv2.COLOR_RGB2GRAY)
    assert measured(saved(np.dstack([gray] * 3), "JPEG"))["gray"]
    assert not measured(saved(scene(), "JPEG"))["gray"]


def test_sharpness_falls_with_blur_and_the_robust_one_ignores_noise() -> None:
    rng = np.random.default_rng(0)
    sharp = cv2.resize(rng.integers(0, 256, (24, 32), np.uint8), (512, 384), interpolation=cv2.INTER_NEAREST)
    found = [measured(cv2.GaussianBlur(sharp, (0, 0), sigma) if sigma else sharp) for sigma in (0, 1, 2, 4, 8)]
    for name in ("sharpness", "sharpness_robust"):
        values = [float(one[name]) for one in found]
        assert values == sorted(values, reverse=True)
    blurred = cv2.GaussianBlur(sharp, (0, 0), 8)
    noisy = np.clip(blurred + rng.normal(0, 12, blurred.shape), 0, 255).astype(np.uint8)
    assert measured(noisy)["sharpness"] > 20 * measured(blurred)["sharpness"]
    assert measured(noisy)["sharpness_robust"] < measured(sharp)["sharpness_robust"] / 5


def test_plain_surfaces_are_known() -> None:
    rng = np.random.default_rng(0)
    plain = np.clip(rng.normal(140, 4, (300, 400)), 0, 255).astype(np.uint8)
    assert measured(plain)["uniform"]
    assert measured(plain)["edge_density"] < 0.001
    assert measured(np.full((300, 400), 90, np.uint8))["uniform"]
    marked = plain.copy()
    cv2.ellipse(marked, (200, 150), (60, 30), 20, 0, 360, 40, -1)
    assert not measured(marked)["uniform"]
    assert not measured(scene(300, 400))["uniform"]


def test_large_jpegs_are_decoded_small_with_nearly_the_same_figures() -> None:
    rng = np.random.default_rng(0)
    picture = cv2.resize(rng.integers(0, 256, (30, 40, 3), np.uint8), (1920, 1440), interpolation=cv2.INTER_CUBIC)
    jpeg, png = measured(saved(picture, "JPEG", quality=95)), measured(picture)
    assert (jpeg["width"], jpeg["height"]) == (1920, 1440)
    for name, slack in (("mean", 1), ("std", 1.5), ("p05", 3), ("p95", 3)):
        assert abs(float(jpeg[name]) - float(png[name])) <= slack
    assert perceptual.hamming(jpeg["dhash"], png["dhash"]) <= 2
    assert np.abs(jpeg["thumbnail"].astype(int) - png["thumbnail"]).mean() < 3
    small = IMAGE.decode_small(saved(picture, "JPEG"), 224)
    assert small.shape == (360, 480, 3)
    assert IMAGE.decode_small(saved(picture, "PNG"), 224).shape == (1440, 1920, 3)


def test_tiny_pictures() -> None:
    for size in ((1, 1), (1, 40), (40, 1), (2, 3)):
        found = measured(np.full((*size, 3), 77, np.uint8))
        assert found["thumbnail"].shape == (32, 32)
        assert found["mean"] == 77


def test_real_fabric_and_tiles(shared_data: Path) -> None:
    files = sorted((shared_data / "fabric_defects").rglob("*.png"))[::25]
    files += sorted((shared_data / "magnetic_tile" / "images").rglob("*.jpg"))[::100]
    assert len(files) > 20
    for file in files:
        found = measured(file.read_bytes())
        with PIL.Image.open(file) as opened:
            gray = np.asarray(opened.convert("L"), float)
            assert (found["width"], found["height"]) == opened.size
        assert found["mean"] == pytest.approx(gray.mean(), abs=1.0)
        assert found["std"] == pytest.approx(gray.std(), abs=1.0)


@given(
    st.integers(1, 40), st.integers(1, 40), st.sampled_from([0, 1, 2, 3, 4]), st.sampled_from(["u1", "u2", "f4", "?"])
)
@settings(max_examples=40, deadline=None)
def test_any_array_becomes_a_picture(height: int, width: int, channels: int, kind: str) -> None:
    shape = (height, width, channels) if channels else (height, width)
    values = np.random.default_rng(0).uniform(0, 1 if kind in ("f4", "?") else 255, shape)
    found = to_uint8((values > 0.5) if kind == "?" else values.astype(kind))
    assert found.dtype == np.uint8
    assert found.shape == ((height, width, 3) if channels >= 3 else (height, width))


@given(
    st.binary(max_size=400),
    st.sampled_from([b"", b"\xff\xd8\xff\xe1", b"\x89PNG\r\n\x1a\n", b"BM", b"GIF8", b"RIFF", b"II*\0"]),
)
@settings(max_examples=200, deadline=None)
def test_no_bytes_can_do_harm(data: bytes, start: bytes) -> None:
    read_header(start + data)
    reason, found = "", None
    try:
        found = IMAGE.decode(start + data)
    except BrokenSampleError as error:
        reason = str(error).partition(":")[0]
    assert reason in {"empty", "broken", "truncated", "huge"} if found is None else found.dtype == np.uint8


def test_pure_functions() -> None:
    histogram = np.zeros((2, 256))
    histogram[0, 10] = histogram[1, [0, 255]] = 5
    found = histogram_statistics(histogram)
    assert found["mean"].tolist() == [10, 127.5]
    assert found["entropy"].tolist() == [0, 1]
    assert laplacian_variance(np.full((9, 9), 7, np.uint8)) == 0
    picture = scene()
    np.testing.assert_array_equal(rotate(rotate(picture, 6), 8), picture)
    assert of("image").encoders[-1] == "pixel", "needs no package"
