#!/usr/bin/env python3
"""Writes fleet.json and camera.json, which Grafana takes as they are. `make dashboards` runs it; a test runs it into another folder and compares."""

import json
import pathlib
import sys

from grafana import (BLUE, GREEN, GREY, ORANGE, RED, YELLOW, bars, buckets, column, dashboard, datasource, graph, heatmap,
                     mean, named, quantile, quantiles, query, rate, seconds_a_second, stat, steps, table, timeline, variable)

FLEET, CAMERA = "sightwire-fleet", "sightwire-camera"
KEPT = "${datasource:queryparam}&${node:queryparam}&${bus:queryparam}&${__url_time_range}"
TO_CAMERA = {"title": "This camera in detail", "targetBlank": False,
             "url": f"/d/{CAMERA}/{CAMERA}?var-camera=${{__field.labels.camera}}&{KEPT}"}

STATES = {1: ("running", GREEN), 2: ("paused", BLUE), 3: ("stopped", BLUE), 4: ("ended", GREY), 5: ("connecting", ORANGE), 6: ("failed", RED)}
PICTURES = {0: ("fine", GREEN), 1: ("covered", ORANGE), 2: ("black", ORANGE), 3: ("frozen", RED)}
YES_NO = {0: ("no", RED), 1: ("yes", GREEN)}
UP_TO_A_SECOND = steps(GREEN, (0.5, YELLOW), (1, RED))
NONE_IS_FINE = steps(GREEN, (1, RED))
NONE_IS_BEST = steps(GREEN, (1, YELLOW))
SHARE = steps(GREEN, (0.8, YELLOW), (0.95, RED))
ROOM = steps(GREEN, (0.7, YELLOW), (0.9, RED))

PUBLISH, ACK, STAGE, TRIP = ("sightwire_capture_to_publish_seconds", "sightwire_capture_to_ack_seconds",
                             "sightwire_stage_duration_seconds", "sightwire_bus_round_trip_seconds")


def coded(metric, label, values, where, by):
    """One number for the series that is 1 of several."""
    ones = [f'{n} * {metric}{{{where}, {label}="{value}"}}' for value, n in values]
    return f"max by ({by}) ({' or '.join(ones)})"


def states(where, by="camera"):
    return coded("sightwire_camera_state", "state", [(text, n) for n, (text, _) in STATES.items()], where, by)


def pictures(where, by="camera"):
    return coded("sightwire_camera_picture", "condition", [("covered_lens", 1), ("black_picture", 2), ("frozen_picture", 3)], where, by)


def count_of(where, wanted):
    return f'sum(sightwire_camera_state{{{where}, state=~"{wanted}"}}) or vector(0)'


def in_trouble(where):
    """Failed, or connecting; one that is pushed to connects for as long as nobody pushes."""
    state = f"sightwire_camera_state{{{where}, state="
    pushed = f'on (instance, camera) sightwire_camera_info{{{where}, source="push"}} == 1'
    return f'count({state}"failed"}} == 1 or {state}"connecting"}} == 1 unless {pushed}) or vector(0)'


def lost_share(where, by):
    """Of the frames that were to be inferred, those that were not."""
    lost = rate("sightwire_frames_total", where + ', outcome=~"dropped_stale|failed"', by)
    wanted = rate("sightwire_frames_total", where + ', outcome=~"inferred|dropped_stale|failed"', by)
    return f"{lost} / {wanted}"


def on_node(expr):
    """Says the node's name beside its address."""
    return f"({expr}) * on (instance) group_left (node) max by (instance, node) (sightwire_build_info)"


def model_share(where):
    return f"{rate('sightwire_model_busy_seconds_total', where, 'instance, model')} / sum by (instance, model) (sightwire_model_workers{{{where}}})"


