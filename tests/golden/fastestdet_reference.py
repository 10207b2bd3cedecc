"""Reference detections of FastestDet (352), read as its own project's ONNX Runtime example reads them.

  python3 tests/golden/fastestdet_reference.py ../shared/data   (see common.py)

After dog-qiuqiu/FastestDet (BSD-3-Clause), example/onnx-runtime/runtime.py at a2883e2: BGR stretched to 352 x 352 with
cv2.INTER_AREA, divided by 255; of each cell one box: score = objectness * best class, centre = (cell + tanh) / cells, size =
sigmoid; suppression over all classes at IoU 0.35 with a pixel's border. (The project's test.py, for torch, scales with
INTER_LINEAR and suppresses class by class at 0.45.) The example cuts its boxes to whole pixels before suppression; here the
suppression sees them so, and the boxes given back are not cut.
"""
import cv2
import numpy as np

from common import KEPT, main, suppress

SIDE, IOU = 352, 0.35


def detect(run, image):
    height, width = image.shape[:2]
    planes = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA).transpose(2, 0, 1)[None] / 255
    out = run(planes)[0][0]
    rows, columns = out.shape[1:]
    y, x = np.mgrid[:rows, :columns]
    label, scores = out[5:].argmax(0).ravel(), (out[0] * out[5:].max(0)).ravel()
    centre = np.stack(((x + np.tanh(out[1])) / columns, (y + np.tanh(out[2])) / rows), -1).reshape(-1, 2)
    half = (1 / (1 + np.exp(-out[3:5]))).reshape(2, -1).T / 2
    boxes = np.concatenate((centre - half, centre + half), 1)
    kept = np.flatnonzero(scores > KEPT)
    pixels = np.trunc(boxes[kept] * [width, height, width, height])
    return [(label[i], scores[i], boxes[i]) for i in kept[suppress(pixels, scores[kept], IOU, border=1)]]


main("FastestDet_352", detect,
     {"project": "dog-qiuqiu/FastestDet", "licence": "BSD-3-Clause", "commit": "a2883e2bb718c3f978da9659a6827b39f3351103",
      "files": ["example/onnx-runtime/runtime.py"]},
     {"iou": IOU, "class_agnostic_nms": True})
