"""The pictures: frames and true boxes from the program's own renderer (`examples/render_scene.rs`), letterboxed.

A picture is an RGB uint8 array [height, width, 3]; its truth is a float32 array [objects, 5] of class, x0, y0, x1, y1, the
boxes in pixels of that picture.
"""

import io
import json
import queue
import random
import subprocess
import threading
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
GREY = 114
# Seeds below 1000 are the demo's and the tests', from a million on the evaluation's: training sees neither.
TRAIN_SEEDS = (1_000, 1_000_000)
EVALUATION_SEED = 1_000_000


def build_renderer(profile: str = "release") -> list[str]:
    """Builds the renderer and returns the command that starts it."""
    flags = ["--release"] if profile == "release" else []
    subprocess.run(["cargo", "build", "--quiet", "--example", "render_scene", *flags], cwd=ROOT, check=True)
    return [str(ROOT / "target" / profile / "examples" / "render_scene")]


class Renderer:
    """One renderer process; `frames` asks it for pictures and yields them."""

    def __init__(self, command: list[str]):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=1 << 20)

    def frames(self, width, height, seed, objects, first, step, count, fps=15):
        self.process.stdin.write(f"{width} {height} {fps} {seed} {objects} {first} {step} {count}\n".encode())
        self.process.stdin.flush()
        for _ in range(count):
            head = json.loads(self.process.stdout.readline())
            bgr = np.frombuffer(self.process.stdout.read(3 * width * height), np.uint8).reshape(height, width, 3)
            truth = np.array([t[:5] for t in head["truth"]], np.float32).reshape(-1, 5)
            truth[:, 1:] *= np.array([width, height, width, height], np.float32)
            yield np.ascontiguousarray(bgr[:, :, ::-1]), truth

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def resized(picture: np.ndarray, width: int, height: int, smooth: bool) -> np.ndarray:
    """Bilinear; `smooth` averages over the pixels that fall together when it shrinks."""
    if picture.shape[:2] == (height, width):
        return picture
    tensor = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
    tensor = F.interpolate(tensor, (height, width), mode="bilinear", align_corners=False, antialias=smooth)
    return tensor[0].round().clamp(0, 255).byte().permute(1, 2, 0).numpy()


def letterbox(picture, truth, size, smooth=False):
    """The whole picture in a square of `size`, centred on grey, as Ultralytics does it. Also scale and offset."""
    height, width = picture.shape[:2]
    scale = min(size / width, size / height)
    new_width, new_height = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = round((size - new_width) / 2 - 0.1), round((size - new_height) / 2 - 0.1)
    square = np.full((size, size, 3), GREY, np.uint8)
    square[top : top + new_height, left : left + new_width] = resized(picture, new_width, new_height, smooth)
    truth = truth.copy()
    truth[:, 1:] = truth[:, 1:] * scale + np.array([left, top, left, top], np.float32)
    return square, truth, scale, (left, top)


