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

/** Each view as it is with everything in it. */
const VIEWS = [["", "grid"], ["#/cameras/front-door", "opened"], ["#/cameras/shed", "dead"]];

async function shown(page, url, [hash, title]) {
  await page.goto(`${url}/${hash}`);
  if (title === "grid") await says(card(page, "shed"), "failed");
  else await says(page.locator("#opened"), title === "dead" ? "failed" : "running");
  if (title === "opened") await until("video", async () => /^Live by /.test(await page.locator(".runs").textContent()));
  if (title !== "dead") await page.locator(".event img").first().waitFor();
}

async function screenReader(world) {
  const page = await world.page({ reducedMotion: "reduce" });
  for (const view of VIEWS) {
    await shown(page, world.url, view);
    await page.evaluate(axe.source);
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      const { violations, passes } = await page.evaluate(() => axe.run());
      const grave = violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map(({ html }) => html).join(" ")}`);
      assert.deepEqual(grave, [], `axe: ${view[1]}, ${colorScheme}`);
      console.log(`axe: ${view[1]}, ${colorScheme}: ${passes.length} rules hold, none is broken`);
    }
    // State changes are announced, frames are not.
    assert.ok((await page.evaluate(() => document.querySelector("[aria-live]").textContent)).length < 100);
    const moving = await page.evaluate(() => document.getAnimations().length);
    assert.equal(moving, 0, "nothing is animated for who wants it calm");
  }
  await page.context().close();
}

async function phone(world) {
  const page = await world.page({ viewport: { width: 360, height: 760 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 });
  for (const view of VIEWS) {
    await shown(page, world.url, view);
    const wide = await page.evaluate(() => document.scrollingElement.scrollWidth);
    assert.ok(wide <= 360, `${view[1]} is ${wide} pixels wide`);
    const small = await page.locator("button:visible").evaluateAll((all) => all.filter((one) => one.getBoundingClientRect().height < 44).map((one) => one.outerHTML));
    assert.deepEqual(small, [], "every button is large enough for a finger");
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await world.picture(`phone-${view[1]}-${colorScheme}`, page);
    }
  }
  await page.context().close();
}
