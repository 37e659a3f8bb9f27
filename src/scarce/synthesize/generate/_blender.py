"""Runs inside Blender's own Python (bpy): renders the jobs of a JSON file. Started by render.py, never imported.

Writes one line of JSON per finished job to standard output, so that a crash half way loses nothing.
"""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import bpy
import mathutils

CLOTH_CUTS = 64
IMPORTS = {
    "obj": lambda path: bpy.ops.wm.obj_import(filepath=path),
    "ply": lambda path: bpy.ops.wm.ply_import(filepath=path),
    "stl": lambda path: bpy.ops.wm.stl_import(filepath=path),
    "glb": lambda path: bpy.ops.import_scene.gltf(filepath=path),
    "gltf": lambda path: bpy.ops.import_scene.gltf(filepath=path),
    "fbx": lambda path: bpy.ops.import_scene.fbx(filepath=path),
}


def main(path: str) -> None:
    """Render every job of a file."""
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 - runs in another interpreter, kept plain
        jobs = json.load(file)
    for job in jobs:
        try:
            body = {"index": job["index"], **render(job)}
        except (RuntimeError, OSError, ValueError, KeyError) as error:
            body = {"index": job["index"], "error": f"{type(error).__name__}: {error}"}
        sys.stdout.write("@scarce " + json.dumps(body) + "\n")
        sys.stdout.flush()


def render(job: dict[str, Any]) -> dict[str, Any]:
    """Render the picture and the mask of one job; returns the version of Blender."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    part = imported(job["mesh"]) if job["mesh"] else cloth(job)
    fit(part)
    camera(scene, job)
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.seed = job["seed"] % 2**31
    scene.render.resolution_x = scene.render.resolution_y = job["size"]
    scene.render.resolution_percentage = 100
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGB"
    scene.view_settings.view_transform = "Standard"
    scene.render.threads_mode, scene.render.threads = "FIXED", job["threads"]
    scene.world = bpy.data.worlds.new("ground")
    lamps(scene, job)
    dress(part, job["texture"], glow=False)
    shoot(scene, job["picture"], samples=job["samples"], ground=0.6)
    for lamp in [thing for thing in scene.objects if thing.type == "LIGHT"]:
        bpy.data.objects.remove(lamp)
    dress(part, job["mask_texture"], glow=True)
    scene.view_settings.view_transform = "Raw"
    shoot(scene, job["mask"], samples=4, ground=0.0)
    return {"blender": bpy.app.version_string}


def imported(path: str) -> Any:
    """Return the user's mesh, joined into one object with a map of its surface."""
    kind = path.rpartition(".")[2].lower()
    if kind not in IMPORTS:
        raise ValueError(f"a mesh of type {kind!r} is unknown; known are {', '.join(IMPORTS)}")
    IMPORTS[kind](path)
    parts = [thing for thing in bpy.context.scene.objects if thing.type == "MESH"]
    if not parts:
        raise ValueError("the file holds no mesh")
    for thing in parts:
        thing.select_set(state=True)
    bpy.context.view_layer.objects.active = parts[0]
    if len(parts) > 1:
        bpy.ops.object.join()
    part = bpy.context.view_layer.objects.active
    if not part.data.uv_layers:
        bpy.ops.object.mode_set(mode="EDIT")
        bpy.ops.mesh.select_all(action="SELECT")
        bpy.ops.uv.smart_project()
        bpy.ops.object.mode_set(mode="OBJECT")
    return part


def cloth(job: dict[str, Any]) -> Any:
    """Return a piece of cloth with soft folds, stood upright."""
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=CLOTH_CUTS, y_subdivisions=CLOTH_CUTS, size=2)
    part = bpy.context.active_object
    for vertex in part.data.vertices:
        x, y = vertex.co.x, vertex.co.y
        for wave in job["waves"]:
            vertex.co.z += wave["height"] * math.sin(wave["x"] * x + wave["y"] * y + wave["phase"])
    for face in part.data.polygons:
        face.use_smooth = True
    part.rotation_euler = (math.pi / 2, 0, 0)
    return part


def fit(part: Any) -> None:
    """Move the part into the middle and bring it to a radius of 1."""
    bpy.context.view_layer.update()
    corners = [part.matrix_world @ mathutils.Vector(corner) for corner in part.bound_box]
    middle = sum(corners, mathutils.Vector()) / 8
    radius = max((corner - middle).length for corner in corners)
    if radius == 0:
        raise ValueError("the mesh has no size")
    part.matrix_world = (
        mathutils.Matrix.Scale(1 / radius, 4) @ mathutils.Matrix.Translation(-middle) @ part.matrix_world
    )


def camera(scene: Any, job: dict[str, Any]) -> None:
    """Put the camera on a circle around the part."""
    turn, rise = math.radians(job["angle"]), math.radians(job["elevation"])
    eye = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    away = job["distance"]
    place = (math.sin(turn) * math.cos(rise), -math.cos(turn) * math.cos(rise), math.sin(rise))
    eye.location = mathutils.Vector(place) * away
    eye.rotation_euler = (-eye.location).to_track_quat("-Z", "Y").to_euler()
    scene.collection.objects.link(eye)
    scene.camera = eye


def lamps(scene: Any, job: dict[str, Any]) -> None:
    """Put a lamp where the job says, beside the camera's direction."""
    lamp = bpy.data.lights.new("lamp", "AREA")
    lamp.energy, lamp.size = job["light"]["power"], job["light"]["size"]
    turn, rise = math.radians(job["angle"] + job["light"]["turn"]), math.radians(job["light"]["rise"])
    thing = bpy.data.objects.new("lamp", lamp)
    place = (math.sin(turn) * math.cos(rise), -math.cos(turn) * math.cos(rise), math.sin(rise))
    thing.location = mathutils.Vector(place) * 3
    thing.rotation_euler = (-thing.location).to_track_quat("-Z", "Y").to_euler()
    scene.collection.objects.link(thing)


def dress(part: Any, texture: str, *, glow: bool) -> None:
    """Give the part a texture: as a material, or as light of its own for the mask."""
    material = bpy.data.materials.new("surface")
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    image = nodes.new("ShaderNodeTexImage")
    image.image = bpy.data.images.load(texture)
    out = nodes.new("ShaderNodeOutputMaterial")
    if glow:
        image.image.colorspace_settings.name = "Non-Color"
        shader = nodes.new("ShaderNodeEmission")
        links.new(image.outputs["Color"], shader.inputs["Color"])
        links.new(shader.outputs["Emission"], out.inputs["Surface"])
    else:
        shader = nodes.new("ShaderNodeBsdfPrincipled")
        shader.inputs["Roughness"].default_value = 0.6
        links.new(image.outputs["Color"], shader.inputs["Base Color"])
        links.new(shader.outputs["BSDF"], out.inputs["Surface"])
    part.data.materials.clear()
    part.data.materials.append(material)


def shoot(scene: Any, path: str, *, samples: int, ground: float) -> None:
    """Render one picture with a plain ground."""
    scene.world.use_nodes = True
    background = scene.world.node_tree.nodes.get("Background") or scene.world.node_tree.nodes.new(
        "ShaderNodeBackground"
    )
    background.inputs["Color"].default_value = (ground, ground, ground, 1)
    scene.cycles.samples = samples
    scene.cycles.use_denoising = False
    scene.cycles.max_bounces = 4 if ground else 0
    scene.render.filepath = path
    bpy.ops.render.render(write_still=True)


if __name__ == "__main__":
    main(sys.argv[-1])
