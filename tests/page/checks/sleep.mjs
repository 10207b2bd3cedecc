import assert from "node:assert/strict";
import { says, scene, until } from "../world.mjs";

/** Milliseconds; the node leaves a WebRTC viewer that was silent for 25 s. */
const ASLEEP = 30_000;

/** The lid is closed and opened again. */
export default async function sleep(world) {
  await world.start([`front-door: { source: ${scene("&seed=4")}, model: shapes, max_fps: 0 }`]);
  const page = await world.page();
  await page.goto(`${world.url}/#/cameras/front-door`);
  for (const [way, name] of [["webrtc", "WebRTC"], ["hls", "HLS"], ["mjpeg", "MJPEG"]]) {
    await page.locator(`input[name="way"][value="${way}"]`).check({ force: true });
    const live = () => until(`${name} runs`, async () => (await page.locator(".runs").textContent()) === `Live by ${name}`);
    await live();
    await world.sleep(ASLEEP);
    await until("the page is connected", async () => !(await page.locator("#banner").isVisible()));
    await says(page.locator("#opened"), "running");
    await until("messages of now", async () => Number((await page.locator(".said-head").textContent()).match(/([\d.]+) s old/)?.[1]) < 5);
    await live();
    await until(`moving pictures by ${name}`, () => moves(page, way));
  }
  assert.ok((await world.viewers("webrtc")) <= 1, "what slept is not counted as a viewer twice");
}

/** Two different pictures within a second. */
async function moves(page, way) {
  const picture = () => page.locator(`.frame [data-way="${way}"]`).evaluate((shown) => {
    const canvas = new OffscreenCanvas(64, 36);
    const context = canvas.getContext("2d");
    context.drawImage(shown, 0, 0, 64, 36);
    return [...context.getImageData(0, 0, 64, 36).data].join();
  });
  const first = await picture();
  await page.waitForTimeout(1000);
  return first !== (await picture());
}
