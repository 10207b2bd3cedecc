import assert from "node:assert/strict";
import { deflateSync } from "node:zlib";
import { says, until } from "../world.mjs";

/** The lines that a program sends with its picture stand under it, as text whatever they hold. */
export default async function pushed(world) {
  await world.start(['canvas: { source: "push:", model: shapes, max_fps: 0 }']);
  const page = await world.page();
  await page.goto(`${world.url}/#/cameras/canvas`);
  await says(page.locator("#opened"), "connecting");
  const lines = ["Auftrag 4711 🎨", '<img src=x onerror="document.title=1">'];
  await push(world.url, lines);
  await says(page.locator("#opened"), "running");
  const shown = () => page.locator("#opened .said .texts li").allTextContents();
  await until("its lines are shown", async () => (await shown()).join("|") === lines.join("|"));
  assert.equal(await page.locator("#opened .said .texts img").count(), 0);
  await world.picture("pushed");
  await push(world.url, []);
  await until("the next picture has none", async () => (await shown()).length === 0);
  world.clean();
}

async function push(url, lines) {
  const query = new URLSearchParams(lines.map((line) => ["text", line]));
  const answer = await fetch(`${url}/cameras/canvas/frame?${query}`, { method: "PUT", headers: { "Content-Type": "image/png" }, body: png(160, 120) });
  assert.equal(answer.status, 202, await answer.text());
}

/** A grey PNG. */
function png(width, height) {
  const chunk = (kind, data) => {
    const whole = Buffer.concat([Buffer.from(kind), data]);
    const [length, crc] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    crc.writeUInt32BE(crc32(whole));
    return Buffer.concat([length, whole, crc]);
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 0, 0, 0, 0], 8);
  const rows = Buffer.alloc((width + 1) * height, 200);
  for (let y = 0; y < height; y += 1) rows[y * (width + 1)] = 0;
  return Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), chunk("IHDR", head), chunk("IDAT", deflateSync(rows)), chunk("IEND", Buffer.alloc(0))]);
}

function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}
