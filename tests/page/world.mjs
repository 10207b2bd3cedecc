// What a check needs: the program with a configuration of its own, and pages of a browser that are watched.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { chromium } from "playwright-core";

/** Only ends a check that would fail anyway, milliseconds. */
export const PATIENCE = 40_000;
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
  "--disable-sync", "--autoplay-policy=no-user-gesture-required", "--allow-loopback-in-peer-connection",
];

/** Looks again and again until there is something. */
export async function until(what, look, patience = PATIENCE) {
  const start = Date.now();
  let last;
  for (;;) {
    try {
      const found = await look();
      if (found) return found;
      last = found;
    } catch (error) {
      last = error;
    }
    assert.ok(Date.now() - start < patience, `never happened: ${what} (${last})`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export const scene = (more = "") => `"synthetic:shapes?width=640&height=360&fps=10${more}"`;

export class World {
  #name; #folder = mkdtempSync(join(tmpdir(), "sightwire-page-")); #program = null; #log = []; #browser = null; #pages = [];

  constructor(name) {
    this.#name = name;
  }

  /** `cameras`: lines of YAML; `http`: more of that section; `more`: other sections. */
  async start(cameras, { http = "", more = "" } = {}) {
    this.port ??= await freePort();
    this.url = `http://127.0.0.1:${this.port}`;
    this.#write(cameras, http, more);
    await this.again();
  }

  /** Other cameras, while it runs. */
  reload(cameras) {
    this.#write(cameras);
    this.#program.kill("SIGHUP");
  }

  #write(cameras, http = "", more = "") {
    const lines = cameras.map((line) => `  ${line}\n`).join("");
    const text = `node: garage\nstate_dir: state\nhttp: { listen: "127.0.0.1:${this.port}"${http} }\n` +
      `models: { shapes: { path: "bundled:shapes" } }\n${more}cameras:\n${lines}`;
    writeFileSync(join(this.#folder, "sightwire.yaml"), text);
  }

  get folder() {
    return this.#folder;
  }

  /** Starts the program once more. */
  async again() {
    const program = spawn(resolve(process.env.SIGHTWIRE), ["run", "-c", "sightwire.yaml", "--log-format", "json"], { cwd: this.#folder, stdio: ["ignore", "ignore", "pipe"] });
    this.#program = program;
    let up = false;
    program.stderr.setEncoding("utf8").on("data", (text) => {
      this.#log.push(text);
      up ||= text.includes('"message":"running"');
    });
    await until("the program runs", () => {
      assert.equal(program.exitCode, null, this.log());
      return up;
    });
  }

  async kill() {
    const ended = new Promise((resolve) => this.#program.once("exit", resolve));
    this.#program.kill("SIGKILL");
    await ended;
  }

  log() {
    return this.#log.join("").split("\n").slice(-40).join("\n");
  }

  /** A page whose errors and requests are kept. `flags`: more of the browser's, told before its first page. */
  async page({ flags = [], ...options } = {}) {
    this.#browser ??= await chromium.launch({ executablePath: "/usr/bin/chromium", args: [...FLAGS, ...flags] });
    const context = await this.#browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE);
    if (process.env.PAGE_FILES) await page.route(/\/page\/[a-z]+\.[a-z]+$/, freshly);
    const seen = { errors: [], outside: [] };
    page.on("console", (message) => message.type() === "error" && seen.errors.push(`${message.text()} ${message.location().url}`));
    page.on("pageerror", (error) => seen.errors.push(error.stack));
    page.on("request", (request) => {
      const { protocol, host } = new URL(request.url());
      if (["http:", "https:", "ws:", "wss:"].includes(protocol) && host !== `127.0.0.1:${this.port}`) seen.outside.push(request.url());
    });
    this.#pages.push({ page, seen });
    return page;
  }

  /** Nothing went wrong in the browser, and nothing was asked of others. `but`: what may be among the errors. */
  clean(but = null) {
    for (const { seen } of this.#pages) {
      assert.deepEqual(seen.errors.filter((error) => !but?.test(error)), [], "no errors in the browser's console");
      assert.deepEqual(seen.outside, [], "no outside address");
    }
  }

  /** The browser is put to sleep, as with the lid of a laptop, all of its processes. */
  async sleep(milliseconds) {
    const session = await this.#browser.newBrowserCDPSession();
    const { processInfo } = await session.send("SystemInfo.getProcessInfo");
    const signal = (name) => processInfo.forEach(({ id }) => process.kill(id, name));
    signal("SIGSTOP");
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    signal("SIGCONT");
  }

  /** How many see a camera by a way, as the node counts them. */
  async viewers(way) {
    const lines = (await (await fetch(`${this.url}/metrics`)).text()).split("\n");
    const counted = lines.filter((line) => line.startsWith("sightwire_viewers{") && line.includes(`way="${way}"`));
    return counted.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
  }

  forget() {
    for (const { seen } of this.#pages) seen.errors.length = 0;
  }

  /** A screenshot for people. */
  async picture(title, page = this.#pages.at(-1)?.page, options = {}) {
    if (process.env.PICTURES) await page?.screenshot({ path: join(process.env.PICTURES, `${this.#name}-${title}.png`), ...options });
  }

  async end() {
    await this.#browser?.close();
    this.#program?.kill("SIGKILL");
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** The card of a camera in the grid. */
export const card = (page, name) => page.locator(`[data-camera="${name}"]`);

/** The state, as the page says it, of a card or of the camera that is opened. */
export async function says(where, state) {
  await until(`the page says ${state}`, async () => (await where.locator(".state").first().textContent()) === state);
}

/** Follows `/ws` in the page: what came by now, in `window.heard`. */
export function listen(page, query = "") {
  return page.evaluate((query) => {
    window.heard = [];
    const socket = new WebSocket(`ws://${location.host}/ws${query}`);
    socket.onmessage = ({ data }) => {
      window.heard.push(JSON.parse(data));
      if (window.heard.length > 3000) window.heard.shift();
    };
    return new Promise((resolve) => (socket.onopen = resolve));
  }, query);
}

/** While one works on the page: its files from the working tree, not those that the program was built with. */
async function freshly(route) {
  const path = join(process.env.PAGE_FILES, basename(new URL(route.request().url()).pathname));
  await route.fulfill({ path });
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