def random_crop(picture, truth, size, full, rng):
    """A window of `size` from the picture as a square of `full` would show it, give or take a quarter."""
    height, width = picture.shape[:2]
    scale = min(full / width, full / height) * rng.uniform(0.75, 1.3)
    new_width, new_height = max(8, round(width * scale)), max(8, round(height * scale))
    picture = resized(picture, new_width, new_height, rng.random() < 0.5)
    # Where the window begins in the picture; negative where the picture is the smaller one.
    x, y = (rng.randint(min(0, n - size), max(0, n - size)) for n in (new_width, new_height))
    square = np.full((size, size, 3), GREY, np.uint8)
    part = picture[max(y, 0) : y + size, max(x, 0) : x + size]
    square[max(-y, 0) : max(-y, 0) + part.shape[0], max(-x, 0) : max(-x, 0) + part.shape[1]] = part
    truth = truth.copy()
    truth[:, 1:] = truth[:, 1:] * scale - np.array([x, y, x, y], np.float32)
    area = lambda boxes: (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    before = area(truth[:, 1:])
    truth[:, 1:] = truth[:, 1:].clip(0, size)
    return square, truth[area(truth[:, 1:]) >= 0.5 * before]


def turned(picture, truth, rng):
    """One of the eight ways to turn and mirror a square: no shape changes its class by it."""
    size = picture.shape[0]
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
        truth = truth.copy()
        truth[:, [1, 3]] = size - truth[:, [3, 1]]
    if rng.random() < 0.5:
        picture = picture[::-1]
        truth = truth.copy()
        truth[:, [2, 4]] = size - truth[:, [4, 2]]
    if rng.random() < 0.5:
        picture = picture.transpose(1, 0, 2)
        truth = truth[:, [0, 2, 1, 4, 3]]
    return np.ascontiguousarray(picture), truth


def worn(picture, rng):
    """Brightness, contrast, tint, blur, noise and JPEG, each now and then."""
    noise = np.random.default_rng(rng.getrandbits(32))
    if rng.random() < 0.6:
        gain = rng.uniform(0.7, 1.3) * np.array([rng.uniform(0.9, 1.1) for _ in range(3)], np.float32)
        picture = ((picture.astype(np.float32) - 128) * gain + 128 + rng.uniform(-35, 35)).clip(0, 255).astype(np.uint8)
    if rng.random() < 0.2:
        size = picture.shape[0]
        small = int(size * rng.uniform(0.4, 0.8))
        picture = resized(resized(picture, small, small, True), size, size, False)
    if rng.random() < 0.3:
        grain = noise.standard_normal(picture.shape, np.float32) * rng.uniform(1, 9)
        picture = (picture + grain).clip(0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        coded = io.BytesIO()
        Image.fromarray(picture).save(coded, "JPEG", quality=rng.randint(30, 90))
        picture = np.asarray(Image.open(coded))
    return picture


def random_frame_size(rng) -> tuple[int, int]:
    common = [(640, 480), (640, 480), (640, 480), (320, 240), (640, 360), (1280, 720), (160, 120), (320, 320), (1920, 1080)]
    if rng.random() < 0.7:
        return rng.choice(common)
    long = rng.randint(64, 800)
    sides = (long, max(48, int(long * rng.uniform(0.4, 1.0))))
    return sides if rng.random() < 0.7 else sides[::-1]


def training_pictures(command, rng, full):
    """Endless pictures with their truth; each `send` says the next one's (window size, whole picture?)."""
    renderer = Renderer(command)
    size, plain = yield
    try:
        while True:
            width, height = random_frame_size(rng)
            request = (rng.randrange(*TRAIN_SEEDS), rng.randint(2, 9), rng.randrange(5000), rng.randint(20, 90), 6)
            for picture, truth in list(renderer.frames(width, height, *request)):
                if plain:
                    picture, truth, _, _ = letterbox(picture, truth, size, rng.random() < 0.5)
                else:
                    picture, truth = random_crop(picture, truth, size, full, rng)
                picture, truth = turned(picture, truth, rng)
                size, plain = yield worn(picture, rng), truth
    finally:
        renderer.close()


class Batches:
    """Prepares batches on a thread of its own. `plan(step)` says (window size, whole pictures only?)."""

    def __init__(self, command, batch, steps, full, plan, seed):
        self.ready = queue.Queue(maxsize=6)
        self.stopped = threading.Event()
        arguments = (command, batch, steps, full, plan, seed)
        self.thread = threading.Thread(target=self._work, args=arguments, daemon=True)
        self.thread.start()
        self.steps = steps

    def _work(self, command, batch, steps, full, plan, seed):
        try:
            source = training_pictures(command, random.Random(seed), full)
            next(source)
            for step in range(steps):
                if self.stopped.is_set():
                    break
                window = plan(step)  # Once: it may go by the clock, and a batch has one size.
                pairs = [source.send(window) for _ in range(batch)]
                most = max(1, max(len(truth) for _, truth in pairs))
                truths = np.full((batch, most, 5), -1, np.float32)
                for row, (_, truth) in zip(truths, pairs):
                    row[: len(truth)] = truth
                self.ready.put((torch.from_numpy(np.stack([p for p, _ in pairs])), torch.from_numpy(truths)))
            source.close()
        except BaseException as error:  # Handed to whoever waits for the batch.
            self.ready.put(error)

    def close(self):
        """Ends early: lets the thread put what it has in hand and close its renderer."""
        self.stopped.set()
        while self.thread.is_alive():
            try:
                self.ready.get(timeout=0.1)
            except queue.Empty:
                pass

    def __iter__(self):
        for _ in range(self.steps):
            item = self.ready.get()
            if isinstance(item, BaseException):
                raise item
            yield item
