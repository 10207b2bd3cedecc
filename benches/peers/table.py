"""From the lines of a run to the tables of docs/performance.md, between its markers."""
import os
import statistics
import subprocess

BEGIN, END = "<!-- peers: written by `make peers` -->", "<!-- peers: end -->"
PEERS = {"ours": "Sightwire", "p1": "hand-written", "p2": "Roboflow", "p3": "DeGirum", "p4": "Python clients"}
# Row: what, goal in words, reached when (ours against the goal), digits.
ROWS = {
    "share yolox": ("end to end over bare ONNX Runtime, `yolox_nano_416`", "≥ 0.98", lambda v: v >= 0.98, 3),
    "share rfb": ("the same, `version-RFB-320` against the model as shipped", "≥ 2.5", lambda v: v >= 2.5, 2),
    "cpu 480x360": ("processor ms a frame outside decode and ONNX Runtime, 480x360", "≤ 0.4", lambda v: v <= 0.4, 2),
    "cpu 1080p": ("the same, 1080p", "≤ 0.8", lambda v: v <= 0.8, 2),
    "latency p50": ("capture → subscriber at 15 frames/s less the model's time, p50 ms", "≤ 1.5", lambda v: v <= 1.5, 2),
    "latency p99": ("the same, p99 ms", "≤ 4", lambda v: v <= 4, 2),
    "mqtt qos0": ("messages/s, MQTT QoS 0, over a bare rumqttc loop", "≥ 0.9", lambda v: v >= 0.9, 2),
    "mqtt qos1": ("the same, QoS 1, acknowledged", "≥ 0.9", lambda v: v >= 0.9, 2),
    "nats core": ("messages/s, NATS core, over a bare async-nats loop", "≥ 0.9", lambda v: v >= 0.9, 2),
    "jetstream file": ("the same, JetStream file store, acknowledged", "≥ 0.9", lambda v: v >= 0.9, 2),
    "memory": ("resident MB, one camera, `yolox_nano_416`", "≤ 90", lambda v: v <= 90, 0),
    "memory more": ("resident MB of each further 1080p camera", "≤ 12", lambda v: v <= 12, 1),
    "cameras": ("8 cameras' frames/s in all over one camera's", "≥ 0.98", lambda v: v >= 0.98, 3),
    "cameras spread": ("spread between the 8 cameras, %", "≤ 5", lambda v: v <= 5, 1),
    "idle": ("stopped camera, % of a core", "≤ 0.1", lambda v: v <= 0.1, 2),
}


def shown(values, digits):
    """Median, and the ends of what was measured where it was more than once."""
    middle = f"{statistics.median(values):.{digits}f}"
    if len(values) < 2:
        return middle
    return f"{middle} ({min(values):.{digits}f} … {max(values):.{digits}f})"


def gather(lines):
    """{row: {who: [values]}}; what stands in a later line of kind `final` replaces what was gathered."""
    found = {}
    for line in lines:
        if "value" in line:
            found.setdefault(line["row"], {}).setdefault(line["who"], []).append(line["value"])
        elif line.get("final"):
            found.setdefault(line["row"], {})[line["who"]] = line["values"]
    return found


def main_table(found, peers):
    who = ["ours", *(peer for peer in ("p1", "p2", "p3", "p4") if peer in peers)]
    yield "| what | goal | " + " | ".join(PEERS[name] for name in who) + " | reached |"
    yield "|---" * (len(who) + 3) + "|"
    for row, (what, goal, reached, digits) in ROWS.items():
        values = found.get(row, {})
        cells = [shown(values[name], digits) if values.get(name) else "–" for name in who]
        verdict = ("yes" if reached(statistics.median(values["ours"])) else "**no**") if values.get("ours") else "not measured"
        yield f"| {what} | {goal} | " + " | ".join(cells) + f" | {verdict} |"


