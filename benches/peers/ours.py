"""Runs Sightwire as a user would, and reads what it costs."""
import json
import os
import signal
import subprocess
import threading
import time

import paho.mqtt.client as mqtt

HZ = os.sysconf("SC_CLK_TCK")


def status_mb(pid, key):
    with open(f"/proc/{pid}/status") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(key))


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / HZ


class Ours:
    def __init__(self, binary, home, broker):
        self.binary, self.home, self.broker = binary, home, broker

    def config(self, model, cameras):
        """One model with one worker and one thread, as the defaults are; cameras by name with their settings."""
        settings = {
            "node": "peers",
            "buses": {"mqtt": {"url": f"mqtt://{self.broker}", "probe_interval": "0s"}},
            "models": {"m": {"path": model, "confidence": 0.35, "iou": 0.45}},
            "cameras": {name: {"model": "m", **camera} for name, camera in cameras.items()},
            "state_dir": os.path.join(self.home, "state"),
        }
        path = os.path.join(self.home, "peers.yaml")
        with open(path, "w") as out:
            json.dump(settings, out)  # JSON is YAML
        return path

    def start(self, model, cameras, *arguments):
        with open(os.path.join(self.home, "ours.log"), "a") as log:
            command = [self.binary, "run", "-c", self.config(model, cameras), *arguments]
            return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)

    def until_done(self, model, cameras):
        """Its own summary, beside its peak of memory and its processor time, both read while it runs."""
        process = self.start(model, cameras, "--until-done", "--summary", "json")
        seen = {"rss_peak_mb": 0.0, "cpu_s": 0.0}
        while process.poll() is None:
            try:
                seen = {"rss_peak_mb": status_mb(process.pid, "VmHWM"), "cpu_s": cpu_seconds(process.pid)}
            except (OSError, StopIteration):
                break
            time.sleep(0.2)
        out, _ = process.communicate(timeout=600)
        if process.returncode != 0:
            raise RuntimeError(f"sightwire ended with {process.returncode}; {self.home}/ours.log says why")
        return json.loads(out) | seen

    def as_fast_as_it_goes(self, model, clip, count=1):
        camera = {"source": clip, "pace": "asap", "max_fps": 0, "queue": {"depth": 2, "when_full": "block"}}
        done = self.until_done(model, {f"c{n}": camera for n in range(count)})
        rates = [camera["fps"] for camera in done["cameras"]]
        frames = [camera["frames_inferred"] for camera in done["cameras"]]
        return {"fps": sum(rates), "rates": rates, "frames": sum(frames), "rss_peak_mb": done["rss_peak_mb"]}

    def paced(self, model, clip):
        """At the clip's own pace: how old each message is when a subscriber has it, and that less its inference."""
        ages, model_less = [], []

        def heard(_client, _data, message):
            now = time.time()
            said = json.loads(message.payload)
            age = (now - said["timestamp"]) * 1e3
            ages.append(age)
            model_less.append(age - said["timing"]["inference"])

        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        client.on_message = heard
        ready = threading.Event()
        client.on_subscribe = lambda *_: ready.set()
        host, port = self.broker.split(":")
        client.connect(host, int(port))
        client.loop_start()
        client.subscribe("sightwire/cameras/c0/detections")
        ready.wait(10)
        self.until_done(model, {"c0": {"source": clip, "max_fps": 0}})
        client.disconnect()
        client.loop_stop()
        # The first frames meet cold caches, as those of the peers' scripts do before they count.
        return sorted(ages[10:]), sorted(model_less[10:])

    def resident(self, model, clip, count, seconds=12):
        """MB after a while of `count` cameras at five frames a second."""
        camera = {"source": clip, "max_fps": 5, "loop": True}
        process = self.start(model, {f"c{n}": camera for n in range(count)})
        time.sleep(seconds)
        peak = status_mb(process.pid, "VmHWM")
        self.end(process)
        return peak

    def idle(self, model, clip, seconds=20):
        """Share of a core that a node with one stopped camera takes, percent."""
        process = self.start(model, {"c0": {"source": clip, "enabled": False}})
        time.sleep(5)
        before = cpu_seconds(process.pid)
        time.sleep(seconds)
        share = (cpu_seconds(process.pid) - before) / seconds * 100
        self.end(process)
        return share

    def stages(self, model, clip, frames):
        command = [self.binary, "bench", "--json", "-m", model, "-s", clip, "-n", str(frames)]
        with open(os.path.join(self.home, "ours.log"), "a") as log:
            return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=log, text=True).stdout)

    @staticmethod
    def end(process):
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
