"""Trains models/shapes.onnx from nothing on pictures of the synthetic scene; see models/README.md.

    python models/train.py                 # about 20 minutes on two cores
    python models/evaluate.py              # the figures
"""

import argparse
import copy
import math
import time
from pathlib import Path

import torch

import export
import net
import pictures

HERE = Path(__file__).resolve().parent


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, default=HERE / "shapes.onnx")
    options.add_argument("--steps", type=int, default=3000)
    options.add_argument("--batch", type=int, default=32)
    options.add_argument("--rate", type=float, default=3e-3, help="highest learning rate")
    options.add_argument("--minutes", type=float, default=25, help="the schedule is cut short to fit")
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--profile", choices=["release", "debug"], default="release", help="of the renderer's build")
    options = options.parse_args()

    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    detector = train(options, pictures.build_renderer(options.profile))
    export.save(detector, options.out)
    print(f"wrote {options.out} ({options.out.stat().st_size} bytes)")


def train(options, command) -> net.Detector:
    steps, began = options.steps, time.time()

    def done(step):
        """0…1: by steps or by the clock, whichever is nearer to its end, so that the rate always comes down."""
        return max(step / steps, (time.time() - began) / (60 * options.minutes))

    def plan(step):
        """Windows of growing size first, which is fast; whole pictures, as they will be met, in the last third."""
        part = done(step)
        return (192 if part < 0.3 else 256, False) if part < 0.65 else (net.SIZE, True)

    batches = pictures.Batches(command, options.batch, steps, net.SIZE, plan, options.seed)
    detector = net.Detector().to(memory_format=torch.channels_last)
    average = copy.deepcopy(detector).eval()
    decayed = [p for p in detector.parameters() if p.ndim > 1]
    rest = [p for p in detector.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 1e-3}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=options.rate)
    grids = {size: net.anchors(size) for size in (192, 256, net.SIZE)}
    sums = [0.0, 0.0]

    for step, (images, truth) in enumerate(batches):
        progress = done(step)
        if progress >= 1:
            print(f"the time is up after {step} of {steps} steps")
            break
        rate = options.rate * min(1, (step + 1) / 100) * (0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2)
        for group in optimizer.param_groups:
            group["lr"] = rate
        detector.train()
        images = images.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last).float() / 255
        with torch.autocast("cpu", torch.bfloat16):
            logits, sides = detector(images)
        total, score_loss, box_loss = net.loss(logits, sides, truth, *grids[images.shape[-1]])
        optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(detector.parameters(), 10)
        optimizer.step()
        blend(average, detector, min(0.998, (1 + step) / (10 + step)))
        sums = [sums[0] + score_loss, sums[1] + box_loss]
        if step % 100 == 99:
            print(f"{step + 1:5} {time.time() - began:5.0f} s  score {sums[0] / 100:.3f}  box {sums[1] / 100:.3f}", flush=True)
            sums = [0.0, 0.0]
    batches.close()
    return average


@torch.no_grad()
def blend(average, detector, keep):
    """The exponential average of the weights is what is exported: it is calmer than any one step's."""
    for old, new in zip(average.state_dict().values(), detector.state_dict().values()):
        if old.is_floating_point():
            old.mul_(keep).add_(new, alpha=1 - keep)
        else:
            old.copy_(new)


if __name__ == "__main__":
    main()
