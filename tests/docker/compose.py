#!/usr/bin/env python3
"""The containers of compose.yaml, looked at from outside: `make compose-test` starts an engine, builds the image and runs this.

Wants DOCKER_HOST, the images of compose.yaml but Grafana's (no Debian has one), mosquitto's clients, and gst-rtsp-server for a camera.
"""
import base64
import collections
import contextlib
import functools
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATIENCE = 180  # seconds; it only ends a test that would fail anyway
SERVICES = ["sightwire", "mosquitto", "nats", "prometheus"]


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


PORTS = {name: free_port() for name in ("SIGHTWIRE_PORT", "SIGHTWIRE_MQTT_PORT", "SIGHTWIRE_NATS_PORT", "SIGHTWIRE_PROMETHEUS_PORT")}
ENVIRONMENT = {**os.environ, **{name: str(port) for name, port in PORTS.items()}, "COMPOSE_PROJECT_NAME": "sightwire-test"}
PAGE, MQTT, NATS, PROMETHEUS = PORTS.values()


def run(*args, check=True, text=None, **more):
    done = subprocess.run(args, cwd=ROOT, env={**ENVIRONMENT, **more}, input=text, stdin=None if text else subprocess.DEVNULL, capture_output=True, text=True)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(args)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def compose(*args, **more):
    return run("docker", "compose", *args, **more).stdout.strip()


def step(text):
    print(f"  {text}", flush=True)


def eventually(what, look):
    start = time.monotonic()
    while True:
        try:
            found = look()
        except (AssertionError, OSError) as error:
            found, what_else = None, error
        else:
            what_else = None
        if found:
            return found
        if time.monotonic() - start > PATIENCE:
            raise AssertionError(f"never happened: {what}" + (f": {what_else}" if what_else else ""))
        time.sleep(0.5)


@functools.cache
def secret(name):
    return compose("run", "--rm", "secrets", "show", name)


def container(service):
    return compose("ps", "-a", "-q", service)


def inspect(service):
    return json.loads(run("docker", "inspect", container(service)).stdout)[0]


