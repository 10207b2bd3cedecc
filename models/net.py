"""The detector: a small anchor-free network at strides 8, 16 and 32, its assignment and its loss.

Shapes: B pictures, A anchors (one a grid cell of every stride), C classes, M boxes a picture (padded). Boxes are x0, y0, x1, y1
in input pixels.
"""

import torch
import torch.nn.functional as F
from torch import nn

LABELS = ["circle", "square", "triangle", "star", "cross"]
STRIDES = (8, 16, 32)
SIZE = 320


def conv(into: int, out: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(into, out, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(out), nn.ReLU()
    )


class Block(nn.Module):
    """A depthwise and a pointwise convolution, added to what came in."""

    def __init__(self, channels: int, kernel: int = 3):
        super().__init__()
        self.path = nn.Sequential(conv(channels, channels, kernel, groups=channels), conv(channels, channels, 1))

    def forward(self, x):
        return x + self.path(x)


class Detector(nn.Module):
    def __init__(self, classes: int = len(LABELS), width: int = 64):
        super().__init__()
        self.stem = nn.Sequential(conv(3, 16, 3, 2), conv(16, 32, 3, 2), Block(32))
        self.down8 = nn.Sequential(conv(32, 64, 3, 2), Block(64), Block(64))
        self.down16 = nn.Sequential(conv(64, 96, 3, 2), Block(96, 5), Block(96, 5))
        self.down32 = nn.Sequential(conv(96, 128, 3, 2), Block(128, 5), Block(128, 5))
        self.lateral = nn.ModuleList(conv(c, width, 1) for c in (64, 96, 128))
        self.smooth = nn.ModuleList(Block(width) for _ in STRIDES)
        self.box = nn.ModuleList(nn.Sequential(Block(width), nn.Conv2d(width, 4, 1)) for _ in STRIDES)
        self.score = nn.ModuleList(nn.Sequential(Block(width), nn.Conv2d(width, classes, 1)) for _ in STRIDES)
        for box, score in zip(self.box, self.score):
            nn.init.constant_(box[-1].bias, 1.0)
            nn.init.constant_(score[-1].bias, -4.6)  # Begins with scores of 0.01: nearly all anchors are background.

    def forward(self, images):
        """Logits [B, C, A] and the distances to the four sides [B, 4, A] in strides, before softplus."""
        c8 = self.down8(self.stem(images))
        c16 = self.down16(c8)
        c32 = self.down32(c16)
        p32 = self.smooth[2](self.lateral[2](c32))
        p16 = self.smooth[1](self.lateral[1](c16) + F.interpolate(p32, scale_factor=2.0, mode="nearest"))
        p8 = self.smooth[0](self.lateral[0](c8) + F.interpolate(p16, scale_factor=2.0, mode="nearest"))
        levels = (p8, p16, p32)
        logits = torch.cat([head(p).flatten(2) for head, p in zip(self.score, levels)], 2)
        sides = torch.cat([head(p).flatten(2) for head, p in zip(self.box, levels)], 2)
        return logits, sides


def anchors(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Centres [A, 2] in input pixels and strides [A] for a square input."""
    centres, strides = [], []
    for stride in STRIDES:
        line = (torch.arange(size // stride) + 0.5) * stride
        y, x = torch.meshgrid(line, line, indexing="ij")
        centres.append(torch.stack([x, y], -1).reshape(-1, 2))
        strides.append(torch.full((centres[-1].shape[0],), float(stride)))
    return torch.cat(centres), torch.cat(strides)


class Exported(nn.Module):
    """What goes into the ONNX file: output [B, 4 + C, A], boxes as cx, cy, w, h in input pixels, scores 0…1."""

    def __init__(self, detector: Detector, size: int = SIZE):
        super().__init__()
        self.detector = detector
        centres, strides = anchors(size)
        self.register_buffer("centres", centres.T[None].clone())
        self.register_buffer("strides", strides[None, None].clone())

    def forward(self, images):
        logits, sides = self.detector(images)
        reach = F.softplus(sides) * self.strides
        left_top, right_bottom = reach[:, :2], reach[:, 2:]
        middle = self.centres + (right_bottom - left_top) * 0.5
        return torch.cat([middle, left_top + right_bottom, logits.sigmoid()], 1)


def boxes_of(sides, centres, strides):
    """[B, 4, A] -> [B, A, 4]"""
    reach = F.softplus(sides.transpose(1, 2)) * strides[None, :, None]
    return torch.cat([centres - reach[..., :2], centres + reach[..., 2:]], -1)


def iou(a, b, complete: bool = False):
    """Intersection over union of boxes that broadcast; `complete` adds CIoU's terms (arXiv 1911.08287)."""
    size = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0)
    common = size[..., 0] * size[..., 1]
    (wa, ha), (wb, hb) = ((x[..., 2:] - x[..., :2]).clamp(min=1e-4).unbind(-1) for x in (a, b))
    result = common / (wa * ha + wb * hb - common + 1e-9)
    if not complete:
        return result
    hull = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])
    apart = ((a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) ** 2).sum(-1) / 4
    v = (4 / torch.pi**2) * (torch.atan(wb / hb) - torch.atan(wa / ha)) ** 2
    with torch.no_grad():
        alpha = v / (v - result + 1 + 1e-7)
    return result - apart / ((hull**2).sum(-1) + 1e-9) - v * alpha


