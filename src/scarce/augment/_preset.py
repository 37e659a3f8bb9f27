"""The presets of the domains, each with its reason, and the words that give a domain away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from scarce.augment._preset_other import Settings

PRESETS: Final[Mapping[str, tuple[str, tuple[tuple[str, Settings], ...]]]] = {
    "garment": (
        """a garment hangs or lies upright, so it is never turned upside down; it fills the picture, so crops
        keep 90 % of the area and shifts stay under 10 % and push out at most 3 % of a side (a cropped shirt
        is no shirt); contrast turns about black, since the ground is black; erasing covers at most 5 %""",
        (
            ("flip", {"horizontal": 0.5}),
            (
                "shift_scale_rotate",
                {
                    "shift": 0.1,
                    "scale": [0.85, 1.0],
                    "rotate": 8.0,
                    "cut": 0.03,
                    "border": "constant",
                    "probability": 0.9,
                },
            ),
            ("crop", {"area": [0.9, 1.0], "ratio": [0.95, 1.05], "probability": 0.3}),
            ("brightness_contrast", {"brightness": 0.0, "contrast": 0.25, "pivot": 0.0, "probability": 0.5}),
            ("random_erasing", {"area": [0.01, 0.05], "probability": 0.3}),
        ),
    ),
    "surface": (
        """a surface has no up and no left, so all eight symmetries of the square are real samples; crops stay
        above 85 % so that a small defect near the edge keeps its label; nothing is erased, since one small
        defect is the evidence""",
        (
            ("flip", {"horizontal": 0.5, "vertical": 0.5, "diagonal": 0.5}),
            (
                "shift_scale_rotate",
                {"shift": 0.05, "scale": [0.95, 1.1], "rotate": 10.0, "cut": 0.05, "probability": 0.7},
            ),
            ("crop", {"area": [0.85, 1.0], "probability": 0.3}),
            ("brightness_contrast", {"brightness": 0.08, "contrast": 0.15, "probability": 0.7}),
        ),
    ),
    "gray": (
        "gray pictures carry no color, so only brightness and contrast change and no operation touches color channels",
        (
            ("flip", {"horizontal": 0.5}),
            ("shift_scale_rotate", {"shift": 0.0625, "scale": [0.9, 1.1], "rotate": 10.0, "cut": 0.05}),
            ("crop", {"area": [0.8, 1.0], "probability": 0.5}),
            ("brightness_contrast", {"brightness": 0.1, "contrast": 0.2, "probability": 0.7}),
            ("random_erasing", {"area": [0.01, 0.08], "probability": 0.25}),
        ),
    ),
    "text_in_picture": (
        "mirrored letters and digits are other signs or none, so there are no flips, and turns stay small (6 and 9)",
        (
            (
                "shift_scale_rotate",
                {"shift": 0.05, "scale": [0.9, 1.05], "rotate": 7.0, "cut": 0.02, "border": "replicate"},
            ),
            ("brightness_contrast", {"brightness": 0.15, "contrast": 0.2, "probability": 0.7}),
        ),
    ),
    "natural": (
        "scenes keep gravity, so only left-right mirrors; light, its color and the frame vary widely in the field",
        (
            ("flip", {"horizontal": 0.5}),
            ("shift_scale_rotate", {"shift": 0.0625, "scale": [0.9, 1.15], "rotate": 15.0, "probability": 0.7}),
            ("crop", {"area": [0.7, 1.0], "ratio": [0.85, 1.18], "probability": 0.8}),
            ("brightness_contrast", {"brightness": 0.2, "contrast": 0.2, "tint": 0.08, "probability": 0.8}),
            ("random_erasing", {"area": [0.02, 0.12], "probability": 0.25}),
        ),
    ),
    "medical": (
        """the side of the body and the absolute gray level can be the finding, so nothing is mirrored or
        erased and the light changes little""",
        (
            (
                "shift_scale_rotate",
                {"shift": 0.04, "scale": [0.95, 1.05], "rotate": 7.0, "cut": 0.03, "border": "constant"},
            ),
            ("brightness_contrast", {"brightness": 0.05, "contrast": 0.1, "probability": 0.5}),
        ),
    ),
}
"""Domain of pictures to (reason, operations)."""

BY_KIND: Final[Mapping[str, str]] = {"text": "text", "audio": "sound", "time_series": "series"}
"""Kind of data other than pictures to its preset."""

WORDS: Final[Mapping[str, frozenset[str]]] = {
    "garment": frozenset(
        """shirt tshirt top trouser trousers pants jeans pullover sweater dress coat jacket sandal sneaker shoe
        boot bag skirt shorts sock hat cap hoodie blouse scarf glove garment clothing cardigan suit tie""".split()
    ),
    "medical": frozenset(
        """tumor tumour benign malignant lesion pneumonia melanoma nevus nodule carcinoma adenoma cyst glioma
        meningioma covid polyp retinopathy metastasis""".split()
    ),
    "surface": frozenset(
        """scratch crack dent hole stain fray break blowhole uneven tear pit pitted inclusion patch patches
        scale crazing rust corrosion chip burr bubble spot contamination defect defective damaged broken
        bent cut poke squeeze""".split()
    ),
    "text_in_picture": frozenset(
        """zero one two three four five six seven eight nine digit letter text sign plate character""".split()
    ),
}
"""Words in class names that give a domain away."""
