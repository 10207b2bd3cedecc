"""Reference detections of YOLOX-nano, read as Megvii's own demo reads them.

  python3 tests/golden/yolox_reference.py ../shared/data        (see common.py)

After Megvii-BaseDetection/YOLOX (Apache-2.0), as of 0.3.0: demo/ONNXRuntime/onnx_inference.py, `preproc` of
yolox/data/data_augment.py, yolox/utils/demo_utils.py. BGR 0..255, top left on grey 114, sides cut to whole pixels (`int`),
cv2.INTER_LINEAR; raw grid of strides 8, 16, 32; one class a box (the best), suppression over all classes at IoU 0.45 with a
pixel's border, score above 0.1.
"""
import cv2
import numpy as np

from common import main, suppress

SIDE, SCORE, IOU = 416, 0.1, 0.45


def grid():
    cells = []
    for stride in (8, 16, 32):
        x, y = np.meshgrid(np.arange(SIDE // stride), np.arange(SIDE // stride))
        cells.append(np.stack((x, y, np.full_like(x, stride)), 2).reshape(-1, 3))
    return np.concatenate(cells)


def detect(run, image):
    height, width = image.shape[:2]
    ratio = min(SIDE / height, SIDE / width)
    new_w, new_h = int(width * ratio), int(height * ratio)
    padded = np.full((SIDE, SIDE, 3), 114, np.uint8)
    padded[:new_h, :new_w] = cv2.resize(image, (new_w, new_h), interpolation=cv2.INTER_LINEAR)
    out = run(padded.transpose(2, 0, 1)[None])[0][0]
    cells = grid()
    centre = (out[:, :2] + cells[:, :2]) * cells[:, 2:]
    half = np.exp(out[:, 2:4]) * cells[:, 2:] / 2
    boxes, scores = np.concatenate((centre - half, centre + half), 1) / ratio, out[:, 4:5] * out[:, 5:]
    label, best = scores.argmax(1), scores.max(1)
    kept = np.flatnonzero(best > SCORE)
    keep = kept[suppress(boxes[kept], best[kept], IOU, border=1)]
    return [(label[i], best[i], boxes[i] / [width, height, width, height]) for i in keep]


main("yolox_nano_416", detect,
     {"project": "Megvii-BaseDetection/YOLOX", "licence": "Apache-2.0", "version": "0.3.0",
      "files": ["demo/ONNXRuntime/onnx_inference.py", "yolox/data/data_augment.py (preproc)", "yolox/utils/demo_utils.py"]},
     {"iou": IOU, "class_agnostic_nms": True})