def alive(here):
    overview = [
        query(states(here), instant=True, format="table"),
        query(f"max by (camera) (sightwire_camera_fps{{{here}}})", instant=True, format="table"),
        query(quantile(0.95, PUBLISH, here, "camera"), instant=True, format="table"),
        query(lost_share(here, "camera"), instant=True, format="table"),
        query(pictures(here), instant=True, format="table"),
    ]
    link = {**TO_CAMERA, "url": TO_CAMERA["url"].replace("${__field.labels.camera}", "${__value.raw}")}
    return [
        stat("Cameras that run", "Cameras whose state is running.", "none", count_of(here, "running"), 4),
        stat("Cameras in trouble", "Cameras that are connecting or failed. Expand the table below: the log, `/readyz` and the camera's `state` topic say why.",
             "none", in_trouble(here), 4, thresholds=NONE_IS_FINE),
        stat("Cameras switched off", "Cameras that somebody stopped or paused, and files that came to their end: as they were wanted.",
             "none", count_of(here, "stopped|paused|ended"), 4, thresholds=steps(BLUE)),
        stat("Pictures that show nothing", "Cameras that run and whose picture is frozen, black or covered.",
             "none", f"sum(max by (instance, camera) (sightwire_camera_picture{{{here}}})) or vector(0)", 4, thresholds=NONE_IS_FINE),
        stat("Nodes that answer", "Nodes whose last scrape succeeded.", "none",
             'count(sightwire_build_info{instance=~"$instance"}) or vector(0)', 4),
        stat("Nodes that do not answer", "Targets whose last scrape failed, of the nodes that were seen in this time.",
             "none", 'sum(up{instance=~"$instance"} == bool 0)', 4, thresholds=NONE_IS_FINE),
        table("Every camera", "State, frames inferred a second, age of a message when it leaves (p95), share of frames lost, and whether the picture shows "
              "anything. A click on a camera opens it.", "none", overview, 14, 10,
              transformations=[
                  {"id": "joinByField", "options": {"byField": "camera", "mode": "outer"}},
                  {"id": "filterFieldsByName", "options": {"include": {"names": ["camera", "Value #A", "Value #B", "Value #C", "Value #D", "Value #E"]}}},
                  {"id": "organize", "options": {"excludeByName": {}, "indexByName": {}, "renameByName": {
                      "Value #A": "state", "Value #B": "fps", "Value #C": "age p95", "Value #D": "lost", "Value #E": "picture"}}}],
              overrides=[
                  column("camera", ("links", [link])),
                  column("state", ("mappings", named(STATES)), ("custom.cellOptions", {"type": "color-background"}), ("thresholds", steps(GREY))),
                  column("fps", ("decimals", 1)),
                  column("age p95", ("unit", "s"), ("thresholds", UP_TO_A_SECOND), ("custom.cellOptions", {"type": "color-text"})),
                  column("lost", ("unit", "percentunit"), ("decimals", 1)),
                  column("picture", ("mappings", named(PICTURES)), ("custom.cellOptions", {"type": "color-background"}), ("thresholds", steps(GREY)))]),
        timeline("States", "What each camera did, moment by moment.", [query(states(here), "{{camera}}")], named(STATES), 10, 10, links=[TO_CAMERA]),
    ]


def age(here, latency):
    return [
        graph("Age of a message when it leaves", "From the frame's capture until its detections message was handed to the bus's socket.",
              "s", quantiles(PUBLISH, latency), 12, limit=UP_TO_A_SECOND),
        heatmap("Age of a message when it leaves: all of them", "The same, every message: a second band is a second kind of delay.",
                "s", buckets(PUBLISH, latency), 12),
        graph("Which stage makes it so", "Mean time of one frame in each stage, stacked: the whole way. `wait` grows when the model is too slow for its cameras, "
              "`decode` includes waiting for the source's next frame, `deliver` grows with the broker.",
              "s", query(mean(STAGE, here, "stage"), "{{stage}}"), 12, stack=True),
        graph("The worst of each stage", "p95 of one frame's time in each stage.", "s", query(quantile(0.95, STAGE, here, "stage"), "{{stage}}"), 12),
    ]


