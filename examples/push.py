#!/usr/bin/env python3
"""Renders pictures and pushes them to a camera whose source is `push:`. Nothing but Python's own library.

    push.py [--url http://127.0.0.1:8720] [--camera canvas] [--frames 50] [--token-file FILE]
"""

import argparse
import http.client
import json
import struct
import time
import urllib.parse
import zlib


def png(width, height, pixel):
    """A PNG of what `pixel(x, y)` says: red, green, blue."""
    rows = b"".join(b"\0" + b"".join(bytes(pixel(x, y)) for x in range(width)) for y in range(height))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def picture(step, width=160, height=120):
    """A disc that moves to the right."""
    cx, cy, radius = (step * 4) % width, height // 2, 25
    inside = lambda x, y: (x - cx) ** 2 + (y - cy) ** 2 < radius**2
    return png(width, height, lambda x, y: (214, 60, 60) if inside(x, y) else (226, 226, 220))


def push(connection, camera, body, lines, token):
    """Sends one picture, again while the camera's queue is full; the number it became."""
    query = urllib.parse.urlencode([("text", line) for line in lines] + [("timestamp", f"{time.time():.6f}")])
    headers = {"Content-Type": "image/png"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    while True:
        connection.request("PUT", f"/cameras/{camera}/frame?{query}", body, headers)
        answer = connection.getresponse()
        said = json.load(answer)
        if answer.status == 202:
            return said["frame_id"]
        if answer.status not in (429, 503):
            raise SystemExit(f"{answer.status} {said['code']}: {said['detail']}")
        time.sleep(float(answer.getheader("Retry-After", "1")))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:8720")
    parser.add_argument("--camera", default="canvas")
    parser.add_argument("--frames", type=int, default=50)
    parser.add_argument("--token-file")
    args = parser.parse_args()
    url = urllib.parse.urlsplit(args.url)
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.netloc, timeout=70)
    token = open(args.token_file, encoding="utf-8").readline().strip() if args.token_file else None
    for step in range(args.frames):
        lines = [f"picture {step + 1} of {args.frames}", "gerendert für die Vorschau 🎨"]
        number = push(connection, args.camera, picture(step), lines, token)
        print(f"{lines[0]}: frame {number}")


if __name__ == "__main__":
    main()
