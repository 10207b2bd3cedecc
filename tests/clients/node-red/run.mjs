// Runs the example flow in a real Node-RED, against a real mosquitto and the real program, and looks at what its nodes say.
// Called by `.ci/clients` as: node run.mjs SIGHTWIRE FLOWS NODE_RED_FOLDER
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [program, flowsFile, nodeRed] = process.argv.slice(2);
const work = mkdtempSync(join(tmpdir(), "sightwire-node-red-"));
const children = [];

function start(name, command, args, options = {}) {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
  child.said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (child.said += text));
  child.on("error", (error) => (child.said += `${name} cannot be started: ${error.message}`));
  children.push(child);
  return child;
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

// Patience only ends a test that would fail anyway.
async function eventually(what, look, context = () => "") {
  const end = Date.now() + 60_000;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`never happened: ${what}\n${context()}`);
    await new Promise((wake) => setTimeout(wake, 100));
  }
}

async function main() {
  const [broker, page, admin] = [await freePort(), await freePort(), await freePort()];
  writeFileSync(join(work, "mosquitto.conf"), `listener ${broker} 127.0.0.1\nallow_anonymous true\n`);
  start("mosquitto", "/usr/sbin/mosquitto", ["-c", join(work, "mosquitto.conf")]);
  writeFileSync(
    join(work, "sightwire.yaml"),
    `node: garage
state_dir: ${work}/state
buses: { mqtt: { url: "mqtt://127.0.0.1:${broker}" } }
models: { shapes: { path: "bundled:shapes" } }
cameras: { front-door: { source: "synthetic:shapes?width=320&height=240&fps=5", model: shapes } }
http: { listen: "127.0.0.1:${page}" }
`,
  );
  const node = start("sightwire", program, ["run", "-c", join(work, "sightwire.yaml")]);

  const flows = JSON.parse(readFileSync(flowsFile, "utf8"));
  // What a user sets: the broker's address, and the label that is looked for.
  const server = flows.find((each) => each.type === "mqtt-broker");
  [server.broker, server.port] = ["127.0.0.1", String(broker)];
  const tab = flows.find((each) => each.type === "tab");
  const set = (name, value) => (tab.env.find((each) => each.name === name).value = value);
  set("LABEL", "circle");
  set("MIN_SCORE", "0.4");

  writeFileSync(
    join(work, "settings.js"),
    "module.exports = { uiHost: '127.0.0.1', telemetry: { enabled: false, updateNotification: false } };",
  );
  const red = start("node-red", process.execPath, [
    join(nodeRed, "node_modules/node-red/red.js"), "--userDir", join(work, "node-red"),
    "--settings", join(work, "settings.js"), "--port", String(admin),
  ]);
  const says = () => `sightwire said:\n${node.said}\nNode-RED said:\n${red.said}`;
  const base = `http://127.0.0.1:${admin}`;
  const answers = () => fetch(`${base}/settings`).then((reply) => reply.ok, () => false);
  await eventually("Node-RED answers", answers, says);

  // Import, as the menu does. What it warns of before is about its own empty folder.
  const before = red.said.length;
  const imported = await fetch(`${base}/flows`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "Node-RED-Deployment-Type": "full" },
    body: JSON.stringify(flows),
  });
  assert.equal(imported.status, 204, await imported.text());

  const debug = [];
  const comms = new WebSocket(`${base.replace("http", "ws")}/comms`);
  await new Promise((open, fail) => ([comms.onopen, comms.onerror] = [open, fail]));
  comms.onmessage = ({ data }) => {
    for (const { topic, data: said } of [JSON.parse(data)].flat()) {
      if (topic === "debug") debug.push({ node: said.id, name: said.name, text: said.msg });
    }
  };
  comms.send(JSON.stringify({ subscribe: "debug" }));
  const named = (name) => flows.find((each) => each.name === name && each.type !== "comment").id;
  const said = (name, words) => debug.find((each) => each.node === named(name) && words.test(each.text));
  const shown = () => `${says()}\ndebug said:\n${debug.map((each) => `${each.name}: ${each.text}`).join("\n")}`;
  const press = async (button) => {
    debug.length = 0;
    const pressed = await fetch(`${base}/inject/${named(button)}`, { method: "POST" });
    assert.equal(pressed.status, 200, `the button ${button}`);
  };

  const told = await eventually("a notification", () => said("notification", /front-door: \d+ × circle/), shown);
  console.log(`notification  ${told.text}`);
  console.log(`camera        ${(await eventually("a camera's state", () => said("camera", /front-door: running/), shown)).text}`);
  await press("status");
  console.log(`status        ${(await eventually("the answer to status", () => said("answer", /status applied, now running/), shown)).text}`);
  await press("stop");
  console.log(`stop          ${(await eventually("the answer to stop", () => said("answer", /stop applied, now stopped/), shown)).text}`);
  await eventually("the camera's state after it", () => said("camera", /front-door: stopped, wanted stopped/), shown);
  await press("start");
  console.log(`start         ${(await eventually("the answer to start", () => said("answer", /start applied/), shown)).text}`);
  await eventually("notifications again", () => said("notification", /× circle/), shown);
  node.kill("SIGKILL");
  console.log(`killed        ${(await eventually("the will", () => said("node", /offline/), shown)).text}`);
  // Anything that a node of the flow complains about would be there.
  assert.doesNotMatch(red.said.slice(before), /\[(error|warn)\]/i, red.said);
}

let failed = false;
try {
  await main();
  console.log("the example flow works in Node-RED");
} catch (error) {
  failed = true;
  console.error(error);
}
await Promise.all(children.map((child) => {
  child.kill("SIGTERM");
  const ended = child.exitCode !== null || child.signalCode !== null;
  return ended ? null : Promise.race([
    new Promise((done) => child.once("exit", done)),
    new Promise((late) => setTimeout(() => late(child.kill("SIGKILL")), 5_000).unref()),
  ]);
}));
rmSync(work, { recursive: true, force: true });
process.exit(failed ? 1 : 0);
