import assert from "node:assert/strict";
import { card, says, scene, until } from "../world.mjs";

export default async function grid(world) {
  await world.start([
    `front-door: { source: ${scene("&seed=4")}, model: shapes, max_fps: 0, keyframes: { every: 1s } }`,
    `garden: { source: ${scene("&seed=2")}, model: shapes }`,
    'shed: { source: "rtsp://user:secret@127.0.0.1:9/stream", model: shapes }',
  ]);
  const page = await world.page();
  let [bytes, now, most] = [0, 0, 0];
  page.on("response", async (answer) => {
    const { pathname } = new URL(answer.url());
    if (pathname === "/" || pathname.startsWith("/page/")) {
      const { length } = await answer.body().catch(() => "");
      bytes += length;
    }
  });
  const thumbnail = (request) => /\/cameras\/[^/]+\/(frame|keyframe)\.jpg/.test(request.url());
  page.on("request", (request) => thumbnail(request) && (most = Math.max(most, (now += 1))));
  for (const over of ["requestfinished", "requestfailed"]) page.on(over, (request) => thumbnail(request) && (now -= 1));
  await page.goto(world.url);

  for (const name of ["front-door", "garden"]) {
    await says(card(page, name), "running");
    await until("frames a second", async () => Number(await card(page, name).locator(".card-figures b").first().textContent()) > 0);
    await until("a latency", async () => /\d/.test(await card(page, name).locator(".card-figures b").nth(1).textContent()));
    await until("labels", async () => (await card(page, name).locator(".label").count()) > 0);
    await moves(page, name);
  }
  // A dead camera: its state, since when, why, no picture, and no password.
  const dead = card(page, "shed");
  await says(dead, "failed");
  const words = await dead.locator(".instead").textContent();
  assert.match(words, /failed since \d\d:\d\d:\d\d.*refused/);
  assert.ok(!(await page.content()).includes("secret"));
  assert.equal(await dead.locator("img").isVisible(), false);

  assert.match(await page.locator("#node").textContent(), /garage.*version \d/);
  await until("the bus", async () => /mqtt.*connected.*\d+ waiting/i.test(await page.locator("#buses").textContent()));
  assert.match(await page.locator("#totals").textContent(), /2 of 3/);
  // A camera without keyframes has pictures of its events too.
  for (const name of ["front-door", "garden"]) {
    await until(`events of ${name}`, () => page.locator(".event", { hasText: name }).locator("img").first().isVisible());
  }
  // An event's tile moves on as newer ones come.
  await page.locator(".event:has(img)").first().evaluate((tile) => tile.click());
  await until("it opens large", () => page.locator("dialog img").evaluate((image) => image.complete && image.naturalWidth > 100));
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("dialog").isVisible(), false);
  assert.ok(most <= 2, `${most} thumbnails were fetched at once`);
  assert.ok(bytes > 10_000 && bytes < 300_000, `${bytes} bytes`);
  console.log(`the page: ${bytes} bytes; at most ${most} thumbnails at once`);
  await world.picture("light", page);
  await page.emulateMedia({ colorScheme: "dark" });
  await world.picture("dark", page);
  await page.goto(`${world.url}/#/cameras/shed`);
  await says(page.locator("#opened"), "failed");
  await world.picture("dead", page);
  world.clean();
}

/** The card's picture changes. */
async function moves(page, name) {
  const pixels = () => card(page, name).locator(".frame img").evaluate((image) => {
    if (!image.naturalWidth || image.hidden) return null;
    const canvas = new OffscreenCanvas(64, 36);
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0, 64, 36);
    return [...context.getImageData(0, 0, 64, 36).data].join();
  });
  const first = await until(`a picture of ${name}`, pixels);
  await until(`the picture of ${name} moves`, async () => ![null, first].includes(await pixels()));
}
