import assert from "node:assert/strict";
import axe from "axe-core";
import { card, says, scene, until } from "../world.mjs";

export default async function access(world) {
  await world.start([
    `front-door: { source: ${scene("&seed=4")}, model: shapes, keyframes: { every: 1s } }`,
    `a-camera-with-a-rather-long-name-that-somebody-chose: { source: ${scene("&seed=2")}, model: shapes }`,
    'shed: { source: "rtsp://127.0.0.1:9/a/rather/long/path/of/a/stream/that/is/not/there", model: shapes }',
  ]);
  await keyboard(world);
  await screenReader(world);
  await phone(world);
  world.clean();
}

async function keyboard(world) {
  const page = await world.page();
  await page.goto(world.url);
  await says(card(page, "front-door"), "running");
  const focused = () => page.evaluate(() => document.activeElement.textContent);
  await page.keyboard.press("Tab");
  assert.match(await focused(), /Skip/);
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "content");
  const reach = async (words) => {
    for (let presses = 0; presses < 40; presses += 1) {
      await page.keyboard.press("Tab");
      if (words.test(await focused())) return;
    }
    assert.fail(`the keyboard never reaches ${words}`);
  };
  await reach(/^front-door$/);
  const ring = await page.evaluate(() => getComputedStyle(document.activeElement, "::after").outlineWidth);
  assert.equal(ring, "3px", "the focus can be seen");
  await page.keyboard.press("Enter");
  await until("it opens, and says so to who cannot see it", async () => (await page.evaluate(() => document.activeElement.id)) === "opened-title");
  await reach(/^Stop$/);
  await page.keyboard.press("Escape");
  await until("it closes, and the keyboard is where it was", async () => (await focused()) === "front-door");
  await page.goBack();
  assert.equal(await page.locator("#opened").isVisible(), true, "the back button works");
  await page.goForward();
  assert.equal(await page.locator("#opened").isVisible(), false);
}

async function screenReader(world) {
  for (const colorScheme of ["light", "dark"]) {
    const page = await world.page({ colorScheme, reducedMotion: "reduce" });
    for (const [hash, state] of [["", null], ["#/cameras/front-door", "running"], ["#/cameras/shed", "failed"]]) {
      await page.goto(`${world.url}/${hash}`);
      if (state) await says(page.locator("#opened"), state);
      else await says(card(page, "shed"), "failed");
      await page.waitForTimeout(1500);
      await page.evaluate(axe.source);
      const { violations, passes } = await page.evaluate(() => axe.run());
      const grave = violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map(({ html }) => html).join(" ")}`);
      assert.deepEqual(grave, [], `axe: ${hash || "the grid"}, ${colorScheme}`);
      console.log(`axe: ${hash || "the grid"}, ${colorScheme}: ${passes.length} rules hold, none is broken`);
      // State changes are announced, frames are not.
      const spoken = await page.evaluate(() => document.querySelector("[aria-live]").textContent);
      assert.ok(spoken.length < 100);
    }
    await page.context().close();
  }
}

async function phone(world) {
  for (const colorScheme of ["light", "dark"]) {
    const page = await world.page({ viewport: { width: 360, height: 760 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2, colorScheme });
    for (const [hash, title] of [["", "phone"], ["#/cameras/front-door", "phone-opened"], ["#/cameras/shed", "phone-dead"]]) {
      await page.goto(`${world.url}/${hash}`);
      await page.waitForTimeout(3000);
      const wide = await page.evaluate(() => document.scrollingElement.scrollWidth);
      assert.ok(wide <= 360, `${title} is ${wide} pixels wide`);
      await world.picture(`${title}-${colorScheme}`, page);
    }
    await page.context().close();
  }
}