def lost(here, every_bus):
    return [
        stat("Messages given up", "In the time shown, on all buses. Every one of them is counted by reason beside.", "none",
             f"sum(increase(sightwire_messages_dropped_total{{{every_bus}}}[$__range])) or vector(0)", 4, 8, thresholds=NONE_IS_FINE, decimals=0),
        graph("Messages given up: where and why", "A second, by bus, kind and reason: full (no room in memory), spool_full (no room on disk), damaged (unreadable on "
              "disk), closed (the shut-down's deadline).", "cps",
              query(f"topk(12, {rate('sightwire_messages_dropped_total', every_bus, 'bus, kind, reason')})", "{{bus}} {{kind}}: {{reason}}"), 10),
        graph("Messages refused", "A second, refused by the broker or too large for it.", "cps",
              query(rate("sightwire_messages_total", every_bus + ', outcome="refused"', "bus, kind"), "{{bus}} {{kind}}"), 10),
        graph("Frames not looked at: why", "A second. dropped_stale: a newer frame took its place before a worker was free; skipped_rate: max_fps asks for fewer; skipped_static: nothing had changed; "
              "dropped_paused: the camera was paused or stopped; failed: the model did.", "cps",
              query(rate("sightwire_frames_total", here + ', outcome!="inferred"', "outcome"), "{{outcome}}"), 12, stack=True),
        graph("Frames lost: where", "Share of the frames that were to be inferred and were not (dropped_stale, failed), the worst ten cameras.", "percentunit",
              query(f"topk(10, {lost_share(here, 'camera')})", "{{camera}}"), 12, most=1, links=[TO_CAMERA]),
        graph("Sources that break off", "Attempts to open a source again, capture threads given up and faults of the program's own, in a quarter of an hour.", "none",
              [query(f"topk(5, sum by (camera) (increase(sightwire_source_reconnects_total{{{here}}}[15m])))", "{{camera}} reconnects"),
               query(f"sum(increase(sightwire_source_abandoned_total{{{here}}}[15m]))", "threads given up"),
               query(f"sum(increase(sightwire_camera_panics_total{{{here}}}[15m]))", "faults")], 12),
        graph("Pictures that were not made", "A second: keyframes superseded or failed; frames of live video that were too many for the encoder, or failed.", "cps",
              [query(rate("sightwire_keyframes_total", here + ', outcome!="encoded"', "outcome"), "keyframe {{outcome}}"),
               query(rate("sightwire_video_frames_total", here + ', outcome!="encoded"', "outcome"), "video {{outcome}}"),
               query(f"sum(rate(sightwire_video_superseded_total{{{here}}}[$__rate_interval]))", "video superseded")], 12),
    ]


def broker(every_bus, latency):
    return [
        stat("Connected", "Buses that are connected, by node.", "none", on_node(f"min by (instance, bus) (sightwire_bus_connected{{{every_bus}}})"), 6, 6,
             text="value_and_name", legend="{{node}} {{bus}}", mappings=named(YES_NO), thresholds=steps(RED, (1, GREEN))),
        stat("Commands can arrive", "Every control topic is subscribed to: the stop button is connected.", "none",
             on_node(f"min by (instance, bus) (sightwire_bus_control_connected{{{every_bus}}})"), 6, 6,
             text="value_and_name", legend="{{node}} {{bus}}", mappings=named(YES_NO), thresholds=steps(RED, (1, GREEN))),
        graph("Round trip to the broker", "From publishing the delivery probe until it came back: the broker and the line alone.", "s",
              [query(quantile(q, TRIP, every_bus, "bus"), "{{bus}} " + name) for q, name in ((0.5, "p50"), (0.99, "p99"))], 12, 6),
        graph("Until it leaves, until the broker has it", "p95 from capture until handed to the socket, and until acknowledged (QoS 1, JetStream). "
              "What lies between them is the broker's.", "s",
              [query(quantile(0.95, PUBLISH, latency, "bus"), "{{bus}} left"), query(quantile(0.95, ACK, latency, "bus"), "{{bus}} acknowledged")], 12),
        graph("Messages that wait", "Accepted and not yet sent or acknowledged. Steady is fine; growing is a broker that is too slow, or away.", "none",
              query(f"sum by (bus, kind) (sightwire_outbox_messages{{{every_bus}}})", "{{bus}} {{kind}}"), 12, stack=True),
        graph("Messages a second", "Offered by the cameras, and what became of them.", "cps",
              query(rate("sightwire_messages_total", every_bus, "bus, outcome"), "{{bus}} {{outcome}}"), 12),
        graph("Spool", "How full the spool on disk is: what the broker has not acknowledged soon.", "percentunit",
              query(f"sum by (instance, bus) (sightwire_spool_bytes{{{every_bus}}}) / sum by (instance, bus) (sightwire_spool_max_bytes{{{every_bus}}})", "{{instance}} {{bus}}"),
              12, limit=ROOM, most=1),
        graph("Connections made anew, and complaints", "In a quarter of an hour, by bus: reconnects, and what the server said (`docs/reliability.md`).", "none",
              [query(f"sum by (bus) (increase(sightwire_bus_reconnects_total{{{every_bus}}}[15m]))", "{{bus}} reconnects"),
               query(f"topk(8, sum by (bus, notice) (increase(sightwire_bus_notices_total{{{every_bus}}}[15m])))", "{{bus}} {{notice}}")], 24, 6),
    ]


