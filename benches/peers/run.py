"""Ours and the peers' scripts in turns; the lines go to .peers/run.jsonl, the tables to docs/performance.md. See .ci/peers.

Lines of other measurements, `{"row": "cameras", "who": "ours", "final": true, "values": [0.99, 0.98]}` with a row of table.py,
may lie in .peers/extra/*.jsonl: they take the place of what is measured here.
"""
import argparse
import datetime
import glob
import json
import os
import socket
import subprocess
import time

import ours as ours_module
import table
import theirs as theirs_module

MQTT, NATS = "127.0.0.1:18831", "127.0.0.1:14222"


def pct(values, share):
    return values[min(len(values) - 1, int(len(values) * share))]


class Run:
    def __init__(self, options):
        self.quick = os.environ.get("PEERS_QUICK") == "1"
        self.reps = 1 if self.quick else 3
        self.frames = 120 if self.quick else 300
        self.options, self.home, self.peers = options, options.home, options.peers.split()
        self.shared = os.path.abspath(options.shared)
        self.ours = ours_module.Ours(os.path.abspath(options.binary), self.home, MQTT)
        self.theirs = theirs_module.Theirs(self.shared, self.home, MQTT, NATS, self.peers)
        self.lines = []

    def note(self, **line):
        line = {key: round(value, 4) if isinstance(value, float) else value for key, value in line.items()}
        self.lines.append(line)
        with open(os.path.join(self.home, "run.jsonl"), "a") as out:
            out.write(json.dumps(line) + "\n")

    def figure(self, row, who, value):
        self.note(row=row, who=who, value=value)
        print(f"  {row:16} {who:5} {value:10.3f}", flush=True)

    def data(self, *parts):
        return os.path.join(self.shared, "data", *parts)

    def clip(self, name, size):
        """The street clip in another size, twenty seconds of it, made once."""
        path = os.path.join(self.home, f"{name}.mp4")
        if not os.path.exists(path):
            source = self.data("videos", "person-bicycle-car-detection.mp4")
            command = ["ffmpeg", "-loglevel", "error", "-y", "-i", source, "-t", "20", "-vf", f"scale={size}", "-c:v", "libx264",
                       "-preset", "fast", "-pix_fmt", "yuv420p", path]
            subprocess.run(command, check=True)
        return path

    def picture(self, clip):
        path = os.path.join(self.home, os.path.basename(clip) + ".png")
        if not os.path.exists(path):
            subprocess.run(["ffmpeg", "-loglevel", "error", "-y", "-i", clip, "-frames:v", "1", path], check=True)
        return path

    def scripts(self):
        return [peer for peer in ("p1", "p2", "p3") if peer in self.peers]

    def share(self, row, model, clip):
        """Each beside the bare model of its own minute: before and after."""
        before = self.theirs.bare(self.picture(clip), model)
        mine = self.ours.as_fast_as_it_goes(model, clip)
        bare = (before + self.theirs.bare(self.picture(clip), model)) / 2
        self.figure(row, "ours", mine["fps"] / bare)
        for peer in self.scripts():
            line = self.theirs.end_to_end(peer, model, clip, self.frames)
            if line:
                self.figure(row, peer, line["e2e_over_raw"])
                self.note(**line)
                if row == "share yolox":
                    self.figure("memory", peer, line["rss_peak_mb"] + line.get("rss_kids_mb", 0))

    def processor(self, row, model, clip):
        stages = self.ours.stages(model, clip, self.frames)
        self.figure(row, "ours", stages["cpu"]["rest"])
        self.note(row="stages", clip=os.path.basename(clip), model=os.path.basename(model), stages=stages["stages"],
                  bare=stages["bare"])
        if "p1" in self.peers:
            line = self.theirs.end_to_end("p1", model, clip, self.frames, stages=True)
            if line:
                cost = line["stage_cpu_ms"]
                self.figure(row, "p1", sum(cost.values()) - cost["decode"] - cost["inference"])
        for peer in ("p2", "p3"):
            line = self.theirs.end_to_end(peer, model, clip, self.frames) if peer in self.peers else None
            if line:
                # Of these only the whole is known: less the bare model and the decoding that ours measured.
                self.figure(row, peer, line["cpu_ms_frame"] - line["raw_ms"] - stages["cpu"]["decode"])

    def latency(self, model, clip):
        bare_ms = 1e3 / self.theirs.bare(self.picture(clip), model)
        ages, less = self.ours.paced(model, clip)
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            self.figure(f"latency {name}", "ours", pct(ages, share) - bare_ms)
            self.figure(f"own latency {name}", "ours", pct(less, share))
        for peer in self.scripts():
            line = self.theirs.end_to_end(peer, model, clip, min(self.frames, 150), pace=15)
            if line:
                for name in ("p50", "p99"):
                    self.figure(f"latency {name}", peer, line["lat_ms"][name] - line["raw_ms"])

    def memory(self, model):
        seconds = 8 if self.quick else 15
        one = self.ours.resident(model, self.data("videos", "person-bicycle-car-detection.mp4"), 1, seconds)
        self.figure("memory", "ours", one)
        full_hd = self.clip("1080p", "1920:1080")
        first, more = (self.ours.resident(model, full_hd, count, seconds + 2 * count) for count in (1, 5))
        self.figure("memory more", "ours", (more - first) / 4)
        least = [self.decoding_alone(full_hd, count) for count in (1, 5)]
        self.note(row="floor memory", one=least[0], more=(least[1] - least[0]) / 4)

    @staticmethod
    def decoding_alone(clip, count):
        """Peak MB of FFmpeg's own program that decodes so many at once, a thread each, and does nothing with them."""
        command = ["ffmpeg", "-loglevel", "error"]
        for _ in range(count):
            command += ["-threads", "1", "-i", clip]
        for n in range(count):
            command += ["-map", f"{n}:v"]
        process = subprocess.Popen([*command, "-t", "5", "-f", "null", "-"])
        _, status, usage = os.wait4(process.pid, 0)
        if status != 0:
            raise SystemExit("ffmpeg could not decode the clip")
        return usage.ru_maxrss / 1024

    def lateness(self):
        """How late a program wakes that sleeps until the next picture is due: in everybody's latency."""
        late = []
        due = time.monotonic()
        for _ in range(100):
            due += 1 / 15
            time.sleep(max(0.0, due - time.monotonic()))
            late.append((time.monotonic() - due) * 1e3)
        late.sort()
        self.note(row="floor latency", p50=pct(late, 0.5), p99=pct(late, 0.99))

    def cameras(self, model, clip):
        one = self.ours.as_fast_as_it_goes(model, clip)["fps"]
        eight = self.ours.as_fast_as_it_goes(model, clip, 8)
        rates = eight["rates"]
        self.figure("cameras", "ours", eight["fps"] / one)
        self.figure("cameras spread", "ours", (max(rates) - min(rates)) / (sum(rates) / len(rates)) * 100)

    def publishers(self):
        environment = os.environ | {"ROUNDS": "3" if self.quick else "5", "SECONDS": "1"}
        command = ["cargo", "bench", "--locked", "-q", "--bench", "throughput"]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        rounds = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        for line in rounds:
            if line["row"] == "round":
                self.figure(line["case"], "ours", line["ours"] / line["bare"])
            else:
                self.note(**line)
        if "p4" in self.peers:
            for line in self.theirs.publishers(1 if self.quick else 2):
                self.note(**line)

    def all(self):
        yolox, rfb = self.data("models", "yolox_nano_416.onnx"), self.data("models", "version-RFB-320.onnx")
        street, faces = self.data("videos", "person-bicycle-car-detection.mp4"), self.data("videos", "faces-pan-640x480.mp4")
        small, full_hd = self.clip("480x360", "480:360"), self.clip("1080p", "1920:1080")
        for rep in range(self.reps):
            print(f"round {rep + 1} of {self.reps}", flush=True)
            self.share("share yolox", yolox, street)
            self.share("share rfb", rfb, faces)
            self.processor("cpu 480x360", yolox, small)
            self.processor("cpu 1080p", yolox, full_hd)
            self.lateness()
            self.latency(yolox, faces)
            self.memory(yolox)
            self.cameras(yolox, small)
            self.figure("idle", "ours", self.ours.idle(yolox, street, 10 if self.quick else 20))
        self.publishers()
        for path in sorted(glob.glob(os.path.join(self.home, "extra", "*.jsonl"))):
            with open(path) as extra:
                self.lines += [json.loads(line) for line in extra if line.strip()]


