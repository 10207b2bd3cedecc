// The grid: one card a camera.

import { command } from "./api.js";
import { announce, el, id, write } from "./dom.js";
import { on, store } from "./store.js";
import * as thumbs from "./thumbs.js";
import { isLive, labelCounts, milliseconds, moment, plural, problem, rate, stateWord } from "./words.js";

/** As many as two rows hold: a card keeps its height whatever is in sight. */
const MOST_LABELS = 4;
const cards = new Map();

export function start() {
  on("cameras", list);
  on("camera", update);
  on("latest", (name) => labels(cards.get(name), store.cameras.get(name)));
  on("figures", (name) => figures(cards.get(name), store.cameras.get(name)));
}

function list() {
  const names = [...store.cameras.keys()].sort();
  for (const [name, card] of cards) {
    if (!store.cameras.has(name)) {
      thumbs.forget(name);
      card.root.remove();
      cards.delete(name);
    }
  }
  for (const name of names) if (!cards.has(name)) cards.set(name, make(name));
  const grid = id("grid");
  const wanted = names.map((name) => cards.get(name).root);
  const same = grid.children.length === wanted.length && wanted.every((root, index) => grid.children[index] === root);
  if (same) return;
  grid.replaceChildren(...(wanted.length ? wanted : [el("li", { class: "empty" }, "This node has no cameras. Add some under “cameras:” in its configuration.")]));
}

function make(name) {
  const card = {
    name,
    image: el("img", { alt: `Live picture of ${name}`, hidden: true }),
    instead: el("div", { class: "instead" }),
    age: el("span", { class: "age", hidden: true }),
    state: el("span", { class: "state" }),
    fps: el("b"), still: el("span", { title: "Nothing has changed in the picture: it is not inferred again (skip_static)", hidden: true }, " · still"), latency: el("b"), labels: el("div", { class: "labels" }),
    reason: el("p", { class: "card-reason", hidden: true }),
    answer: el("span", { class: "answer", role: "status" }),
  };
  card.button = el("button", { type: "button", onclick: () => toggle(card) });
  card.frame = el("div", { class: "frame" }, card.image, card.instead, card.age);
  const link = el("a", { href: `#/cameras/${name}` }, name);
  card.root = el(
    "li",
    { class: "card", "data-camera": name },
    card.frame,
    el("div", { class: "card-body" },
      el("div", { class: "card-head" }, el("h3", {}, link), card.state),
      el("p", { class: "card-figures" }, el("span", {}, card.fps, " frames/s", card.still), el("span", { title: "From capture to publish: 95 of 100 took no longer" }, "latency p95 ", card.latency)),
      card.reason,
      el("div", { class: "card-foot" }, card.labels, card.button),
      card.answer),
  );
  thumbs.follow(card);
  return card;
}

async function toggle(card) {
  const verb = store.cameras.get(card.name)?.state.desired === "stopped" ? "start" : "stop";
  card.button.disabled = true;
  const { ok, error } = await command(card.name, verb);
  card.button.disabled = false;
  card.answer.classList.toggle("refused", !ok);
  write(card.answer, ok ? "" : `${verb}: ${error?.message ?? "refused"}`);
}

function update(name) {
  const [card, camera] = [cards.get(name), store.cameras.get(name)];
  if (!card || !camera) return;
  const { state } = camera;
  const why = problem(state);
  if (card.shown && card.shown !== state.actual) announce(`${name}: ${stateWord(state.actual)}${why ? `, ${why}` : ""}`);
  card.shown = state.actual;
  card.state.className = `state ${state.actual}`;
  write(card.state, stateWord(state.actual));
  card.root.classList.toggle("bad", state.actual === "failed");
  card.reason.hidden = !(why && isLive(state));
  write(card.reason, why ?? "");
  // Never a stale picture that looks healthy: without a live camera there is none.
  card.image.hidden = !isLive(state) || !card.image.src;
  card.instead.hidden = !card.image.hidden;
  instead(card, state, why);
  const stopped = state.desired === "stopped";
  write(card.button, stopped ? "Start" : "Stop");
  card.button.setAttribute("aria-label", `${stopped ? "Start" : "Stop"} ${name}`);
  figures(card, camera);
  labels(card, camera);
}

function instead(card, state, why) {
  const since = state.since ? `since ${moment(state.since)}` : "";
  const words = isLive(state) ? "no picture yet" : stateWord(state.actual);
  const text = [words, isLive(state) ? "" : since, why ?? ""].join("|");
  if (card.insteadText === text) return;
  card.insteadText = text;
  card.instead.replaceChildren(el("strong", {}, isLive(state) ? words : `${words} ${since}`), why ?? "");
}

function figures(card, camera) {
  if (!card || !camera) return;
  const live = camera.state.actual === "running";
  const latest = camera.figures.at(-1);
  write(card.fps, live ? rate(camera.state.fps) : "–");
  card.still.hidden = !(live && latest?.frames.still > 0 && latest.frames.inferred === 0);
  write(card.latency, live ? milliseconds(latest?.latency?.p95) : "–");
}

function labels(card, camera) {
  if (!card || !camera) return;
  const counts = camera.state.actual === "running" && camera.latest ? labelCounts(camera.latest.detections) : [];
  const text = JSON.stringify(counts);
  if (card.labelsText === text) return;
  card.labelsText = text;
  const more = counts.length - MOST_LABELS;
  const shown = counts.slice(0, MOST_LABELS).map(([label, n]) => el("span", { class: "label" }, el("b", {}, String(n)), label));
  if (more > 0) shown.push(el("span", { class: "none" }, `and ${plural(more, "other")}`));
  card.labels.replaceChildren(...(shown.length ? shown : [el("span", { class: "none" }, camera.state.actual === "running" ? "nothing in sight" : "")]));
}
