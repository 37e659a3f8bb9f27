"""RT-DETR of Transformers, whole or behind any network of ours or of timm, with our losses on its classes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
import transformers
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import batched_nms
from transformers.loss.loss_rt_detr import RTDetrLoss

from scarce.errors import TrainError
from scarce.hub import fetching
from scarce.train._detection_network import RARE, joint, maps_of
from scarce.train._named_loss import SCALE
from scarce.train._network import cosine_head

WHO: Final = "train.rt_detr"
KINDS: Final = ("rt_detr", "rt_detr_v2")
STRIDES: Final = (4, 8, 16, 32)
LEVELS: Final = 3
"""Maps that are searched: the coarsest ones of a network."""
WIDTH, HEADS, LAYERS, QUERIES, NOISY = 128, 8, 3, 100, 100
"""Of what is built afresh: width, heads of attention, layers of the decoder, boxes asked for, boxes drawn wrongly."""
GRID: Final = 32
"""Sides of pictures are filled up to a multiple of it."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a network sees, and what it gives out.

    Args:
        side: pixels of the square that pictures are filled up to.
        mean, std: of the pixels on the scale 0 to 1.
        score: boxes below it are not given out.
        overlap: of two boxes of a class that overlap more, the surer one is kept.
        most: boxes a picture.
        cosines: the class heads give cosines with their weights, as ldam needs.
    """

    side: int
    mean: Sequence[float]
    std: Sequence[float]
    score: float
    overlap: float
    most: int
    cosines: bool


class Maps(nn.Module):
    """A network of ours or of timm in the place of RT-DETR's own.

    Args:
        body: the network.
        strides: of the maps that are given, finest first.
    """

    def __init__(self, body: Any, strides: Sequence[int]) -> None:
        super().__init__()
        self.body, maps = body, maps_of(body)
        self.places = [maps[stride][0] for stride in strides]

    def forward(self, pixels: Tensor, mask: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return (B, C, h, w) maps and (B, h, w) masks, finest first."""
        maps = self.body.forward_intermediates(
            pixels.contiguous(memory_format=torch.channels_last), indices=self.places, stop_early=True,
            intermediates_only=True,
        )  # fmt: skip
        return [(one, mask[:, :: mask.shape[1] // one.shape[2], :: mask.shape[2] // one.shape[3]]) for one in maps]


class ClassHead(nn.Module):
    """Whether there is an object, and of which class: K logits of both at once."""

    def __init__(self, width: int, n_classes: int, *, cosines: bool) -> None:
        super().__init__()
        self.objects = nn.Linear(width, 1)
        nn.init.xavier_uniform_(self.objects.weight)
        nn.init.constant_(self.objects.bias, float(torch.logit(torch.tensor(RARE))))
        self.classes: Any = cosine_head(width, n_classes, SCALE) if cosines else nn.Linear(width, n_classes)

    def forward(self, features: Tensor) -> Tensor:
        """Return (..., K) logits."""
        return joint(self.objects(features).float(), self.classes(features).float())


def apart(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return (..., 1) logits of an object and (..., K) log shares of its classes: what :func:`joint` put together."""
    each = functional.logsigmoid(logits)
    there = each.logsumexp(-1, keepdim=True).clamp(max=-1e-6)
    return there - torch.log(-torch.expm1(there)), each - there


class Criterion(RTDetrLoss):  # type: ignore[misc]
    """RT-DETR's loss, of which the varifocal part judges the object and ``judge`` the classes of matched boxes."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.num_classes = 1
        self.judge: Any = None
        self.weight_dict.update(loss_classes=1.0)

    def loss_labels_vfl(
        self,
        outputs: Any,
        targets: Any,
        indices: Any,
        num_boxes: Any,
        log: Any = True,  # noqa: FBT002  as it calls it
    ) -> dict[str, Tensor]:
        """Return both parts."""
        there, classes = apart(outputs["logits"])
        objects = [{**target, "class_labels": torch.zeros_like(target["class_labels"])} for target in targets]
        found: dict[str, Tensor] = super().loss_labels_vfl(
            {**outputs, "logits": there}, objects, indices, num_boxes, log
        )
        labels = torch.cat([target["class_labels"][at] for target, (_, at) in zip(targets, indices, strict=True)])
        matched = classes[self._get_source_permutation_idx(indices)]
        assert self.judge is not None
        found["loss_classes"] = self.judge(matched, labels) if len(labels) else 0 * matched.sum()
        return found


class Network(nn.Module):
    """RT-DETR whose classes learn by a loss of ours.

    Args:
        whole: the module of Transformers, without the heads for its own loss.
        look: what it sees and gives out.
        trained: ``body`` where its network was trained before, ``whole`` where all was, else ``nothing``.
        frozen: the network keeps its weights.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, whole: Any, look: Look, *, trained: str, frozen: bool) -> None:
        super().__init__()
        self.whole, self.look, self.trained, self.frozen = whole, look, trained, frozen
        width, n_classes = whole.config.d_model, whole.config.num_labels
        heads = [ClassHead(width, n_classes, cosines=look.cosines) for _ in range(whole.config.decoder_layers + 1)]
        whole.enc_score_head, whole.decoder.class_embed = heads[0], nn.ModuleList(heads[1:])
        whole.config.num_queries = min(whole.config.num_queries, _cells(whole.config, look.side))
        whole.backbone.requires_grad_(not frozen)
        self.criterion = Criterion(whole.config)
        self.register_buffer("mean", torch.tensor(list(look.mean)).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(list(look.std)).view(3, 1, 1), persistent=False)

    @property
    def body(self) -> Any:
        """The network that gives the maps."""
        return self.whole.backbone

    def train(self, mode: bool = True) -> Network:  # noqa: FBT001, FBT002  as torch has it
        """Set the mode; batch norm that was trained before stays as it is."""
        super().train(mode)
        kept = {"body": [self.whole.backbone], "whole": [self.whole]}.get(self.trained, [])
        for module in kept:
            for part in module.modules():
                if isinstance(part, nn.modules.batchnorm._BatchNorm):
                    part.eval()
        return self

    def losses(self, images: list[Tensor], targets: list[dict[str, Tensor]], loss: nn.Module) -> dict[str, Tensor]:
        """Return the parts of the loss, each summed over the layers; ``loss`` judges the classes."""
        self.criterion.judge = loss.__call__
        truth = [{"class_labels": one["labels"], "boxes": _centers(one["boxes"]) / self.look.side} for one in targets]
        told = self.whole(self._square(images), labels=truth)
        boxes, logits, noisy = told.intermediate_reference_points, told.intermediate_logits, told.denoising_meta_values
        found: dict[str, Any] = {"denoising_meta_values": noisy} if noisy is not None else {}
        if noisy is not None:
            wrong_boxes, boxes = boxes.split(noisy["dn_num_split"], 2)
            wrong_logits, logits = logits.split(noisy["dn_num_split"], 2)
            found["dn_auxiliary_outputs"] = _layers(wrong_logits, wrong_boxes)
        *earlier, last = _layers(logits, boxes)
        first = {"logits": told.enc_topk_logits, "pred_boxes": told.enc_topk_bboxes}
        parts = self.criterion({**last, "auxiliary_outputs": [*earlier, first], **found}, truth)
        out: dict[str, Tensor] = {}
        for name, value in parts.items():
            kind = name.split("_")[1]
            out[kind] = out[kind] + value if kind in out else value
        return out

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        """Return boxes, labels and scores of each picture."""
        told = self.whole(self._square(images))
        scores = told.intermediate_logits[:, -1].sigmoid()
        return [
            self._surest(score, centers, image.shape[1:])
            for score, centers, image in zip(scores, told.intermediate_reference_points[:, -1], images, strict=True)
        ]

    def _surest(self, scores: Tensor, centers: Tensor, shape: Sequence[int]) -> dict[str, Tensor]:
        best, at = scores.flatten().topk(min(4 * self.look.most, scores.numel()))
        rows, labels = at // scores.shape[1], at % scores.shape[1]
        middle, half = centers[rows, :2], centers[rows, 2:] / 2
        boxes = torch.cat([middle - half, middle + half], 1) * self.look.side
        limits = boxes.new_tensor([shape[1], shape[0], shape[1], shape[0]])
        boxes = torch.minimum(boxes.clamp(min=0), limits)
        good = (best >= self.look.score) & (boxes[:, 2:] > boxes[:, :2]).all(1)
        boxes, best, labels = boxes[good], best[good], labels[good]
        kept = batched_nms(boxes, best, labels, self.look.overlap)[: self.look.most]
        return {"boxes": boxes[kept], "labels": labels[kept], "scores": best[kept]}

    def _square(self, images: list[Tensor]) -> Tensor:
        """Return (B, 3, S, S), pictures at the upper left, and around them what is zero behind the normalization."""
        side = self.look.side
        out = images[0].new_zeros((len(images), 3, side, side))
        for place, image in zip(out, images, strict=True):
            place[:, : image.shape[1], : image.shape[2]] = (image - self.mean) / self.std
        return out


def fresh(body: Any, n_classes: int) -> Any:
    """Return an untrained RT-DETR behind a network of ours or of timm.

    Raises:
        TrainError: the network gives no maps that could be used.
    """
    maps = maps_of(body)
    strides = [stride for stride in STRIDES if stride in maps][-LEVELS:]
    if not strides:
        raise TrainError(WHO, f"{type(body).__name__} has no maps of stride 4, 8, 16 or 32",
                         f"its strides are {sorted(maps)}", "take another network")  # fmt: skip
    widths, n = [maps[stride][1] for stride in strides], len(strides)
    stand_in = transformers.RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8] * (4 - n) + widths, depths=[1] * 4, layer_type="basic",
        out_indices=list(range(5 - n, 5)),
    )  # fmt: skip
    config = transformers.RTDetrV2Config(
        backbone_config=stand_in, num_labels=n_classes, encoder_in_channels=widths, feat_strides=strides,
        encode_proj_layers=[n - 1], encoder_hidden_dim=WIDTH, d_model=WIDTH, decoder_in_channels=[WIDTH] * n,
        num_feature_levels=n, decoder_n_levels=n, encoder_ffn_dim=2 * WIDTH, decoder_ffn_dim=2 * WIDTH,
        encoder_attention_heads=HEADS, decoder_attention_heads=HEADS, decoder_layers=LAYERS, num_queries=QUERIES,
        num_denoising=NOISY, freeze_backbone_batch_norms=False,
    )  # fmt: skip
    whole = transformers.RTDetrV2ForObjectDetection(config).model
    for part in whole.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.reset_parameters()  # which come as good as zero
    whole.backbone = Maps(body, strides)
    return whole


def whole_of(checkpoint: str, n_classes: int, *, weights: bool) -> Any:
    """Return an RT-DETR of the hub or of a folder.

    Args:
        checkpoint: name or folder.
        n_classes: K.
        weights: whether to take its weights, too.

    Raises:
        TrainError: there is none, it cannot be fetched, it is broken, or it is no RT-DETR.
    """
    auto = transformers.AutoModelForObjectDetection
    try:
        with fetching(checkpoint):
            config = transformers.AutoConfig.from_pretrained(checkpoint)
            if config.model_type in KINDS:
                config.num_labels = n_classes
                if not weights:
                    return auto.from_config(config).model
                return auto.from_pretrained(checkpoint, config=config, ignore_mismatched_sizes=True).model
    except Exception as error:  # the library raises OSError, ValueError, KeyError, SafetensorError ... for one reason
        offline = "HF_HUB_OFFLINE is set" if os.environ.get("HF_HUB_OFFLINE") == "1" else ""
        raise TrainError(
            WHO, f"the checkpoint {checkpoint!r} cannot be opened ({str(error).strip().splitlines()[0][:160]})",
            offline, "give a name of the hub as PekingU/rtdetr_v2_r18vd, a folder with its config and weights, or a "
            "network of timm",
        ) from error  # fmt: skip
    raise TrainError(WHO, f"{checkpoint} is a {config.model_type}", f"it must be one of {', '.join(KINDS)}",
                     "give another name or folder")  # fmt: skip


def described(whole: Any) -> dict[str, Any]:
    """Return the configuration as plain values, from which :func:`bare` builds it again."""
    found: dict[str, Any] = json.loads(whole.config.to_json_string(use_diff=False))
    return found


def bare(config: Mapping[str, Any]) -> Any:
    """Return the untrained module of a configuration."""
    return transformers.AutoModelForObjectDetection.from_config(transformers.AutoConfig.for_model(**config)).model


def _layers(logits: Tensor, boxes: Tensor) -> list[dict[str, Tensor]]:
    return [{"logits": a, "pred_boxes": b} for a, b in zip(logits.unbind(1), boxes.unbind(1), strict=True)]


def _centers(boxes: Tensor) -> Tensor:
    return torch.cat([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], 1)


def _cells(config: Any, side: int) -> int:
    return sum((side // stride) ** 2 for stride in config.feat_strides)