@torch.no_grad()
def assign(scores, boxes, centres, strides, truth, best: int = 10):
    """Task-aligned assignment (TOOD, arXiv 2108.07755; alpha 0.5, beta 6).

    Returns the box [B, A, 4] and the soft class target [B, A, C] of every anchor; all zero where it is background.
    """
    batch, count, classes = scores.shape
    there = truth[..., 0] >= 0  # [B, M]
    label = truth[..., 0].clamp(min=0).long()
    wanted = truth[..., 1:]
    # An anchor qualifies inside the box; boxes smaller than the finest stride count as that large, or none might.
    middle, half = (wanted[..., :2] + wanted[..., 2:]) / 2, (wanted[..., 2:] - wanted[..., :2]) / 2
    inside = ((centres - middle[:, :, None]).abs() <= half.clamp(min=0.75 * STRIDES[0])[:, :, None]).all(-1)
    inside &= there[..., None]  # [B, M, A]
    overlap = iou(wanted[:, :, None], boxes[:, None]) * inside
    of_class = scores.gather(2, label[:, None].expand(-1, count, -1)).transpose(1, 2)
    aligned = of_class.sqrt() * overlap**6 * inside
    # Early on everything overlaps badly: a whisper of nearness decides then.
    near = (-(centres - middle[:, :, None]).abs().sum(-1) / strides).exp() * 1e-9
    top = (aligned + near * inside).topk(best, -1).indices
    chosen = torch.zeros_like(inside).scatter_(2, top, True) & inside
    # An anchor that several boxes want goes to the one it overlaps most.
    several = chosen.sum(1, keepdim=True) > 1
    most = F.one_hot((overlap + near).masked_fill(~chosen, -1).argmax(1), truth.shape[1]).transpose(1, 2).bool()
    chosen = torch.where(several, most & chosen, chosen)
    owner = chosen.float().argmax(1)  # [B, A]
    foreground = chosen.any(1)
    target = wanted.gather(1, owner[..., None].expand(-1, -1, 4)) * foreground[..., None]
    aligned = aligned * chosen
    peak = (overlap * chosen).amax(-1, keepdim=True)
    strength = (aligned / (aligned.amax(-1, keepdim=True) + 1e-12) * peak).amax(1)
    classes_of = F.one_hot(label.gather(1, owner), classes) * foreground[..., None]
    return target, classes_of * strength[..., None], foreground


def loss(logits, sides, truth, centres, strides):
    """Binary cross-entropy with the soft targets, and CIoU weighted by them; both over the targets' sum."""
    logits = logits.transpose(1, 2).float()
    boxes = boxes_of(sides.float(), centres, strides)
    target, soft, foreground = assign(logits.detach().sigmoid(), boxes.detach(), centres, strides, truth)
    total = soft.sum().clamp(min=1)
    score_loss = F.binary_cross_entropy_with_logits(logits, soft, reduction="sum") / total
    weight = soft.sum(-1)[foreground]
    box_loss = ((1 - iou(boxes[foreground], target[foreground], complete=True)) * weight).sum() / total
    return score_loss + 5 * box_loss, score_loss.item(), box_loss.item()
