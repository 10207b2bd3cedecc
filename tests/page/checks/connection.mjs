import assert from "node:assert/strict";
import { card, says, scene, until } from "../world.mjs";

export default async function connection(world) {
  await world.start([`front-door: { source: ${scene("&seed=4")}, model: shapes, keyframes: { every: 1s } }`]);
  const [page, opened] = [await world.page(), await world.page()];
  // Beside what the node says, this connection says what a node says to who is too slow.
  let slow = null;
  await page.routeWebSocket(/\/ws$/, (socket) => {
    const node = socket.connectToServer();
    slow = () => socket.send('{"type":"missed","count":1234}');
    node.onMessage((message) => socket.send(message));
  });
  await page.goto(world.url);
  await opened.goto(`${world.url}/#/cameras/front-door`);
  await says(card(page, "front-door"), "running");
  await says(opened.locator("#opened"), "running");
  slow();
  await until("the page says what it missed", async () => /too slow for 1234 messages/.test(await page.locator("#missed").textContent()));
  world.clean();
  const boot = () => page.evaluate(async () => (await (await fetch("/api/node")).json()).boot_id);
  const [before, events] = [await boot(), await eventKeys(page)];
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
  assert.notEqual(await boot(), before);
  await until("the events of the node that runs now", async () => {
    const now = await eventKeys(page);
    return now.length > 0 && now.every((key) => !events.includes(key));
  });
  // The browser says each try that failed; nothing else may be there.
  world.clean(/ERR_CONNECTION_(REFUSED|RESET)|ERR_INCOMPLETE_CHUNKED|ERR_EMPTY_RESPONSE|ERR_SOCKET|WebSocket connection to/);
}

/** Which events are shown: their pictures' addresses name the boot. */
const eventKeys = (page) => page.locator(".event img").evaluateAll((images) => images.map((image) => image.getAttribute("src")));
