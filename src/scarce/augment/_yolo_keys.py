"""Keys of Ultralytics' training files that say nothing about pictures, and augmentation of theirs that is not done."""

from __future__ import annotations

from typing import Final

NOT_DONE: Final = frozenset(("bgr", "auto_augment", "crop_fraction", "copy_paste_mode", "paste_in", "augmentations"))
"""Augmentation that has no operation of ours; passed over, and said."""
TRAINING: Final = frozenset(
    """
    agnostic_nms amp anchor_t anchors angle augment batch box cache cfg classes close_mosaic cls cls_pw compile conf
    cos_lr data deterministic device dfl dnn dropout dynamic embed end2end epochs exist_ok fl_gamma format fraction
    freeze half imgsz int8 iou iou_t keras kobj label_smoothing line_width loss_ota lr0 lrf mask_ratio max_det mode
    model momentum multi_scale name nbs nms obj obj_pw opset optimize optimizer overlap_mask patience plots pose
    pretrained profile project rect resume retina_masks rle save save_conf save_crop save_dir save_frames save_hybrid
    save_json save_period save_txt seed show show_boxes show_conf show_labels simplify single_cls source split
    stream_buffer task time tracker val verbose vid_stride visualize warmup_bias_lr warmup_epochs warmup_momentum
    weight_decay workers workspace
    """.split()
)
"""Keys of training, validation, prediction and export."""