def http(port, path, token=None, method="GET"):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    if token:
        request.add_header("Authorization", f"Bearer {token}")

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_):
            return None

    try:
        with urllib.request.build_opener(Stay).open(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


# ---- MQTT, by mosquitto's own clients

def mqtt(program, user, *args, password=None):
    password = secret(f"mqtt_{user}") if password is None else password
    return run(program, "-h", "127.0.0.1", "-p", str(MQTT), "-V", "mqttv5", "-u", user, "-P", password, *args, check=False)


def heard(user, topic, count=1, seconds=30):
    """Messages as (topic, payload)."""
    lines = mqtt("mosquitto_sub", user, "-t", topic, "-C", str(count), "-W", str(seconds), "-F", "%t %p").stdout.splitlines()
    return [tuple(line.split(" ", 1)) for line in lines]


def refused(user, topic):
    return "Not authorized" in mqtt("mosquitto_pub", user, "-q", "1", "-t", topic, "-m", "x").stderr


# ---- NATS, by its own words

class Nats:
    def __init__(self, user, password=None):
        password = secret(f"nats_{user}") if password is None else password
        self.socket = socket.create_connection(("127.0.0.1", NATS), timeout=PATIENCE)
        self.file = self.socket.makefile("rb")
        self.listens = False
        self.say("CONNECT " + json.dumps({"user": user, "pass": password, "verbose": False, "headers": True}))

    def say(self, line):
        self.socket.sendall(line.encode() + b"\r\n")

    def complaints(self, line):
        self.say(line)
        self.say("PING")
        found = []
        while (got := self.file.readline().decode().strip()) and got != "PONG":
            if got.startswith("-ERR"):
                found.append(got)
        return " ".join(found)

    def message(self):
        """The next: (subject, payload)."""
        while True:
            words = self.file.readline().decode().split()
            if not words:
                raise AssertionError("the server hung up")
            if words[0] == "PING":
                self.say("PONG")
            elif words[0] == "-ERR":
                raise AssertionError(" ".join(words))
            elif words[0] in ("MSG", "HMSG"):
                payload = self.file.read(int(words[-1]))
                self.file.readline()
                head = int(words[-2]) if words[0] == "HMSG" else 0
                return words[1], payload[head:].decode()

    def ask(self, subject, request):
        if not self.listens:
            self.say("SUB _INBOX.test.> 1")
            self.listens = True
        self.say(f"PUB {subject} _INBOX.test.1 {len(request)}\r\n{request}")
        return json.loads(self.message()[1])


def stored_events(known=None):
    """All events in the stream, in its order; those in `known` (by their place in the stream) are not asked for again."""
    known = {} if known is None else known
    server = Nats("viewer")
    state = server.ask("$JS.API.STREAM.INFO.SIGHTWIRE", "")["state"]
    for number in range(state["first_seq"], state["last_seq"] + 1):
        if number not in known:
            found = server.ask("$JS.API.STREAM.MSG.GET.SIGHTWIRE", json.dumps({"seq": number})).get("message", {})
            is_event = found.get("subject", "").endswith(".events")
            known[number] = json.loads(base64.b64decode(found["data"])) if is_event else None
    return [event for _, event in sorted(known.items()) if event]


def numbered(events):
    """Every camera's events of one boot have numbers without a gap, from the first that was seen."""
    numbers = collections.defaultdict(set)
    for event in events:
        numbers[event["camera"], event["boot_id"]].add(event["seq"])
    for camera, seen in numbers.items():
        missing = set(range(min(seen), max(seen) + 1)) - seen
        assert not missing, f"{camera}: of {len(seen)} events these are lost: {sorted(missing)}"
    assert numbers, "no events at all"
    return sum(len(seen) for seen in numbers.values())


# ---- the story

def starts():
    compose("up", "-d", *SERVICES)
    for service in SERVICES:
        eventually(f"{service} is healthy", lambda: inspect(service)["State"]["Health"]["Status"] == "healthy")
    assert inspect("secrets")["State"]["ExitCode"] == 0
    secrets = compose("run", "--rm", "secrets", "show").splitlines()
    assert len(secrets) == 10, secrets
    step("up: everything is healthy")


def is_locked_up():
    users = {"sightwire": "10001", "mosquitto": "1883", "nats": "10002", "prometheus": "65534"}
    for service, user in users.items():
        host = inspect(service)["HostConfig"]
        assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"] and host["Memory"] > 0 and host["PidsLimit"] > 0, (service, host)
        assert "no-new-privileges:true" in host["SecurityOpt"], (service, host)
        for bindings in host["PortBindings"].values():
            assert all(binding["HostIp"] == "127.0.0.1" for binding in bindings), (service, bindings)
        status = compose("exec", "-T", service, "cat", "/proc/1/status")
        said = dict(line.split(":", 1) for line in status.splitlines())
        assert said["Uid"].split() == [user] * 4, (service, said["Uid"])
        assert int(said["CapEff"], 16) == 0 and said["NoNewPrivs"].strip() == "1", (service, status)
        touched = run("docker", "compose", "exec", "-T", service, "sh", "-c", "echo x >/written", check=False)
        assert touched.returncode and "Read-only file system" in touched.stderr, (service, touched)
    for tool in ("gcc", "cc", "ld", "cargo", "curl", "python3", "perl-base"):
        assert run("docker", "compose", "exec", "-T", "sightwire", "sh", "-c", f"command -v {tool}", check=False).returncode, tool
    # No password can be read from outside, by whoever sees how containers were started.
    described = run("docker", "inspect", *[container(service) for service in SERVICES]).stdout
    for name in ("http_token", "mqtt_node", "nats_node", "mqtt_viewer"):
        assert secret(name) not in described, name
    step("no root, no capability, a read-only file system, no compiler, ports on loopback only, no password to be seen")


def has_its_notices():
    def inside(path):
        return compose("exec", "-T", "sightwire", "cat", f"/usr/share/doc/sightwire/{path}")

    assert "GNU General Public License" in inside("NOTICE") and "Apache License" in inside("LICENSE")
    assert inside("onnxruntime/ThirdPartyNotices.txt") and "MIT License" in inside("onnxruntime/LICENSE")
    crates = inside("crates.txt")
    for crate in ("tokio ", "ort ", "opencv ", "ring "):
        assert f"\n{crate}" in crates, crate
    packages = [line.split()[0] for line in inside("debian/packages.txt").splitlines()]
    assert {"libavcodec59", "libx264-164", "libopencv-videoio406"} <= set(packages), packages
    for package in packages:
        assert len(inside(f"debian/{package}.copyright")) > 200, package
    assert not {"libgdal32", "libpoppler126"} & set(packages), "left out by docker/image/gather"
    step(f"notices: {crates.count(chr(10) + '-' * 20)} licence texts of crates, {len(packages)} Debian packages")


def reads_pictures_and_videos():
    """What is left out of the libraries is needed by none of the formats."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        for kind in ("jpg", "png", "bmp", "tiff", "webp"):
            subprocess.run(["ffmpeg", "-v", "error", "-i", ROOT / "docs/images/detect.jpg", f"{folder}/scene.{kind}"], check=True, stdin=subprocess.DEVNULL)
        image = inspect("sightwire")["Config"]["Image"]
        found = run("docker", "run", "--rm", "--read-only", "--network", "none", "-v", f"{folder}:/pictures:ro", image, "detect", "--model", "bundled:shapes", "/pictures")
        lines = [json.loads(line) for line in found.stdout.splitlines()]
        assert len(lines) == 5 and all(line["detections"] for line in lines), found
    step("pictures: JPEG, PNG, WebP, TIFF and BMP are read")


def serves_the_page():
    token = secret("http_token")
    for path in ("/", "/api/cameras", "/metrics", "/cameras/demo-1/keyframe.jpg"):
        assert http(PAGE, path)[0] in (302, 303, 401), path
        assert http(PAGE, path, "0" * 48)[0] == 401, path
    assert http(PAGE, "/healthz")[0] == 200
    status, body = http(PAGE, "/", token)
    assert status == 200 and "<html" in body.lower(), status
    status, body = http(PAGE, "/api/cameras", token)
    assert [camera["camera"] for camera in json.loads(body)] == ["demo-1", "demo-2"], body
    step("page and API answer who brings the token, and nobody else")


def delivers():
    cameras = {topic.split("/")[2] for topic, _ in heard("viewer", "sightwire/cameras/+/detections", count=40)}
    assert cameras == {"demo-1", "demo-2"}, cameras
    detections = json.loads(heard("viewer", "sightwire/cameras/demo-1/detections")[0][1])
    assert detections["node"] == "home" and detections["detections"], detections
    server = Nats("viewer")
    server.say("SUB sightwire.cameras.*.detections 1")
    seen = {server.message()[0].split(".")[2] for _ in range(40)}
    assert seen == {"demo-1", "demo-2"}, seen
    seen = compose("run", "--rm", "-T", "watch", "--seconds", "5")
    assert "demo-1" in seen and "demo-2" in seen, seen
    step("detections arrive over MQTT and over NATS")


def is_scraped():
    def query(text):
        status, body = http(PROMETHEUS, "/api/v1/query?query=" + urllib.parse.quote(text))
        assert status == 200, body
        return json.loads(body)["data"]["result"]

    def value(text):
        return sum(float(row["value"][1]) for row in query(text))

    eventually("the node is scraped", lambda: value('up{job="sightwire"}') == 1)
    eventually("frames are counted", lambda: value('sightwire_frames_total{outcome="inferred"}') > 0)
    cameras = eventually("latency of both cameras", lambda: query("sum by (camera) (rate(sightwire_capture_to_ack_seconds_count[1m])) > 0") or None)
    assert {row["metric"]["camera"] for row in cameras} <= {"demo-1", "demo-2"}, cameras
    assert {row["metric"]["bus"] for row in query("sightwire_bus_connected == 1")} == {"mqtt", "nats"}
    files = list((ROOT / "dashboards/rules").glob("*.yml"))
    rules = json.loads(http(PROMETHEUS, "/api/v1/rules")[1])["data"]["groups"]
    assert {pathlib.Path(group["file"]).name for group in rules} == {file.name for file in files}, (rules, files)
    ill = [rule for group in rules for rule in group["rules"] if rule["health"] == "err"]
    assert not ill, ill
    step(f"Prometheus has the series, and evaluates {sum(len(group['rules']) for group in rules)} rules of {len(files)} files")


def keeps_out():
    for user, topics in {
        "viewer": ["sightwire/control", "sightwire/cameras/demo-1/control", "sightwire/cameras/demo-1/events", "frigate/demo-1/enabled/set"],
        "operator": ["sightwire/cameras/demo-1/events", "sightwire/nodes/home/status"],
        "homeassistant": ["sightwire/control", "sightwire/cameras/demo-1/state"],
        "node": ["sightwire/control", "sightwire/cameras/demo-1/control", "elsewhere"],
        "health": ["sightwire/control"],
    }.items():
        for topic in topics:
            assert refused(user, topic), f"{user} may publish to {topic}"
    assert "not authorised" in mqtt("mosquitto_pub", "viewer", "-t", "x", "-m", "x", password="wrong").stderr.lower().replace("z", "s")
    nobody = run("mosquitto_pub", "-h", "127.0.0.1", "-p", str(MQTT), "-t", "x", "-m", "x", check=False)
    assert nobody.returncode, "the broker lets strangers in"
    assert not heard("health", "sightwire/#", seconds=3)
    for user, line in [
        ("viewer", "PUB sightwire.control 4\r\nstop"),
        ("viewer", "PUB $JS.API.STREAM.DELETE.SIGHTWIRE 0\r\n"),
        ("operator", "PUB sightwire.cameras.demo-1.events 1\r\nx"),
        ("node", "PUB sightwire.control 4\r\nstop"),
        ("node", "SUB sightwire.cameras.*.events 1"),
    ]:
        assert "Permissions Violation" in Nats(user).complaints(line), f"{user}: {line}"
    assert "Authorization Violation" in Nats("viewer", "wrong").complaints("SUB sightwire.> 1")
    # The operator commands, and the commands are carried out.
    for command, state in (("stop", "stopped"), ("start", "running")):
        mqtt("mosquitto_pub", "operator", "-q", "1", "-t", "sightwire/cameras/demo-2/control", "-m", command)
        eventually(f"demo-2 is {state}", lambda: any(json.loads(payload)["actual"] == state for _, payload in heard("viewer", "sightwire/cameras/demo-2/state")))
    step("the brokers refuse what each user is not for, and strangers; the operator commands")


def loses_nothing(service):
    """The broker's container is killed, and started again after a while."""
    with tempfile.NamedTemporaryFile("w+") as log:
        judge, known = None, {}
        if service == "mosquitto":
            args = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(MQTT), "-V", "mqttv5", "-u", "viewer", "-P", secret("mqtt_viewer")]
            args += ["-c", "-i", "judge", "-x", "3600", "-q", "1", "-t", "sightwire/cameras/+/events"]
            judge = subprocess.Popen(args, stdout=log, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)

        def events():
            if not judge:
                return stored_events(known)
            # The last line may be on its way.
            lines = pathlib.Path(log.name).read_text().split("\n")[:-1]
            return [json.loads(line) for line in lines]

        try:
            eventually("events before", lambda: {event["camera"] for event in events()} == {"demo-1", "demo-2"})
            if judge:
                # That somebody subscribes is on disk now, not only after half a minute.
                run("docker", "kill", "-s", "USR1", container(service))
                time.sleep(2)
            before = len(events())
            run("docker", "kill", "-s", "KILL", container(service))
            killed = time.time()
            assert inspect(service)["State"]["ExitCode"] == 137
            time.sleep(10)
            run("docker", "start", container(service))
            eventually(f"{service} is healthy again", lambda: inspect(service)["State"]["Health"]["Status"] == "healthy")
            started = time.time()
            eventually("events of afterwards", lambda: {event["camera"] for event in events() if event["timestamp"] > started + 2} == {"demo-1", "demo-2"})
            kept = [event for event in events() if killed + 1 < event["timestamp"] < started]
            assert kept, "nothing happened while the broker was away: this shows nothing"
            # Of the stream, everything anew: what it had before is to be there still.
            known.clear()
            whole = numbered(events())
        finally:
            if judge:
                judge.kill()
                judge.wait()
    eventually("everything is healthy again", lambda: inspect("sightwire")["State"]["Health"]["Status"] == "healthy")
    step(f"{service} killed for {started - killed:.0f} s: {whole} events, {before} of them before, {len(kept)} made while it was away, none lost")


