"""Pictures rendered by Blender."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, final

import numpy as np

from scarce import registry
from scarce.dataset import Array
from scarce.errors import ConfigError, ReadError, ScarceError
from scarce.recipe import Parents
from scarce.synthesize._base import AbstractDefect
from scarce.synthesize.generate._base import AbstractGenerator, Made, Maker, Order
from scarce.synthesize.generate._region import to_rgb

WHO: Final = "synthesize.render"
SCRIPT: Final = Path(__file__).with_name("_blender.py")
MARK: Final = "@scarce "
INSTALL: Final = (
    "make an environment for Blender alone: python3.11 -m venv .venv-render && "
    ".venv-render/bin/pip install bpy==5.0.1, then python = '.venv-render/bin/python' (bpy needs this very Python)"
)


@final
@dataclass(frozen=True, kw_only=True)
class Render(AbstractGenerator):
    """Render a cloth or your own part with a damaged surface from many angles under many lights.

    Use when shape and light matter more than texture, or when there is a mesh of the part. Do not use where real photos
    of sound parts are many: defects drawn or pasted on them look more real.
    Blender (bpy, GPL) runs in a process and an environment of its own, named by python. Nothing is sent.
    Needs: a texture, or a sound class, whose photos then become the surface.
    Writes: picture, mask and box; views that hide the defect are rejected.

    Args:
        python: interpreter of an environment with bpy; empty = .venv-render/bin/python here.
        mesh: obj, ply, stl, glb, gltf or fbx file; empty = a cloth with soft folds.
        texture: picture of the sound surface; empty = a sound training photo.
        damage: drawn kind (stain, scratch ...) or an RGBA picture file; empty = told by the name of the class.
        severity: size and strength of the damage, in (0, 1].
        angle_step: degrees between two views on the circle around the part.
        elevations: degrees of the camera above the middle; they take turns.
        lights: so many lamps at drawn places; they take turns.
        distance: of the camera, in radii of the part.
        size: side of the picture in pixels.
        samples: rays a pixel; more is slower and less grainy.
        threads: of the renderer; 0 = all cores.
        timeout_seconds: for one picture.
    """

    free: ClassVar[tuple[str, ...]] = ("python", "threads", "timeout_seconds")

    python: str = ""
    mesh: str = ""
    texture: str = ""
    damage: str = ""
    severity: float = 0.6
    angle_step: float = 30.0
    elevations: tuple[float, ...] = (10.0, 30.0)
    lights: int = 3
    distance: float = 3.2
    size: int = 256
    samples: int = 32
    threads: int = 0
    timeout_seconds: float = 300.0

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        if not 0 < self.severity <= 1 or not 0 < self.angle_step <= 360 or self.lights < 1 or not self.elevations:
            what = f"severity = {self.severity}, angle_step = {self.angle_step}, lights = {self.lights}"
            raise ConfigError(WHO, f"{what} are out of range", do="use (0, 1], (0, 360], 1 or more, and an elevation")
        if self.size < 16 or self.samples < 1 or self.distance <= 1.05 or self.timeout_seconds <= 0:
            what = f"size = {self.size}, samples = {self.samples}, distance = {self.distance}"
            raise ConfigError(WHO, f"{what} are out of range", do="use size >= 16, samples >= 1, distance > 1.05")

    def sources(self) -> tuple[str, int]:
        """Return that the surface is a sound photo unless a texture is given."""
        return ("none", 0) if self.texture else ("normal", 1)

    def per_order(self) -> int:
        """Return the views of one damage: a whole circle."""
        return max(1, int(360 / self.angle_step))

    def maker(self, spent: Mapping[str, float]) -> AbstractContextManager[Maker]:  # noqa: ARG002  one hook
        """Look for Blender's Python and the files."""
        python = Path(self.python or ".venv-render/bin/python").expanduser()
        if not python.is_file():
            raise ConfigError(WHO, f"there is no interpreter {python}", do=INSTALL)
        for path in (self.mesh, self.texture):
            if path and not Path(path).expanduser().is_file():
                raise ReadError(WHO, f"there is no file {path}")
        return _folder(self, str(python))


