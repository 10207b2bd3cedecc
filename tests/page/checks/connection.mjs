import assert from "node:assert/strict";
import { card, says, scene, until } from "../world.mjs";

export default async function connection(world) {
  await world.start([`front-door: { source: ${scene("&seed=4")}, model: shapes, keyframes: { every: 1s } }`]);
  const [page, opened] = [await world.page(), await world.page()];
  await page.goto(world.url);
  await opened.goto(`${world.url}/#/cameras/front-door`);
  await says(card(page, "front-door"), "running");
  await says(opened.locator("#opened"), "running");
  world.clean();
  await world.kill();
  for (const one of [page, opened]) {
    await until("the page says that the node is lost", () => one.locator("#banner").isVisible());
    assert.match(await one.locator("#banner").textContent(), /lost; trying again/);
    assert.ok(await one.evaluate(() => document.body.classList.contains("lost")), "pictures are dimmed");
  }
  await world.picture("lost", page);
  await world.again();
  for (const one of [page, opened]) await until("the page is back", async () => !(await one.locator("#banner").isVisible()));
  await says(card(page, "front-door"), "running");
  await says(opened.locator("#opened"), "running");
  await until("new messages", async () => {
    const first = await opened.locator(".said-head").textContent();
    await opened.waitForTimeout(500);
    return first !== (await opened.locator(".said-head").textContent());
  });
  // The browser says each try that failed; nothing else may be there.
  world.clean(/ERR_CONNECTION_(REFUSED|RESET)|ERR_INCOMPLETE_CHUNKED|ERR_EMPTY_RESPONSE|ERR_SOCKET|WebSocket connection to/);
}
