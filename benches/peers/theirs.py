"""Runs the peers' scripts where they lie; each prints JSON lines."""
import json
import os
import subprocess


class Theirs:
    def __init__(self, shared, home, broker, nats, peers):
        self.scripts = os.path.join(shared, "peers")
        self.home, self.broker, self.nats, self.peers = home, broker, nats, peers
        self.log = open(os.path.join(home, "peers.log"), "a")

    def run(self, venv, script, *arguments, extra=None):
        environment = os.environ | {"PEER_RUN": os.path.join(self.home, "run"), "PYTHONDONTWRITEBYTECODE": "1"} | (extra or {})
        command = [os.path.join(self.home, venv, "bin", "python"), os.path.join(self.scripts, script), *map(str, arguments)]
        try:
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=self.log, text=True, timeout=300)
        except subprocess.TimeoutExpired:
            print(f"  {script}: not done after five minutes; ended, and left out here", flush=True)
            return []
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        if done.returncode != 0 or not lines:
            print(f"  {script}: ended with {done.returncode} and {len(lines)} lines; {self.log.name} says why", flush=True)
        return lines

    def bare(self, picture, model):
        """Frames a second of ONNX Runtime alone, as the model is shipped, one thread."""
        arguments = (picture, model, "--threads", 1, "--reps", 1, "--quiet", 0, "--n", 60)
        return 1e3 / self.run("venv", "raw_ort.py", *arguments)[0]["raw_ms"]

    def end_to_end(self, peer, model, clip, frames, pace=0, stages=False):
        """One repetition of `p1`, `p2` or `p3`; nothing where that peer cannot run this model."""
        arguments = ["--model", model, "--video", clip, "--broker", self.broker, "--reps", 1, "--quiet", 0, "--frames", frames]
        arguments += ["--pace", pace] if pace else []
        if peer == "p1":
            arguments += ["--threads", 1]
            arguments += ["--decode-threads", 1, "--cv-threads", 1, "--tag", "P1-stages"] if stages else []
            found = self.run("venv", "p1_handwritten.py", *arguments)
        elif peer == "p2":
            found = self.run("venv_inf", "p2_inference.py", *arguments, "--threads", 1)
        else:
            if "yolox" not in model:
                return None
            bin_dir = os.path.join(self.home, "venv_dg", "bin")
            extra = {"PATH": f"{bin_dir}:{os.environ['PATH']}", "LD_LIBRARY_PATH": os.path.join(self.home, "venv_dg", "ortlib")}
            found = self.run("venv_dg", "p3_degirum.py", *arguments, extra=extra)
        return found[0] if found else None

    def publishers(self, reps):
        """Cases of p4 with their messages a second, one line a repetition."""
        return self.run("venv", "p4_publishers.py", "--mqtt", self.broker, "--nats", self.nats, "--reps", reps, "--quiet", 0)
