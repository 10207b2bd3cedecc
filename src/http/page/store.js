// What the page knows, from the node's messages. Views ask to be told when a part of it changes.

const SECONDS = 120;
const EVENTS = 60;

const listeners = new Map();

export const store = {
  connected: false,
  node: null,
  buses: [],
  /** By name: {state, latest, figures: newest last, heardAt}. */
  cameras: new Map(),
  /** The newest first. */
  events: [],
};

/** `what` is one of: connection, node, buses, cameras (the list), camera, latest, figures, events. */
export function on(what, listener) {
  if (!listeners.has(what)) listeners.set(what, new Set());
  listeners.get(what).add(listener);
  return () => listeners.get(what).delete(listener);
}

export function tell(what, detail) {
  for (const listener of listeners.get(what) ?? []) listener(detail);
}

function camera(name) {
  return store.cameras.get(name);
}

const takes = {
  snapshot({ node, cameras, buses }) {
    const known = store.cameras;
    const sameBoot = store.node?.boot_id === node.boot_id;
    store.node = node;
    store.buses = buses;
    store.cameras = new Map(
      cameras.map(({ state, latest }) => [
        state.camera,
        { state, latest: latest ?? null, figures: (sameBoot && known.get(state.camera)?.figures) || [] },
      ]),
    );
    if (!sameBoot) store.events = [];
    for (const what of ["node", "buses", "cameras"]) tell(what);
    for (const name of store.cameras.keys()) {
      tell("camera", name);
      tell("latest", name);
    }
  },
  state({ type, ...state }) {
    const known = camera(state.camera);
    if (known) {
      known.state = state;
      if (state.actual !== "running" && state.actual !== "paused") known.latest = null;
    } else {
      store.cameras.set(state.camera, { state, latest: null, figures: [] });
      tell("cameras");
    }
    tell("camera", state.camera);
  },
  detections({ type, ...message }) {
    const known = camera(message.camera);
    if (!known) return;
    known.latest = message;
    tell("latest", message.camera);
  },
  figures({ type, ...figures }) {
    const known = camera(figures.camera);
    if (!known) return;
    known.figures.push(figures);
    const oldest = figures.timestamp - SECONDS - 2;
    while (known.figures.length && known.figures[0].timestamp < oldest) known.figures.shift();
    known.state.fps = figures.fps;
    tell("figures", figures.camera);
  },
  buses({ buses }) {
    store.buses = buses;
    tell("buses");
  },
  node({ type, ...node }) {
    store.node = node;
    const named = new Set(node.cameras.map(({ name }) => name));
    let gone = false;
    for (const name of [...store.cameras.keys()]) {
      if (!named.has(name)) gone = store.cameras.delete(name) || gone;
    }
    if (gone) tell("cameras");
    tell("node");
  },
  event({ type, ...event }) {
    store.events.unshift(event);
    store.events.length = Math.min(store.events.length, EVENTS);
    tell("events");
  },
  picture({ id, picture }) {
    const event = store.events.find((event) => event.id === id);
    if (event) event.picture = picture;
    tell("events");
  },
  missed({ count }) {
    tell("missed", count);
  },
};

/** Takes a message of the node; what a newer node says besides is not for this page. */
export function take(message) {
  takes[message.type]?.(message);
}

export function setConnected(connected) {
  if (store.connected === connected) return;
  store.connected = connected;
  tell("connection");
}

export function setEvents(events) {
  store.events = events.slice(0, EVENTS);
  tell("events");
}