def room(here):
    node = 'instance=~"$instance"'
    model = model_share(node)
    cpu = f"{rate('process_cpu_seconds_total', node, 'instance')} / sum by (instance) (sightwire_cpu_cores{{{node}}})"
    fps = f'sum by (instance) (rate(sightwire_frames_total{{{node}, outcome="inferred"}}[$__rate_interval]))'
    fullest = f"max by (instance) ({model} or {cpu})"
    return [
        bars("Processor", "Share of the cores that the program may use. Near 100 % everything waits for everything.", "percentunit", on_node(cpu), "{{node}}", 6, 6, thresholds=SHARE),
        bars("Models", "Share of their time that a model's workers work. Near 100 % frames are dropped: fewer frames, a smaller model, or more workers where cores are free.",
             "percentunit", on_node(model), "{{node}} {{model}}", 6, 6, thresholds=SHARE),
        bars("Memory", "Resident memory, of what the program may use.", "percentunit",
             on_node(f"sum by (instance) (process_resident_memory_bytes{{{node}}}) / sum by (instance) (sightwire_memory_limit_bytes{{{node}}})"),
             "{{node}}", 6, 6, thresholds=ROOM),
        bars("Disk of state_dir", "Used room on the disk where spools and remembered switches lie, whoever uses it.", "percentunit",
             on_node(f"1 - max by (instance) (sightwire_state_dir_free_bytes{{{node}}}) / max by (instance) (sightwire_state_dir_size_bytes{{{node}}})"),
             "{{node}}", 6, 6, thresholds=ROOM),
        graph("Frames a second that still fit", "An estimate, by node: what is inferred now, as often as the fuller of processor and models has room for it again. "
              "It takes further frames to cost what these do.", "cps",
              query(on_node(f"{fps} * (1 / clamp({fullest}, 0.01, 1) - 1)"), "{{node}}"), 12),
        graph("Frames inferred a second", "Frames that the models looked at, by node.", "cps", query(on_node(fps), "{{node}}"), 12),
        graph("Processor and models over time", "Share of the cores, and of the workers of each model.", "percentunit",
              [query(on_node(cpu), "{{node}} processor"), query(on_node(model), "{{node}} {{model}}")], 12, limit=SHARE, most=1),
        graph("Memory over time", "Resident memory of the program.", "bytes",
              query(on_node(f"sum by (instance) (process_resident_memory_bytes{{{node}}})"), "{{node}}"), 12),
        graph("Open files", "Open file descriptors, of those the program may have.", "percentunit",
              query(on_node(f"sum by (instance) (process_open_fds{{{node}}}) / sum by (instance) (process_max_fds{{{node}}})"), "{{node}}"), 8, 6, limit=ROOM, most=1),
        graph("Threads", "Of the program, by node.", "none", query(on_node(f"sum by (instance) (process_threads{{{node}}})"), "{{node}}"), 8, 6),
        graph("Who watches", "Viewers of live video: pictures are encoded only for them.", "none",
              query(f"sum by (way) (sightwire_viewers{{{here}}})", "{{way}}"), 8, 6, stack=True),
    ]


def changed():
    node = 'instance=~"$instance"'
    return [
        stat("Configuration taken", "Whether the configuration was taken when it was read last. `no`: the node goes on with the one it had; the log says what is wrong.",
             "none", on_node(f"min by (instance) (sightwire_config_last_reload_successful{{{node}}})"), 6, 6, text="value_and_name",
             legend="{{node}}", mappings=named(YES_NO), thresholds=steps(RED, (1, GREEN))),
        stat("Runs since", "When the program was started.", "dateTimeFromNow", on_node(f"1000 * max by (instance) (process_start_time_seconds{{{node}}})"), 6, 6,
             text="value_and_name", legend="{{node}}", thresholds=steps(BLUE)),
        graph("Commands answered", "In five minutes, by command and result.", "none",
              query(f"sum by (command, result) (increase(sightwire_control_commands_total{{{node}}}[5m])) or vector(0)", "{{command}} {{result}}"), 12, 6),
        table("What runs where", "Version of the program and of ONNX Runtime, by node.", "none",
              [query(f"max by (node, instance, version, onnxruntime) (sightwire_build_info{{{node}}})", instant=True, format="table")], 12, 6,
              transformations=[{"id": "organize", "options": {"excludeByName": {"Time": True, "Value": True}, "indexByName": {}, "renameByName": {}}}]),
        table("Models", "How each model's outputs are decoded, and the device that was taken.", "none",
              [query(f"max by (instance, model, family, device) (sightwire_model_info{{{node}}})", instant=True, format="table")], 12, 6,
              transformations=[{"id": "organize", "options": {"excludeByName": {"Time": True, "Value": True}, "indexByName": {}, "renameByName": {}}}]),
    ]


