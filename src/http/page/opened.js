// A camera opened large.

import * as charts from "./charts.js";
import * as controls from "./controls.js";
import { announce, el, id, write } from "./dom.js";
import { Player, WAYS } from "./player.js";
import { on, store } from "./store.js";
import * as thumbs from "./thumbs.js";
import { count, isLive, milliseconds, moment, problem, rate, span, stateWord } from "./words.js";

/** Milliseconds that a short look elsewhere may take. */
const AWAY = 4000;
let view = null;
let hiddenAt = null;
let leaving = null;

export const current = () => view?.name ?? null;

export function start() {
  on("camera", (name) => name === current() && update());
  on("latest", (name) => name === current() && said());
  on("figures", (name) => name === current() && figures());
  on("cameras", () => view && update());
  on("connection", () => view && store.connected && view.player.again());
  document.addEventListener("visibilitychange", looking);
  setInterval(() => view && ages(), 1000);
}

/** Who does not look needs no video: the node encodes for nobody. Whatever slept begins anew, with the newest picture. */
function looking() {
  clearTimeout(leaving);
  if (document.hidden) {
    hiddenAt = Date.now();
    leaving = setTimeout(() => view?.player.rest(), AWAY);
    return;
  }
  if (!view) return;
  // A tab that was frozen had no timers.
  if (Date.now() - hiddenAt > AWAY) view.player.rest();
  update();
}

export function open(name) {
  if (view?.name === name) return;
  close();
  view = build(name);
  id("opened").hidden = false;
  id("opened").replaceChildren(...view.parts);
  thumbs.hold(true);
  update();
  said();
  figures();
  view.title.focus({ preventScroll: true });
}

export function close() {
  if (!view) return;
  view.player.close();
  id("opened").hidden = true;
  id("opened").replaceChildren();
  view = null;
  thumbs.hold(false);
}

function build(name) {
  const made = { name };
  made.title = el("h2", { id: "opened-title", tabindex: "-1" }, name);
  made.state = el("span", { class: "state" });
  made.since = el("span", { class: "since" });
  made.control = controls.make(name);
  made.frame = el("div", { class: "frame" });
  made.instead = el("div", { class: "instead" });
  made.runs = el("span", { class: "runs", role: "status" });
  made.player = new Player(name, made.frame, (words) => write(made.runs, words));
  made.when = el("span");
  made.texts = el("ul", { class: "texts", "aria-label": "What was sent with the picture", hidden: true });
  made.message = el("span");
  made.lines = el("tbody");
  made.facts = el("dl");
  made.charts = charts.make(name);
  const head = el("div", { class: "opened-head" },
    el("a", { class: "back", href: "#/" }, "← All cameras"), made.title, made.state, made.since,
    el("div", { class: "stop-slot" }, ...made.control.buttons));
  const screen = el("section", { class: "panel screen", "aria-label": "Live picture" }, ways(made), made.frame, saidTable(made));
  const side = el("div", { class: "side" },
    el("section", { class: "panel controls", "aria-label": "Controls" }, ...made.control.parts),
    el("section", { class: "panel facts", "aria-label": "Figures" }, el("h3", {}, "Figures"), made.facts));
  made.parts = [head, screen, side, made.charts.root];
  return made;
}

function ways(made) {
  const choice = ([way, words]) => {
    const input = el("input", { type: "radio", name: "way", value: way, onchange: () => made.player.choose(way) });
    input.checked = made.player.wanted === way;
    return el("label", {}, input, el("span", {}, words));
  };
  return el("div", { class: "ways" },
    el("fieldset", {}, el("legend", { class: "unseen" }, "How the video comes"), ...Object.entries(WAYS).map(choice)), made.runs);
}

function saidTable(made) {
  const heads = [["Object"], ["Score", "number"], ["Track", "number"], ["Centre x, y", "number"]];
  return el("div", { class: "said" },
    el("div", { class: "said-head" }, made.when, made.message),
    made.texts,
    el("div", { class: "lines" }, el("table", {},
      el("caption", { class: "unseen" }, "What the latest message said"),
      el("thead", {}, el("tr", {}, ...heads.map(([text, kind]) => el("th", { scope: "col", class: kind }, text)))),
      made.lines)));
}

function update() {
  const camera = store.cameras.get(view.name);
  if (!camera) {
    if (store.node) missing();
    return;
  }
  const { state } = camera;
  const why = problem(state);
  if (view.shown && view.shown !== state.actual) announce(`${view.name}: ${stateWord(state.actual)}`);
  view.shown = state.actual;
  view.state.className = `state ${state.actual}`;
  write(view.state, stateWord(state.actual));
  write(view.since, state.since ? `since ${moment(state.since)}` : "");
  view.control.update(state);
  screen(state, why);
  said();
}

