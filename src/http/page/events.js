// The latest events with their pictures: one tile a track, from its start to its end.

import { el, id, write } from "./dom.js";
import { on, store } from "./store.js";
import { moment, span } from "./words.js";

const SHOWN = 18;
let camera = null;
let due = false;
const tiles = new Map();

export function start() {
  // Many events come at once: they are shown together.
  const soon = () => {
    if (due) return;
    due = true;
    setTimeout(() => {
      due = false;
      show();
    }, 200);
  };
  on("events", soon);
  on("cameras", soon);
  id("viewer").addEventListener("click", (event) => event.target === id("viewer") && id("viewer").close());
}

/** Only those of this camera; `null`: of all. */
export function only(name) {
  camera = name;
  show();
}

/** What came into sight last is first; a track's end is told in the tile of its start, which stays where it is. */
function tracks() {
  const found = new Map();
  for (const event of store.events) {
    if (camera && event.camera !== camera) continue;
    const key = `${event.camera}-${event.boot_id}-${event.track_id}`;
    const track = found.get(key) ?? { key };
    track[event.event] = event;
    found.set(key, track);
  }
  const begun = ({ started, ended }) => (started ?? ended).first_seen;
  return [...found.values()].sort((a, b) => begun(b) - begun(a)).slice(0, SHOWN);
}

function show() {
  const wanted = tracks();
  const list = id("event-list");
  const keys = new Set(wanted.map(({ key }) => key));
  for (const key of [...tiles.keys()]) if (!keys.has(key)) tiles.delete(key);
  write(id("events-note"), camera ? `of ${camera}` : "");
  if (!wanted.length) {
    list.replaceChildren(el("li", { class: "empty" }, "Nothing has begun or ended yet."));
    return;
  }
  const items = wanted.map((track) => tile(track));
  const same = list.children.length === items.length && items.every((item, index) => list.children[index] === item);
  if (!same) list.replaceChildren(...items);
}

function tile(track) {
  const { started, ended } = track;
  const event = started ?? ended;
  const picture = started?.picture ?? ended?.picture ?? null;
  let made = tiles.get(track.key);
  if (!made) {
    const [shot, what, detail, time] = [el("span", { class: "shot" }), el("b"), el("span"), el("span")];
    const button = el("button", { type: "button", class: "event" }, shot, el("span", { class: "what" }, what, detail, time));
    made = { item: el("li", {}, button), shot, what, detail, time, picture: undefined };
    button.addEventListener("click", () => open(made));
    tiles.set(track.key, made);
  }
  if (made.picture !== picture) {
    made.picture = picture;
    const image = picture && el("img", { src: picture, alt: "", loading: "lazy" });
    image?.addEventListener("error", () => made.shot.replaceChildren("picture no longer kept"));
    made.shot.replaceChildren(image ?? "no picture");
  }
  made.words = `${event.label} #${event.track_id}`;
  const [seen, brief] = ended ? [`seen for ${span(ended.duration ?? 0)}`, span(ended.duration ?? 0)] : ["in sight", "in sight"];
  const score = `${Math.round((ended ?? event).score * 100)} %`;
  made.more = `${event.camera} · ${seen} · ${score}`;
  write(made.what, made.words);
  write(made.detail, camera ? `${seen} · ${score}` : event.camera);
  write(made.time, camera ? moment(event.first_seen) : `${moment(event.first_seen)} · ${brief}`);
  made.at = moment(event.first_seen);
  return made.item;
}

function open({ words, more, at, picture }) {
  const viewer = id("viewer");
  viewer.replaceChildren(
    picture ? el("img", { src: picture, alt: `The moment of ${words}` }) : el("p", { class: "viewer-text" }, "There is no picture of it."),
    el("div", { class: "viewer-text" }, el("h2", { id: "viewer-title" }, words), el("span", { class: "tally" }, `${at} · ${more}`),
      el("button", { type: "button", onclick: () => viewer.close() }, "Close")),
  );
  viewer.showModal();
}
