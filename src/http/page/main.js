// Begins here: views, the route (`#/cameras/<camera>`), and the connection to the node.

import { connect } from "./feed.js";
import * as events from "./events.js";
import * as grid from "./grid.js";
import * as header from "./header.js";
import * as opened from "./opened.js";
import { on, store } from "./store.js";
import { id } from "./dom.js";

function route() {
  const [, name] = location.hash.match(/^#\/cameras\/([a-z0-9_-]+)$/) ?? [];
  const before = opened.current();
  id("overview").hidden = Boolean(name);
  if (name) opened.open(name);
  else opened.close();
  events.only(name ?? null);
  // Back in the grid, the keyboard goes on where it was.
  if (!name && before) document.querySelector(`[data-camera="${before}"] a`)?.focus();
  if (Boolean(name) !== Boolean(before)) scrollTo(0, 0);
}

header.start();
grid.start();
events.start();
opened.start();
addEventListener("hashchange", route);
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && opened.current() && !document.querySelector("dialog[open]")) location.hash = "#/";
});
// A node that was updated brings a new page with it.
let version = null;
on("node", () => {
  if (version && version !== store.node.version) location.reload();
  version = store.node.version;
});
route();
connect();
