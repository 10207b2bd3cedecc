"""The program in a real Home Assistant: entities appear, follow, go unavailable, work back and disappear.

run.py PROGRAM STYLE -- HASS COMMAND…   ({config} in the command stands for Home Assistant's folder; HASS_ROOT in the
environment is the root it sees, where that is not this machine's)
"""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

PROGRAM, STYLE = sys.argv[1], sys.argv[2]
GUIDE = (pathlib.Path(__file__).parents[3] / "docs/home-assistant.md").read_text()
# The guide's own automation, of what the drawn scene has; older releases write automations otherwise.
AUTOMATION = "" if STYLE == "components" else (
    re.search(r"<!-- automation -->\n```yaml\n(.*?)```", GUIDE, re.S)[1].replace("'person'", "'circle'"))
AUTOMATED = "automation.somebody_at_the_front_door"
HASS = sys.argv[4:]
ROOT = os.environ.get("HASS_ROOT", "")
PATIENCE = 120  # seconds; only ends a run that would fail anyway
CLIENT = "http://127.0.0.1/"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait(what, look, patience=PATIENCE):
    begin, found = time.monotonic(), None
    while time.monotonic() - begin < patience:
        found = look()
        if found:
            return found
        time.sleep(0.2)
    raise SystemExit(f"never happened: {what}; last: {found!r}")


def say(text):
    print(f"home-assistant ({STYLE}): {text}", flush=True)


def filled(form, given):
    """A form of Home Assistant, its defaults where nothing is given; a section of it is a form, too."""
    values = {}
    for field in form:
        name = field["name"]
        if field.get("type") == "expandable":
            values[name] = filled(field["schema"], given)
        elif name in given or "default" in field:
            values[name] = given.get(name, field.get("default"))
    return values


class Hass:
    """Home Assistant with nothing but what MQTT needs."""

    def __init__(self, folder):
        self.folder, self.port, self.token, self.process = folder, free_port(), None, None
        (folder / "configuration.yaml").write_text(
            f"http:\n  server_host: 127.0.0.1\n  server_port: {self.port}\napi:\nconfig:\nlogger:\n  default: warning\n"
            + AUTOMATION
        )

    def start(self):
        inside = str(self.folder)[len(ROOT):]
        command = [word.replace("{config}", inside) for word in HASS]
        output = open(self.folder / "output.log", "ab")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        wait("Home Assistant listens", self.listens)

    def listens(self):
        if self.process.poll() is not None:
            raise SystemExit("Home Assistant ended:\n" + (self.folder / "output.log").read_text()[-3000:])
        try:
            self.call("GET", "/auth/providers")
            return True
        except urllib.error.HTTPError:
            return True
        except (urllib.error.URLError, OSError):
            return False

    def call(self, method, path, body=None, form=None, raw=False):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        if form is not None:
            request.data = urllib.parse.urlencode(form).encode()
        elif body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                data = answer.read()
        except urllib.error.HTTPError as error:
            error.add_note(f"{method} {path} {body or ''}: {error.read()[:500]!r}")
            raise
        return data if raw else json.loads(data or b"null")

    def onboard(self):
        person = {"client_id": CLIENT, "name": "t", "username": "t", "password": "test", "language": "en"}
        made = wait("the first user", lambda: self.attempt("POST", "/api/onboarding/users", person))
        code = {"grant_type": "authorization_code", "client_id": CLIENT, "code": made["auth_code"]}
        self.token = self.call("POST", "/auth/token", form=code)["access_token"]

    def attempt(self, method, path, body=None):
        try:
            return self.call(method, path, body)
        except urllib.error.HTTPError as error:
            if error.code in (404, 503):
                return None
            raise SystemExit(f"{method} {path}: {error.code} {error.read()[:500]}") from error

    def add_mqtt(self, port):
        flow = wait("the config flow", lambda: self.attempt("POST", "/api/config/config_entries/flow", {"handler": "mqtt"}))
        if flow["type"] == "menu":
            flow = self.call("POST", f"/api/config/config_entries/flow/{flow['flow_id']}", {"next_step_id": "broker"})
        given = filled(flow["data_schema"], {"broker": "127.0.0.1", "port": port, "set_ca_cert": "off", "set_client_cert": False})
        done = self.call("POST", f"/api/config/config_entries/flow/{flow['flow_id']}", given)
        if done["type"] != "create_entry":
            raise SystemExit(f"no MQTT entry: {done}")

    def state(self, entity):
        found = self.attempt("GET", f"/api/states/{entity}")
        return found and found["state"]

    def states(self):
        return {s["entity_id"]: s for s in self.call("GET", "/api/states")}

    def act(self, service, entity, **more):
        self.call("POST", f"/api/services/{service.replace('.', '/')}", {"entity_id": entity, **more})

    def until(self, entity, wanted):
        test = wanted if callable(wanted) else lambda state: state == wanted
        wait(f"{entity} is {wanted}, not {self.state(entity)}", lambda: test(self.state(entity)))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def complaints(self):
        """Warnings and errors, those apart that speak of parts that were left out of this installation."""
        log = (self.folder / "output.log").read_text()
        lines = [line for line in log.splitlines() if re.search(r" (WARNING|ERROR|CRITICAL) ", line)]
        return [line for line in lines if not re.search(r"\[homeassistant\.(setup|bootstrap|loader|requirements)\]", line)]