def link_to(title, uid, tooltip):
    return {"type": "link", "title": title, "tooltip": tooltip, "url": f"/d/{uid}/{uid}", "icon": "dashboard", "asDropdown": False,
            "includeVars": True, "keepTime": True, "tags": [], "targetBlank": False}


def variables(camera_first):
    node = variable("node", "Node", "label_values(sightwire_build_info, node)", description="Names of nodes, as in their configuration")
    # A series says at which address it was scraped; sightwire_build_info says whose address that is.
    instance = variable("instance", "Address", 'label_values(sightwire_build_info{node=~"$node"}, instance)', hidden=True,
                        description="Follows from the node")
    camera = variable("camera", "Camera", 'label_values(sightwire_camera_state{instance=~"$instance"}, camera)', several=not camera_first)
    bus = variable("bus", "Bus", 'label_values(sightwire_bus_connected{instance=~"$instance"}, bus)')
    return [datasource(), node, instance, camera, bus]


def fleet():
    here = 'instance=~"$instance", camera=~"$camera"'
    every_bus = 'instance=~"$instance", bus=~"$bus"'
    latency = here + ', bus=~"$bus"'
    by_camera = graph("Age by camera", "p95 of the age of a message when it leaves, the worst ten cameras.", "s",
                      query(f"topk(10, {quantile(0.95, PUBLISH, latency, 'camera')})", "{{camera}}"), 24, limit=UP_TO_A_SECOND, links=[TO_CAMERA])
    return dashboard(FLEET, "Sightwire: fleet", "Every node and camera: alive, fresh, complete, and how much room is left. docs/metrics.md",
                     variables(False), [link_to("One camera", CAMERA, "A camera in detail")], [
                         ("Is every camera alive?", alive(here)),
                         ("How old is what I see, and which stage makes it so?", [*age(here, latency), by_camera]),
                         ("What is lost, where and why?", lost(here, every_bus)),
                         ("Is the broker the bottleneck?", broker(every_bus, latency)),
                         ("How much room is left on this machine?", room(here)),
                         ("What was changed?", changed()),
                     ])