def shows_your_camera():
    """SIGHTWIRE_SOURCE with a camera on this machine, and a model from ./models."""
    address = "172.31.200.1"  # of the engine's bridge: .ci/docker-engine
    port = free_port()
    tool = ["/usr/bin/python3", str(ROOT / "tests/tools/rtsp_cam.py"), "--address", address, "--port", str(port), "--pattern", "ball"]
    with contextlib.ExitStack() as stack:
        camera = subprocess.Popen(tool, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True)
        stack.callback(lambda: (camera.kill(), camera.wait()))
        assert camera.stdout.readline().startswith("READY")
        yours = {"SIGHTWIRE_SOURCE": f"rtsp://{address}:{port}/cam", "SIGHTWIRE_MODEL": "shapes.onnx"}
        compose("up", "-d", "sightwire", **yours)
        eventually("healthy with a camera of yours", lambda: inspect("sightwire")["State"]["Health"]["Status"] == "healthy")
        topic, payload = heard("viewer", "sightwire/cameras/camera-1/detections")[0]
        assert json.loads(payload)["frame"]["width"] == 640, payload
        status, body = http(PAGE, "/api/cameras", secret("http_token"))
        assert status == 200 and [camera["camera"] for camera in json.loads(body)] == ["camera-1"], body
    eventually("who is gone is told", lambda: inspect("sightwire")["State"]["Health"]["Status"] == "unhealthy")
    told = inspect("sightwire")["State"]["Health"]["Log"][-1]["Output"]
    assert "camera camera-1" in told, told
    compose("up", "-d", "sightwire")
    eventually("the demo again", lambda: inspect("sightwire")["State"]["Health"]["Status"] == "healthy")
    step("SIGHTWIRE_SOURCE and SIGHTWIRE_MODEL: an RTSP camera is shown; that it is gone is told")