@contextlib.contextmanager
def _folder(plugin: Render, python: str) -> Iterator[Maker]:
    with tempfile.TemporaryDirectory(prefix="scarce-render-") as folder:
        yield _Blender(plugin, python, Path(folder))


class _Blender:
    """Blender in a process of its own, once an order."""

    def __init__(self, plugin: Render, python: str, folder: Path) -> None:
        self.plugin, self.python, self.folder = plugin, python, folder
        self.spent: Mapping[str, float] = {}

    def make(self, order: Order) -> Iterator[Made]:
        """Damage the surface, and render it from as many angles as are wanted."""
        surface = self._surface(order)
        damaged, mask = damage_surface(surface, self.plugin.damage or order.label, order.seed, self.plugin.severity)
        _save(self.folder / "surface.png", damaged)
        _save(self.folder / "damage.png", mask.astype(np.uint8) * np.uint8(255))
        jobs = self._jobs(order)
        (self.folder / "jobs.json").write_text(json.dumps(jobs), "utf-8")
        finished, fault = self._run(len(jobs))
        parents = tuple(source.id for source in order.sources)
        for line in finished:
            job = jobs[line["index"]]
            record = {
                "angle": job["angle"], "elevation": job["elevation"], "light": job["light"]["name"],
                "mesh": Path(self.plugin.mesh).name or "cloth", "model": "blender",
                "revision": line.get("blender", ""),
            }  # fmt: skip
            if "error" in line:
                raise _RenderError(WHO, f"Blender cannot render this ({line['error']})", do="check mesh and texture")
            seen = _load(Path(job["mask"]), gray=True) >= 128
            yield Made(_load(Path(job["picture"])), seen, parents, record)
        if fault:
            raise _RenderError(
                WHO, f"Blender ended early: {fault}", f"{len(finished)} of {len(jobs)} views came", INSTALL
            )

    def _surface(self, order: Order) -> Array:
        if self.plugin.texture:
            return _load(Path(self.plugin.texture).expanduser())
        return to_rgb(np.asarray(order.sources[0].content))

    def _jobs(self, order: Order) -> list[dict[str, Any]]:
        plugin = self.plugin
        rng = np.random.default_rng(order.seed)
        waves = [{"height": rng.uniform(0.01, 0.06), "x": rng.uniform(-5, 5), "y": rng.uniform(-5, 5),
                  "phase": rng.uniform(0, 6.3)} for _ in range(3)]  # fmt: skip
        lamps = [{"name": at, "turn": rng.uniform(-80, 80), "rise": rng.uniform(15, 75), "power": rng.uniform(80, 260),
                  "size": rng.uniform(0.3, 2.5)} for at in range(plugin.lights)]  # fmt: skip
        angles = rng.permutation(self.plugin.per_order()) * plugin.angle_step
        common = {
            "mesh": str(Path(plugin.mesh).expanduser().resolve()) if plugin.mesh else "", "waves": waves,
            "seed": order.seed, "size": plugin.size, "samples": plugin.samples, "distance": plugin.distance,
            "threads": plugin.threads or os.cpu_count() or 1, "texture": str(self.folder / "surface.png"),
            "mask_texture": str(self.folder / "damage.png"),
        }  # fmt: skip
        return [
            {**common, "index": at, "angle": float(angles[at % len(angles)]), "light": lamps[at % len(lamps)],
             "elevation": float(plugin.elevations[at % len(plugin.elevations)]),
             "picture": str(self.folder / f"{at}.png"), "mask": str(self.folder / f"{at}-mask.png")}
            for at in range(order.count)
        ]  # fmt: skip

    def _run(self, jobs: int) -> tuple[list[dict[str, Any]], str]:
        """Return what finished, and why the rest did not."""
        env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        command = [self.python, "-W", "ignore", str(SCRIPT), str(self.folder / "jobs.json")]
        limit = self.plugin.timeout_seconds * max(1, jobs)
        try:
            done = subprocess.run(command, capture_output=True, timeout=limit, env=env, check=False)
            out, code = done.stdout, done.returncode
            fault = "" if not code else f"code {code}, {done.stderr.decode(errors='replace').strip()[-300:]}"
        except subprocess.TimeoutExpired as error:
            out, fault = error.stdout or b"", f"it took longer than {limit:g} seconds"
        except OSError as error:
            out, fault = b"", str(error)
        lines = [line for line in out.decode(errors="replace").splitlines() if line.startswith(MARK)]
        return [json.loads(line.removeprefix(MARK)) for line in lines], fault


