"""Reference detections of NanoDet-m (v0, 416), read as NanoDet's own Python demo reads them.

  python3 tests/golden/nanodet_reference.py ../shared/data      (see common.py)

After RangiLyu/nanodet (Apache-2.0), demo/demo_multi_backend_python.py at 46ad883 (class NanoDetONNX), with the settings of
config/legacy_v0.x_configs/nanodet-m-416.yml at efddda7 (keep_ratio: True, reg_max 7, strides 8, 16, 32): the picture centred
on black by cv2.warpPerspective (which lays pixel corners, not centres, on one another), BGR minus mean by deviation; a
distribution of 8 bins a side, its expectation times the stride, around the cell's centre; each class by itself, suppression
within the class at IoU 0.3, the best 200 of it. The demo cuts its boxes to whole pixels to draw them; here they are not cut.
"""
import cv2
import numpy as np

from common import KEPT, main, softmax, suppress

SIDE, IOU, BINS = 416, 0.3, 8
MEAN, STD = np.array([103.53, 116.28, 123.675], np.float32), np.array([57.375, 57.12, 58.395], np.float32)


def detect(run, image):
    height, width = image.shape[:2]
    ratio = min(SIDE / height, SIDE / width)
    shift = np.array([SIDE - width * ratio, SIDE - height * ratio]) / 2
    warp = np.array([[ratio, 0, shift[0]], [0, ratio, shift[1]], [0, 0, 1]])
    planes = (cv2.warpPerspective(image, warp, dsize=(SIDE, SIDE)).astype(np.float32) / 255 - MEAN / 255) / (STD / 255)
    out = run(planes.transpose(2, 0, 1)[None])
    boxes, scores = [], []
    for stride, score, bins in zip((8, 16, 32), out[:3], out[3:]):
        x, y = np.meshgrid(np.arange(SIDE // stride) + 0.5, np.arange(SIDE // stride) + 0.5)
        centre = np.stack((x, y), 2).reshape(-1, 2) * stride
        far = (softmax(bins[0].reshape(-1, 4, BINS)) * np.arange(BINS)).sum(-1) * stride
        best = np.argsort(score[0].max(1))[::-1][:1000]
        boxes.append(np.concatenate((centre - far[:, :2], centre + far[:, 2:]), 1)[best])
        scores.append(score[0][best])
    boxes, scores = np.concatenate(boxes), np.concatenate(scores)
    found = []
    for label in range(scores.shape[1]):
        kept = np.flatnonzero(scores[:, label] > KEPT)
        for i in kept[suppress(boxes[kept], scores[kept, label], IOU, best=200)]:
            box = (boxes[i].reshape(2, 2) - shift) / ratio / [width, height]
            found.append((label, scores[i, label], box.reshape(4)))
    return found


main("nanodet_m_416", detect,
     {"project": "RangiLyu/nanodet", "licence": "Apache-2.0", "commit": "46ad8836902fc00da1c1f9b1d0bbe6b8a319512e",
      "files": ["demo/demo_multi_backend_python.py", "config/legacy_v0.x_configs/nanodet-m-416.yml"]},
     {"iou": IOU, "class_agnostic_nms": False})