def stops():
    compose("stop", "sightwire")
    assert inspect("sightwire")["State"]["ExitCode"] == 0, inspect("sightwire")["State"]
    for topic in ("sightwire/nodes/home/status", "sightwire/cameras/demo-1/status", "sightwire/cameras/demo-2/status"):
        assert heard("viewer", topic) == [(topic, "offline")], topic
    log = compose("logs", "--no-log-prefix", "sightwire")
    assert "camera state" in log and "panicked" not in log, log
    for name in ("http_token", "mqtt_node", "nats_node"):
        assert secret(name) not in log, name
    compose("start", "sightwire")
    eventually("back", lambda: heard("viewer", "sightwire/nodes/home/status") == [("sightwire/nodes/home/status", "online")])
    compose("stop")
    codes = {service: inspect(service)["State"]["ExitCode"] for service in SERVICES}
    assert not any(codes.values()), codes
    step("stop: every exit code is 0, the node said offline before it went")


def main():
    steps = [starts, is_locked_up, has_its_notices, reads_pictures_and_videos, serves_the_page, delivers, is_scraped, keeps_out,
             lambda: loses_nothing("mosquitto"), lambda: loses_nothing("nats"), shows_your_camera, stops]
    begun = time.monotonic()
    try:
        for part in steps:
            part()
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        print(f"FAILED: {error}\n\nthe containers' last words:", file=sys.stderr)
        print(run("docker", "compose", "ps", "-a", check=False).stdout, run("docker", "compose", "logs", "--tail", "25", check=False).stdout, file=sys.stderr)
        return 1
    finally:
        run("docker", "compose", "--profile", "*", "down", "--volumes", "--timeout", "20", check=False)
    print(f"compose-test: all of it holds ({time.monotonic() - begun:.0f} s)")
    return 0


sys.exit(main())