class _RenderError(ScarceError, RuntimeError):
    """Blender failed half way."""


def damage_surface(surface: Array, damage: str, seed: int, severity: float) -> tuple[Array, Array]:
    """Return a flat surface with a damage, and the (H, W) bool pixels of it.

    Args:
        surface: uint8 (H, W, 3).
        damage: a drawn kind, a class whose name says which, or an RGBA picture file.
        seed: of everything random about it.
        severity: size and strength, in (0, 1].

    Raises:
        ConfigError: nothing says what to draw.
    """
    if Path(damage).suffix.lower() in (".png", ".webp", ".tif", ".tiff"):
        return _stamped(surface, Path(damage).expanduser(), seed)
    words = set(re.split(r"[^a-z]+", damage.lower()))
    words |= {word.rstrip("s") for word in words}
    drawn = []
    for name in registry.names("synthesize"):
        kind = registry.load("synthesize", name, AbstractDefect)  # type: ignore[type-abstract]
        if kind.words:
            drawn.append(name)
            if name == damage or words & kind.words:
                params = {"seed": seed, "severity": severity, "stay": "anywhere"}
                return kind().draw(surface, params, Parents(lambda _: surface))
    raise ConfigError(WHO, f"nothing says how {damage!r} looks", f"drawn are {', '.join(drawn)}",
                      "name one of them in damage, or an RGBA picture file")  # fmt: skip


def _stamped(surface: Array, path: Path, seed: int) -> tuple[Array, Array]:
    """Return the surface with an RGBA picture put on it at a drawn place, size and angle."""
    import cv2

    from scarce.synthesize._blend import placed_mask
    from scarce.synthesize.cut_paste import paste

    stamp = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if stamp is None or stamp.ndim != 3 or stamp.shape[2] != 4 or not stamp[..., 3].any():
        raise ReadError(WHO, f"{path} is no picture with transparency", do="give an RGBA file")
    rng = np.random.default_rng(seed)
    side = min(surface.shape[:2])
    zoom = rng.uniform(0.1, 0.35) * side / max(stamp.shape[:2])
    stamp = cv2.resize(stamp, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
    stamp = np.rot90(stamp, int(rng.integers(4)))
    left = int(rng.integers(0, max(1, surface.shape[1] - stamp.shape[1])))
    top = int(rng.integers(0, max(1, surface.shape[0] - stamp.shape[0])))
    patch = np.ascontiguousarray(stamp[..., 2::-1])
    cover = np.ascontiguousarray(stamp[..., 3]) / 255.0
    out = paste(surface, patch, cover, xy=(left, top), blend="alpha")
    return out, placed_mask(cover > 0.5, (left, top), surface.shape)


def _save(path: Path, pixels: Array) -> None:
    import cv2

    cv2.imwrite(str(path), pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))


def _load(path: Path, *, gray: bool = False) -> Array:
    import cv2

    pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR_RGB)
    if pixels is None:
        raise ReadError(WHO, f"{path} cannot be read as a picture")
    return np.asarray(pixels)
