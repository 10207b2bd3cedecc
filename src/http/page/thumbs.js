// Thumbnails. A browser opens six connections to a server that speaks HTTP/1.1, so pictures are fetched one after the
// other, of visible cards only, and never more than two at once: fifty cameras starve neither the API nor the video.

import { write } from "./dom.js";
import { store } from "./store.js";
import { isLive, span } from "./words.js";

const AT_ONCE = 2;
/** Milliseconds from one picture of a card to its next. */
const EVERY = 1000;
/** A camera that gave no picture is asked again so much later. */
const LATER = 4000;
/** A picture that is older is marked by its age, seconds. */
const OLD = 5;

const cards = new Map();
const visible = new Set();
let busy = 0;
let held = false;

const sight = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const name = target.dataset.camera;
    if (isIntersecting) visible.add(name);
    else visible.delete(name);
  }
  pump();
}, { rootMargin: "120px" });

export function follow(card) {
  cards.set(card.name, { card, due: 0, loading: false });
  sight.observe(card.root);
}

export function forget(name) {
  const entry = cards.get(name);
  if (!entry) return;
  sight.unobserve(entry.card.root);
  if (entry.url) URL.revokeObjectURL(entry.url);
  cards.delete(name);
  visible.delete(name);
}

/** No thumbnails while a camera is opened large. */
export function hold(yes) {
  held = yes;
  pump();
}

function due() {
  const now = performance.now();
  const waiting = [...visible].map((name) => cards.get(name)).filter((entry) => {
    const camera = entry && store.cameras.get(entry.card.name);
    return camera && !entry.loading && entry.due <= now && isLive(camera.state);
  });
  // Who has waited longest comes first.
  return waiting.sort((a, b) => a.due - b.due)[0];
}

function pump() {
  if (held || document.hidden || !store.connected) return;
  while (busy < AT_ONCE) {
    const entry = due();
    if (!entry) return;
    busy += 1;
    entry.loading = true;
    load(entry).finally(() => {
      busy -= 1;
      entry.loading = false;
      pump();
    });
  }
}

async function load(entry) {
  const { card } = entry;
  entry.due = performance.now() + EVERY;
  try {
    const answer = await fetch(`/cameras/${card.name}/frame.jpg`, { cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error(String(answer.status));
    show(entry, await answer.blob(), Number(answer.headers.get("x-timestamp")));
  } catch {
    entry.due = performance.now() + LATER;
  }
}

function show(entry, blob, made) {
  const { card } = entry;
  const camera = store.cameras.get(card.name);
  if (!camera || !cards.has(card.name)) return;
  const url = URL.createObjectURL(blob);
  card.image.src = url;
  if (entry.url) URL.revokeObjectURL(entry.url);
  entry.url = url;
  card.image.hidden = !isLive(camera.state);
  card.instead.hidden = !card.image.hidden;
  entry.made = made;
  age(entry);
}

/** A picture that is followed by none grows old, and says so. */
function age({ card, made }) {
  const seconds = made ? Date.now() / 1000 - made : 0;
  card.age.hidden = seconds < OLD || card.image.hidden;
  if (!card.age.hidden) write(card.age, `${span(seconds)} old`);
}

document.addEventListener("visibilitychange", pump);
setInterval(pump, 100);
setInterval(() => visible.forEach((name) => cards.has(name) && age(cards.get(name))), 1000);
