// How old is what one sees? The scene carries its time of capture; the page reads it from the pixels, against the clock.

import assert from "node:assert/strict";
import { install, WAYS } from "../pixels.mjs";
import { listen, says, until } from "../world.mjs";

const SAMPLES = 150;
/** Milliseconds, for the median: what the issue asks for, HLS 3 s. */
const MOST = { webrtc: 150, mjpeg: 150, hls: 3000 };

export default async function latency(world) {
  await world.start(['clock: { source: "synthetic:shapes?width=640&height=480&fps=15&clock=true", model: shapes, max_fps: 0 }']);
  const page = await world.page();
  await page.goto(`${world.url}/#/cameras/clock`);
  await says(page.locator("#opened"), "running");
  await install(page);
  await listen(page, "?camera=clock");
  const result = {};
  for (const way of WAYS) {
    await page.locator(`input[name="way"][value="${way}"]`).check({ force: true });
    await until(`${way} runs`, async () => (await page.locator(".runs").textContent()).toLowerCase() === `live by ${way}`);
    await page.waitForTimeout(4000);
    await page.evaluate(() => (window.heard.length = 0));
    const ages = await page.locator(`.frame [data-way="${way}"]`).evaluate((shown, samples) => new Promise((resolve) => {
      const ages = [];
      let last = 0;
      const look = () => {
        const image = window.grab(shown);
        const at = image && window.clock(image);
        // Each picture once, when it is first seen.
        if (at && at !== last) {
          last = at;
          ages.push(Date.now() - at);
        }
        if (ages.length < samples) requestAnimationFrame(look);
        else resolve(ages);
      };
      look();
    }), SAMPLES);
    ages.sort((a, b) => a - b);
    const at = (part) => ages[Math.min(ages.length - 1, Math.floor(ages.length * part))];
    result[way] = { p50: at(0.5), p95: at(0.95) };
    const published = await page.evaluate(() => window.heard.filter(({ type, latency }) => type === "figures" && latency).map(({ latency }) => latency.p50));
    published.sort((a, b) => a - b);
    console.log(`glass to page by ${way}: p50 ${at(0.5)} ms, p95 ${at(0.95)} ms (${ages.length} pictures, at most ${MOST[way]} ms is asked of p50; ` +
      `capture to publish meanwhile: p50 ${published[Math.floor(published.length / 2)]?.toFixed(0)} ms)`);
  }
  for (const way of WAYS) assert.ok(result[way].p50 < MOST[way], `${way}: ${result[way].p50} ms`);
  world.clean();
}