class Node:
    def __init__(self, folder, broker):
        self.folder, self.broker, self.process = folder, broker, None

    def configure(self, cameras):
        (self.folder / "sightwire.yaml").write_text(
            f'node: garage\nstate_dir: state\nhttp: {{ listen: "127.0.0.1:0" }}\n'
            f'buses: {{ mqtt: {{ url: "mqtt://127.0.0.1:{self.broker}" }} }}\n'
            f"models: {{ shapes: {{ path: 'bundled:shapes' }} }}\nhomeassistant: {{ style: {STYLE} }}\ncameras:\n"
            + "".join(f"  {name}: {camera}\n" for name, camera in cameras.items())
        )

    def start(self):
        log = open(self.folder / "node.log", "ab")
        command = [PROGRAM, "run", "-c", "sightwire.yaml"]
        self.process = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def end(self, how):
        self.process.send_signal(how)
        self.process.wait(30)

    def log(self):
        return (self.folder / "node.log").read_text()


def source(seed):
    return f"{{ source: 'synthetic:shapes?width=320&height=240&fps=5&seed={seed}', model: shapes, keyframes: {{}}"


FRONT = source(3) + ", labels: [circle, square] }"
YARD = source(4) + " }"
ENTITIES = [
    "switch.front_door", "binary_sensor.front_door_occupancy", "sensor.front_door_objects",
    "binary_sensor.front_door_circle", "sensor.front_door_circle_count", "binary_sensor.front_door_square",
    "sensor.front_door_square_count", "binary_sensor.front_door_connectivity", "binary_sensor.front_door_problem",
    "sensor.front_door_state", "number.front_door_confidence",
    "button.front_door_snapshot", "button.front_door_restart", "image.front_door_keyframe", "event.front_door_object",
    "binary_sensor.sightwire_garage_connectivity", "binary_sensor.sightwire_garage_mqtt",
    "binary_sensor.sightwire_garage_problem", "sensor.sightwire_garage_running_cameras", "sensor.sightwire_garage_version",
    "sensor.sightwire_garage_onnx_runtime", "sensor.sightwire_garage_started", "button.sightwire_garage_reload",
    "button.sightwire_garage_stop_all", "button.sightwire_garage_start_all", "sensor.front_door_latency_p95",
    "number.front_door_max_fps",
    "switch.yard",
]
# A button says when it was pressed.
UNKNOWN_AT_FIRST = {"event.front_door_object", "image.front_door_keyframe"}


def appear(hass):
    hass.until("switch.front_door", "on")
    for entity in ENTITIES:
        if entity in UNKNOWN_AT_FIRST or entity.startswith("button."):
            wait(f"{entity} is there", lambda: hass.state(entity) is not None)
        else:
            hass.until(entity, lambda state: state not in (None, "unknown", "unavailable"))
    hass.until("sensor.sightwire_garage_running_cameras", "2")
    say(f"{len([e for e in hass.states() if 'front_door' in e or 'yard' in e or 'garage' in e])} entities are there")
    hass.until("binary_sensor.front_door_connectivity", "on")
    hass.until("binary_sensor.front_door_problem", "off")
    hass.until("sensor.front_door_state", "running")
    hass.until("sensor.front_door_fps", lambda s: float(s) > 0)
    hass.until("sensor.front_door_latency", lambda s: s not in (None, "unknown") and float(s) > 0)
    hass.until("sensor.front_door_objects", lambda s: s is not None and s.isdigit())
    hass.until("event.front_door_object", lambda s: s not in (None, "unknown"))
    event = hass.states()["event.front_door_object"]["attributes"]
    assert event["event_type"] in ("started", "ended") and event["label"] in ("circle", "square"), event
    if AUTOMATION:
        wait("the guide's automation", lambda: hass.states()[AUTOMATED]["attributes"].get("last_triggered"))
    # Labels that were seen, where no `labels:` are given.
    wait("an entity of a seen label", lambda: [e for e in hass.states() if re.match(r"sensor\.yard_\w+_count$", e)])
    picture = wait("a picture", lambda: hass.state("image.front_door_keyframe") not in (None, "unknown") and hass.call(
        "GET", "/api/image_proxy/image.front_door_keyframe", raw=True))
    assert picture[:2] == b"\xff\xd8", picture[:20]


