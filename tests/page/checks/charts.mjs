import assert from "node:assert/strict";
import { scene, until } from "../world.mjs";

export default async function charts(world) {
  await world.start([`front-door: { source: ${scene("&seed=4")}, model: shapes, max_fps: 0 }`]);
  const page = await world.page();
  await page.goto(`${world.url}/#/cameras/front-door`);
  const canvases = page.locator(".chart canvas");
  assert.equal(await canvases.count(), 3);
  for (const [index, words] of [/inference \d[\d.]* ms/, /read \d+, inferred \d+/, /(circle|square|triangle|star|cross) \d+/].entries()) {
    const canvas = canvases.nth(index);
    await until("the chart in words", async () => words.test(await canvas.getAttribute("aria-label")));
    // The coloured part, axes aside.
    const drawn = () => canvas.evaluate((canvas) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      let [sum, coloured] = [0, 0];
      for (let at = 0; at < data.length; at += 4) {
        const [r, g, b, a] = data.slice(at, at + 4);
        if (a > 128 && Math.max(r, g, b) - Math.min(r, g, b) > 60) {
          coloured += 1;
          sum = (sum + at * (r + 2 * g + 3 * b)) % 1_000_000_007;
        }
      }
      return { coloured, sum };
    });
    const first = await until("a chart", async () => ((await drawn()).coloured > 30 ? drawn() : null));
    await until("the chart moves", async () => (await drawn()).sum !== first.sum);
    await until("the chart grows", async () => (await drawn()).coloured > first.coloured);
  }
  assert.match(await page.locator(".legend").first().textContent(), /inference \d/);
  world.clean();
}
