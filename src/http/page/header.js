// The node: its name and version, its buses, its totals.

import { el, id, write } from "./dom.js";
import { on, store } from "./store.js";
import { count, milliseconds, plural, rate } from "./words.js";

/** Milliseconds. */
const MISSED_SHOWN = 15_000;
let forgetting = null;

export function start() {
  on("node", node);
  on("buses", buses);
  on("connection", connection);
  on("missed", missed);
  setInterval(totals, 1000);
}

function node() {
  const { node: name, version } = store.node;
  id("node").replaceChildren(el("strong", {}, name), `version ${version}`);
  document.title = `${name} · Sightwire`;
}

function buses() {
  id("buses").replaceChildren(...store.buses.map(bus));
  totals();
}

function bus({ name, connected, problem, round_trip: trip, messages }) {
  const word = !connected ? "not connected" : problem ? "trouble" : "connected";
  const details = [`${count(messages.waiting)} waiting`];
  if (messages.lost > 0) details.push(`${count(messages.lost)} lost`);
  const slow = connected && trip !== undefined ? el("small", { class: "trip" }, `· round trip ${milliseconds(trip)}`) : null;
  return el(
    "span",
    { class: `bus ${!connected ? "down" : problem ? "ill" : "up"}`, title: problem },
    el("b", {}, name), el("span", { class: "word" }, word), el("small", {}, details.join(" · ")), slow,
    problem && el("span", { class: "unseen" }, problem),
  );
}

function totals() {
  const cameras = [...store.cameras.values()];
  const sum = (of) => cameras.reduce((all, camera) => all + of(camera), 0);
  const running = cameras.filter(({ state }) => state.actual === "running").length;
  const rows = [
    ["cameras running", `${running} of ${cameras.length}`],
    ["frames/s", rate(sum(({ state }) => (state.actual === "running" ? state.fps : 0)))],
    ["delivered", count(store.buses.reduce((all, { messages }) => all + messages.delivered, 0))],
    ["lost", count(store.buses.reduce((all, { messages }) => all + messages.lost, 0))],
  ];
  const list = id("totals");
  if (list.children.length !== rows.length) {
    list.replaceChildren(...rows.map(([name]) => el("div", {}, el("dt", {}, name), el("dd"))));
  }
  rows.forEach(([, value], index) => write(list.children[index].lastElementChild, value));
  const bad = cameras.filter(({ state }) => state.actual === "failed").length;
  write(id("tally"), cameras.length === 0 ? "" : bad > 0 ? `${plural(cameras.length, "camera")}, ${bad} failed` : plural(cameras.length, "camera"));
}

/** The node says how much this viewer was too slow for: what is shown is right again with the next message. */
function missed(count) {
  const note = id("missed");
  note.hidden = false;
  write(note, `This page was too slow for ${plural(count, "message")}, which it did not see.`);
  clearTimeout(forgetting);
  forgetting = setTimeout(() => (note.hidden = true), MISSED_SHOWN);
}

function connection() {
  const lost = !store.connected;
  document.body.classList.toggle("lost", lost);
  const banner = id("banner");
  banner.hidden = !lost;
  write(banner, lost ? "Connection to the node lost; trying again. What you see is old." : "");
}
