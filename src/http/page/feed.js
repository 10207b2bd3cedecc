// The WebSocket: results and figures as they come; tried again, ever more slowly, when it is lost.

import { get, knock } from "./api.js";
import { setConnected, setEvents, take } from "./store.js";

const FIRST = 500;
const LONGEST = 10_000;
/** The figures come each second: a connection that says nothing for so long is dead. */
const SILENT = 6_000;

let wait = FIRST;

export function connect() {
  const url = new URL("/ws", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(url);
  let heard = Date.now();
  const watchdog = setInterval(() => {
    if (Date.now() - heard > SILENT) socket.close();
  }, 1000);

  socket.addEventListener("message", ({ data }) => {
    heard = Date.now();
    const message = JSON.parse(data);
    take(message);
    if (message.type === "snapshot") {
      wait = FIRST;
      setConnected(true);
      latestEvents();
    }
  });
  let over = false;
  const ended = () => {
    if (over) return;
    over = true;
    clearInterval(watchdog);
    setConnected(false);
    setTimeout(again, wait * (0.75 + Math.random() / 2));
    wait = Math.min(wait * 1.7, LONGEST);
  };
  socket.addEventListener("close", ended);
  // A close that the other side never answers takes a minute: it is over for us at once.
  socket.addEventListener("error", ended);
}

async function again() {
  // A refused WebSocket does not say why; a question does.
  await knock();
  connect();
}

async function latestEvents() {
  try {
    setEvents((await get("/api/events?limit=60")).events);
  } catch {
    // The next ones come by themselves.
  }
}