def camera():
    here = 'instance=~"$instance", camera=~"$camera"'
    every_bus = 'instance=~"$instance", bus=~"$bus"'
    latency = here + ', bus=~"$bus"'
    node = 'instance=~"$instance"'
    work = STAGE, here + ', stage=~"preprocess|inference|postprocess|track"'
    return dashboard(CAMERA, "Sightwire: one camera", "One camera: alive, what it sees, how old, what is lost, what it costs. docs/metrics.md",
                     variables(True), [link_to("The fleet", FLEET, "All nodes and cameras")], [
        ("Is it alive?", [
            stat("State", "What the camera does.", "none", states(here), 6, mappings=named(STATES), thresholds=steps(GREY)),
            stat("Picture", "Whether the picture shows anything.", "none", pictures(here), 6, mappings=named(PICTURES), thresholds=steps(GREY)),
            stat("Frames a second", "Frames inferred a second, over the last five seconds.", "none",
                 f"max by (camera) (sightwire_camera_fps{{{here}}})", 6, graph=True, decimals=1),
            stat("Age p95", "Age of a message when it leaves.", "s", quantile(0.95, PUBLISH, latency), 6, graph=True, thresholds=UP_TO_A_SECOND),
            timeline("State and picture", "What the camera did, moment by moment.", [query(states(here), "state")], named(STATES), 12, 6),
            graph("Frames a second", "Read from the source, and inferred. What lies between them is below.", "cps",
                  [query(f"sum(rate(sightwire_frames_total{{{here}}}[$__rate_interval]))", "read"),
                   query(f'sum(rate(sightwire_frames_total{{{here}, outcome="inferred"}}[$__rate_interval]))', "inferred")], 12, 6),
        ]),
        ("What does it see?", [
            graph("Objects a second", "Objects detected and published, by label; the twelve most frequent.", "cps",
                  query(f"topk(12, {rate('sightwire_detections_total', here, 'label')}) or vector(0)", "{{label}}"), 24, stack=True),
        ]),
        ("How old is what I see, and which stage makes it so?", [
            *age(here, latency),
            *[heatmap(f"Stage: {stage}", text, "s", buckets(STAGE, f'{here}, stage="{stage}"'), 8, 6) for stage, text in (
                ("decode", "Until the source gave the frame, decoded: includes waiting for it."),
                ("wait", "Until a worker of the model was free."),
                ("inference", "In the model itself."))],
        ]),
        ("What is lost, where and why?", [
            graph("Frames not looked at: why", "A second. dropped_stale: a newer frame took its place before a worker was free; skipped_rate: max_fps asks for fewer; skipped_static: nothing had changed; "
                  "dropped_paused: paused or stopped; failed: the model did.", "cps",
                  query(rate("sightwire_frames_total", here + ', outcome!="inferred"', "outcome"), "{{outcome}}"), 12, stack=True),
            graph("Frames lost", "Share of the frames that were to be inferred and were not (dropped_stale, failed).", "percentunit",
                  query(lost_share(here, "camera"), "{{camera}}"), 12, most=1),
            graph("Where it breaks off", "In a quarter of an hour: attempts to open the source again, capture threads given up, faults of the program's own.", "none",
                  [query(f"sum(increase(sightwire_source_reconnects_total{{{here}}}[15m]))", "reconnects"),
                   query(f"sum(increase(sightwire_source_abandoned_total{{{here}}}[15m]))", "threads given up"),
                   query(f"sum(sightwire_source_abandoned_threads{{{here}}})", "threads stuck now"),
                   query(f"sum(increase(sightwire_camera_panics_total{{{here}}}[15m]))", "faults")], 12),
            graph("Keyframes", "A second, by what became of them.", "cps",
                  query(rate("sightwire_keyframes_total", here, "outcome"), "{{outcome}}"), 12),
        ]),
        ("Is the broker the bottleneck?", [
            graph("Until it leaves, until the broker has it", "p95 from capture until handed to the socket, and until acknowledged (QoS 1, JetStream). "
                  "What lies between them is the broker's.", "s",
                  [query(quantile(0.95, PUBLISH, latency, "bus"), "{{bus}} left"), query(quantile(0.95, ACK, latency, "bus"), "{{bus}} acknowledged")], 12),
            graph("Handing over", "p50, p95 and p99 of the stage `deliver`: from offered until handed to the socket.", "s",
                  quantiles(STAGE, here + ', stage="deliver"'), 12),
            graph("Round trip to the broker", "p95 of the delivery probe, by bus, of the node's buses.", "s",
                  query(quantile(0.95, TRIP, every_bus, "bus"), "{{bus}}"), 12, 6),
            stat("Connected", "The buses of the camera's node.", "none", f"min by (bus) (sightwire_bus_connected{{{every_bus}}})", 12, 6, text="value_and_name",
                 legend="{{bus}}", mappings=named(YES_NO), thresholds=steps(RED, (1, GREEN))),
        ]),
        ("How much of the machine does it take?", [
            graph("Of a model's worker", "Share of one worker's time that goes into this camera's frames.", "percentunit",
                  query(f"sum({seconds_a_second(*work, 'stage')})", "share"), 12),
            graph("Its model", "Share of their time that the workers of the camera's model work, for all its cameras. Near 100 % frames are dropped.", "percentunit",
                  query(f"({model_share(node)}) * on (instance, model) group_right () (sightwire_camera_info{{{here}}} == 1)", "{{model}}"),
                  12, limit=SHARE, most=1),
            graph("Pictures for viewers", "Time to encode one, by format.", "s",
                  query(mean("sightwire_video_encode_seconds", here, "format") + " or vector(0)", "{{format}}"), 12),
            graph("Video sent", "To viewers, by way.", "Bps", query(rate("sightwire_video_bytes_total", here, "way"), "{{way}}"), 12),
        ]),
    ])


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1]) if sys.argv[1:] else pathlib.Path(__file__).parent
    for name, made in (("fleet", fleet()), ("camera", camera())):
        (folder / f"{name}.json").write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
