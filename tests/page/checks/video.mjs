import assert from "node:assert/strict";
import { install, WAYS } from "../pixels.mjs";
import { listen, says, scene, until } from "../world.mjs";

const camera = "front-door";
const NAMES = { webrtc: "WebRTC", hls: "HLS", mjpeg: "MJPEG" };

export default async function video(world) {
  await world.start([`${camera}: { source: ${scene("&seed=4&clock=true")}, model: shapes, max_fps: 0 }`]);
  const page = await world.page();
  await page.goto(`${world.url}/#/cameras/${camera}`);
  await says(page.locator("#opened"), "running");
  await listen(page, `?camera=${camera}`);
  await install(page);
  // By itself the page takes the way with the lowest latency.
  await until("WebRTC is chosen", async () => /^Live by WebRTC$/.test(await page.locator(".runs").textContent()));
  for (const way of WAYS) {
    await page.locator(`input[name="way"][value="${way}"]`).check({ force: true });
    await until(`the page says ${way}`, async () => (await page.locator(".runs").textContent()) === `Live by ${NAMES[way]}`);
    await looked(page, way);
  }
  await world.picture("opened", page);
  await page.emulateMedia({ colorScheme: "dark" });
  await world.picture("opened-dark", page);
  await rests(world, page);
  await fallsBack(page);
  world.clean(/whep|hls|stream\.mjpeg/);
}

/** Pictures move, in the right size, and each shows the boxes that its own message tells of. */
async function looked(page, way) {
  const shown = page.locator(`.frame [data-way="${way}"]`);
  const samples = new Map();
  await until(`pictures by ${way} with the boxes of their own messages`, async () => {
    const sample = await shown.evaluate((shown) => {
      const image = window.grab(shown);
      const at = image && window.clock(image);
      const message = at && window.heard.find(({ type, timestamp }) => type === "detections" && Math.abs(timestamp * 1000 - at) < 1.5);
      if (!message || message.detections.length < 2) return null;
      return { at, size: [image.width, image.height], right: window.lines(image, message.detections), wrong: window.lines(image, message.detections, 14) };
    });
    if (sample) samples.set(sample.at, sample);
    return samples.size >= 12;
  });
  const all = [...samples.values()];
  const mean = (of) => all.reduce((sum, sample) => sum + sample[of], 0) / all.length;
  console.log(`${way}: ${all.length} different pictures of ${all[0].size.join("x")}; lines of their own boxes seen ${mean("right").toFixed(2)}, of boxes moved by 14 pixels ${mean("wrong").toFixed(2)}`);
  assert.deepEqual(all[0].size, [640, 360]);
  assert.ok(mean("right") > 0.7, `${way}: the boxes are where the messages say: ${mean("right")}`);
  assert.ok(mean("wrong") < mean("right") - 0.3, `${way}: and nowhere else: ${mean("wrong")}`);
  if (way !== "mjpeg") {
    const frames = () => shown.evaluate((video) => video.getVideoPlaybackQuality().totalVideoFrames);
    const before = await frames();
    await until("the video's frame counter grows", async () => (await frames()) > before + 5);
  }
}

/** Nothing is encoded for a page that nobody sees; it goes on where somebody looks again. */
async function rests(world, page) {
  const hide = (hidden) => page.evaluate((hidden) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
  assert.equal(await world.viewers("mjpeg"), 1);
  await hide(true);
  await until("nobody watches", async () => (await world.viewers("mjpeg")) === 0);
  assert.equal(await page.locator("#opened canvas[data-way]").count(), 0, "and no old picture is left standing");
  await hide(false);
  await until("it is watched again", async () => (await page.locator(".runs").textContent()) === "Live by MJPEG");
}

/** A way that does not work is left for the next one, and the page says so. */
async function fallsBack(page) {
  await page.route("**/whep", (route) => route.fulfill({ status: 503, contentType: "application/problem+json", body: '{"detail":"no more viewers"}' }));
  await page.locator('input[name="way"][value="auto"]').check({ force: true });
  await until("HLS instead", async () => /^Live by HLS \(WebRTC: no more viewers\)$/.test(await page.locator(".runs").textContent()));
  await page.route("**/hls/**", (route) => route.fulfill({ status: 404, body: "" }));
  await page.locator('input[name="way"][value="mjpeg"]').check({ force: true });
  await page.locator('input[name="way"][value="auto"]').check({ force: true });
  await until("MJPEG instead", async () => /^Live by MJPEG \(WebRTC: .+; HLS: not available\)$/.test(await page.locator(".runs").textContent()));
}