def work_back(hass):
    hass.act("switch.turn_off", "switch.front_door")
    hass.until("sensor.front_door_state", "stopped")
    hass.until("switch.front_door", "off")
    hass.until("binary_sensor.front_door_circle", "unavailable")
    hass.act("switch.turn_on", "switch.front_door")
    hass.until("switch.front_door", "on")
    hass.until("sensor.front_door_state", "running")
    hass.act("number.set_value", "number.front_door_confidence", value=0.62)
    hass.until("number.front_door_confidence", "0.62")
    hass.act("number.set_value", "number.front_door_max_fps", value=3)
    hass.until("number.front_door_max_fps", lambda s: float(s) == 3)
    before = hass.state("image.front_door_keyframe")
    hass.act("button.press", "button.front_door_snapshot")
    hass.until("image.front_door_keyframe", lambda s: s != before)
    hass.act("button.press", "button.front_door_restart")
    hass.until("sensor.front_door_state", "running")
    hass.act("button.press", "button.sightwire_garage_stop_all")
    for switch in ("switch.front_door", "switch.yard"):
        hass.until(switch, "off")
    hass.act("button.press", "button.sightwire_garage_start_all")
    for switch in ("switch.front_door", "switch.yard"):
        hass.until(switch, "on")
    say("the switch, the numbers and the buttons work back")


def gone(hass, part):
    wait(f"no entity of {part}", lambda: not [
        e for e in hass.states() if part in e and not e.startswith("automation.")])


def main():
    base = f"{ROOT}/tmp" if ROOT else None
    with tempfile.TemporaryDirectory(dir=base) as hass_folder, tempfile.TemporaryDirectory() as node_folder:
        broker_port = free_port()
        folder = pathlib.Path(node_folder)
        (folder / "mosquitto.conf").write_text(f"user root\nlistener {broker_port} 127.0.0.1\nallow_anonymous true\n")
        broker = subprocess.Popen(["mosquitto", "-c", folder / "mosquitto.conf"], stderr=subprocess.DEVNULL)
        node, hass = Node(folder, broker_port), Hass(pathlib.Path(hass_folder))
        try:
            play(hass, node)
        except BaseException:
            print("".join(node.log().splitlines(True)[-25:]), "\n".join(hass.complaints()[-10:]), sep="\n", file=sys.stderr)
            raise
        finally:
            for process in (node.process, hass.process, broker):
                if process and process.poll() is None:
                    process.kill()
                    process.wait()


def play(hass, node):
    node.configure({"front-door": FRONT, "yard": YARD})
    node.start()
    hass.start()
    hass.onboard()
    hass.add_mqtt(node.broker)
    appear(hass)
    work_back(hass)

    node.end(signal.SIGKILL)
    hass.until("switch.front_door", "unavailable")
    hass.until("sensor.front_door_objects", "unavailable")
    hass.until("binary_sensor.sightwire_garage_connectivity", "off")
    say("a killed node's entities are unavailable")
    node.start()
    hass.until("switch.front_door", "on")
    hass.until("number.front_door_confidence", lambda s: s not in (None, "unavailable", "unknown"))
    hass.until("binary_sensor.sightwire_garage_connectivity", "on")

    hass.stop()
    hass.start()
    hass.until("switch.front_door", "on")
    wait("the birth message is answered", lambda: "Home Assistant has started" in node.log())
    hass.until("sensor.front_door_state", "running")
    say("a restarted Home Assistant knows everything again")

    node.end(signal.SIGTERM)
    node.configure({"front-door": FRONT})
    node.start()
    gone(hass, "yard")
    hass.until("sensor.sightwire_garage_running_cameras", "1")
    say("a removed camera is gone")
    node.configure({"front-door": FRONT.replace("circle, square", "circle")})
    hass.act("button.press", "button.sightwire_garage_reload")
    gone(hass, "front_door_square")
    hass.until("binary_sensor.front_door_circle", lambda s: s in ("on", "off"))
    say("a removed label is gone")
    text = node.folder / "sightwire.yaml"
    node.end(signal.SIGTERM)
    text.write_text(text.read_text().replace(f"style: {STYLE}", "discovery: false"))
    node.start()
    gone(hass, "front_door")
    gone(hass, "garage")
    say("without discovery everything is gone")

    hass.stop()
    complaints = hass.complaints()
    if complaints:
        raise SystemExit("Home Assistant complains:\n" + "\n".join(complaints))
    say("no warning, no error in its log")


main()