def rates(lines):
    yield "| messages a second, 500 bytes | Sightwire | bare loop | share | of a bare loop with the same headers | processor µs a message, ours and bare |"
    yield "|---|---|---|---|---|---|"
    for line in lines:
        if line.get("row") == "messages":
            alike = f"{line['share_with_headers']:.2f}" if line.get("share_with_headers") else "–"
            ends = [" … ".join(f"{end / 1e3:.0f}" for end in line[f"{who}_spread"]) for who in ("ours", "bare")]
            yield (f"| {line['case']} | {line['ours'] / 1e3:.0f} k ({ends[0]}) | {line['bare'] / 1e3:.0f} k ({ends[1]}) "
                   f"| {line['share']:.2f} | {alike} | {line['ours_cpu_us']:.1f}, {line['bare_cpu_us']:.1f} |")
    clients = {}
    for line in lines:
        if line.get("peer") == "P4" and "msgs_s" in line:
            clients.setdefault(line["case"], []).append(line["msgs_s"] / 1e3)
    if clients:
        yield ""
        yield "Other publishers, thousand messages a second: " + "; ".join(
            f"{case} {shown(values, 1)}" for case, values in clients.items()) + "."


def stages(lines):
    """Where the time of a frame goes, by `sightwire bench`: of each clip and model the last repetition."""
    last = {(line["clip"], line["model"]): line for line in lines if line.get("row") == "stages"}
    for line in last.values():
        yield f"`sightwire bench`, {line['clip']}, {line['model']}: milliseconds a frame, p50 (p99)."
        yield ""
        yield "| " + " | ".join(stage["name"] for stage in line["stages"]) + " | bare model |"
        yield "|---" * (len(line["stages"]) + 1) + "|"
        cells = [f"{stage['p50']:.3f} ({stage['p99']:.3f})" for stage in [*line["stages"], line["bare"]]]
        yield "| " + " | ".join(cells) + " |"
        yield ""


def floors(lines):
    """What is there before anybody's program."""
    of = {row: [line for line in lines if line.get("row") == f"floor {row}"] for row in ("latency", "memory")}

    def middle(row, key):
        return statistics.median(line[key] for line in of[row])

    if of["latency"]:
        yield (f"On this machine a program that sleeps until a picture is due wakes {middle('latency', 'p50'):.2f} ms late (p99 "
               f"{middle('latency', 'p99'):.2f}): that is in everybody's latency, once for each thread and program on a message's way.")
        yield ""
    if of["memory"]:
        yield (f"FFmpeg's own program, which decodes the 1080p clip with one thread and drops the pictures, takes "
               f"{middle('memory', 'one'):.0f} MB, and {middle('memory', 'more'):.0f} MB for each further one.")
        yield ""


def machine():
    def first(command, nth=0):
        try:
            return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()[nth].strip()
        except (OSError, IndexError):
            return "?"

    with open("/proc/cpuinfo") as lines:
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "?")
    brokers = f"{first(['mosquitto', '-h'])}, {first(['nats-server', '--version'])}"
    commit = first(["git", "rev-parse", "--short", "HEAD"])
    return f"{os.cpu_count()} cores, {model}; {brokers}; commit {commit}"


def section(lines, peers, command, when):
    foreign = [line["foreign_cores"] for line in lines if "foreign_cores" in line]
    busy = f"{statistics.median(foreign):.2f} (at most {max(foreign):.2f})" if foreign else "not known"
    parts = [f"Run on {when} by `{command}`: {machine()}. Cores that others used meanwhile: {busy}.", ""]
    found = gather(lines)
    parts += [*main_table(found, peers), "", "Medians; in brackets the least and the most of the repetitions.", ""]
    own = [found.get(f"own latency {name}", {}).get("ours") for name in ("p50", "p99")]
    if all(own):
        p50, p99 = (shown(values, 2) for values in own)
        parts += ["The latency rows take the bare model's median from everybody's age of a message. Less each frame's own inference "
                  f"time, which only Sightwire's messages tell: p50 {p50} ms, p99 {p99} ms.", ""]
    parts += [*floors(lines), *rates(lines), "", *stages(lines)]
    return "\n".join(parts).rstrip()


def write(path, text):
    with open(path) as document:
        before, _, rest = document.read().partition(BEGIN)
    if END not in rest:
        raise SystemExit(f"{path} has lost its markers, {BEGIN} and {END}")
    with open(path, "w") as document:
        document.write(before + BEGIN + "\n\n" + text + "\n\n" + END + rest.partition(END)[2])