/** It was removed, or never was here; when it comes (back), everything begins. */
function missing() {
  view.state.className = "state failed";
  write(view.state, "no such camera on this node");
  write(view.since, "");
  view.shown = null;
  view.control.update(null);
  view.player.rest();
  view.frame.classList.add("off");
  view.instead.replaceChildren("This node has no camera of this name. It may have been removed from its configuration.");
  view.frame.append(view.instead);
  view.facts.replaceChildren();
  said();
}

/** The video of a camera that runs; else, in words, why there is none. */
function screen(state, why) {
  const live = isLive(state);
  view.frame.classList.toggle("off", !live);
  if (live) {
    view.instead.remove();
    if (!document.hidden) view.player.play();
    return;
  }
  view.player.rest();
  view.instead.replaceChildren(el("strong", {}, `${stateWord(state.actual)}${state.since ? ` since ${moment(state.since)}` : ""}`), why ?? "");
  view.frame.append(view.instead);
}

function said() {
  const camera = store.cameras.get(view.name);
  const latest = camera?.latest;
  if (!latest) {
    const why = !camera || isLive(camera.state) ? "No message yet." : `No message: the camera is ${stateWord(camera.state.actual)}.`;
    view.lines.replaceChildren(el("tr", {}, el("td", { colspan: "4" }, why)));
    texts([]);
    write(view.message, "");
    ages();
    return;
  }
  const percent = (value) => `${Math.round(value * 100)}`;
  // By track, not by score: a row stays where it is while its object is in sight.
  const rows = [...latest.detections].sort((a, b) => (a.track_id ?? Infinity) - (b.track_id ?? Infinity) || b.score - a.score).slice(0, 40).map(({ label, score, track_id: track, bbox }) =>
    el("tr", {}, el("td", {}, label), el("td", { class: "number" }, score.toFixed(2)),
      el("td", { class: "number" }, track === undefined ? "–" : `#${track}`),
      el("td", { class: "number" }, `${percent((bbox[0] + bbox[2]) / 2)} %, ${percent((bbox[1] + bbox[3]) / 2)} %`)));
  view.frame.style.aspectRatio = `${latest.frame.width} / ${latest.frame.height}`;
  view.lines.replaceChildren(...(rows.length ? rows : [el("tr", {}, el("td", { colspan: "4" }, "Nothing in sight."))]));
  texts(latest.text ?? []);
  const more = latest.detections.length > 40 ? ` · the first 40 of ${latest.detections.length}` : "";
  const again = latest.inferred_at ? ` · found ${span(latest.timestamp - latest.inferred_at)} before: the picture is still` : "";
  write(view.message, `message ${latest.seq} · frame ${latest.frame.id} · ${latest.frame.width}×${latest.frame.height}${more}${again}`);
  ages();
}

/** Lines that a program sent with its picture. */
function texts(lines) {
  view.texts.hidden = lines.length === 0;
  const shown = JSON.stringify(lines);
  if (view.textsShown === shown) return;
  view.textsShown = shown;
  view.texts.replaceChildren(...lines.map((line) => el("li", {}, line)));
}

function ages() {
  const latest = store.cameras.get(view.name)?.latest;
  write(view.when, latest ? `${moment(latest.timestamp, true)} · ${span(Date.now() / 1000 - latest.timestamp)} old` : "");
}

function figures() {
  const camera = store.cameras.get(view.name);
  if (!camera) return;
  const { state } = camera;
  const now = camera.figures.at(-1);
  const live = isLive(state);
  const spread = live && now?.latency;
  const rows = [
    ["Frames a second", live ? rate(state.fps) : "–"],
    ["Latency p50 / p95", spread ? `${milliseconds(spread.p50)} / ${milliseconds(spread.p95)}` : "–"],
    ["Inference p50", live ? milliseconds(now?.stages.inference?.p50) : "–"],
    ...(state.settings.skip_static ? [["Skipped, still, a second", live && now ? count(now.frames.still) : "–"]] : []),
    ["Dropped a second", live && now ? count(now.frames.dropped) : "–"],
    ["Queue", live && now ? count(now.queue) : "–"],
    ["Frames wanted", state.settings.max_fps > 0 ? `${state.settings.max_fps} a second` : "all"],
    ["Model", state.settings.model],
    ["Source", state.settings.source, "wide"],
  ];
  if (view.facts.children.length !== rows.length * 2) {
    view.facts.replaceChildren(...rows.flatMap(([name, , kind]) => [el("dt", { class: kind }, name), el("dd", { class: kind })]));
  }
  rows.forEach(([, value], index) => write(view.facts.children[index * 2 + 1], value));
  view.charts.draw(camera);
}