def brokers(home):
    """mosquitto and nats-server with JetStream's file store, on the ports that the peers' scripts know."""
    config = os.path.join(home, "mosquitto.conf")
    with open(config, "w") as out:
        out.write(f"listener {MQTT.split(':')[1]} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_dest none\n"
                  "max_queued_messages 0\nmax_inflight_messages 0\n")
    commands = [["mosquitto", "-c", config],
                ["nats-server", "-a", "127.0.0.1", "-p", NATS.split(":")[1], "-js", "-sd", os.path.join(home, "js")]]
    started = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for command in commands]
    for address in (MQTT, NATS):
        host, port = address.split(":")
        deadline = time.time() + 30
        while True:
            try:
                socket.create_connection((host, int(port)), 1).close()
                break
            except OSError:
                if time.time() > deadline:
                    raise SystemExit(f"no broker listens on {address}: is mosquitto or nats-server missing? `make setup`")
                time.sleep(0.1)
    return started


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", required=True)
    parser.add_argument("--shared", required=True)
    parser.add_argument("--peers", default="p1 p4")
    parser.add_argument("--binary", default=os.path.join(os.environ.get("CARGO_TARGET_DIR", "target"), "release", "sightwire"))
    parser.add_argument("--document", default="docs/performance.md")
    options = parser.parse_args()
    os.environ.setdefault("ORT_DYLIB_PATH", os.path.abspath(".onnxruntime/libonnxruntime.so"))
    open(os.path.join(options.home, "run.jsonl"), "w").close()
    began, servers = time.time(), brokers(options.home)
    run = Run(options)
    try:
        run.all()
    finally:
        for server in servers:
            server.terminate()
            server.wait()
    chosen = " ".join(name for name in (f'SIGHTWIRE_PEERS="{" ".join(run.peers)}"', "PEERS_QUICK=1" if run.quick else "") if name)
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    table.write(options.document, table.section(run.lines, run.peers, f"{chosen} make peers", today))
    print(f"{options.document} is written, after {(time.time() - began) / 60:.0f} minutes", flush=True)


if __name__ == "__main__":
    main()
