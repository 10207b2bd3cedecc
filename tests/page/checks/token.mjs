import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { card, says, scene, until } from "../world.mjs";

const TOKEN = "a-token-of-thirty-two-characters";

export default async function token(world) {
  writeFileSync(join(world.folder, "token"), `${TOKEN}\n`);
  await world.start([`front-door: { source: ${scene("&seed=4")}, model: shapes }`], { http: ", token_file: token" });
  for (const path of ["/api/cameras", "/ws", "/api/events", "/page/main.js", "/metrics"]) {
    const answer = await fetch(world.url + path, { redirect: "manual" });
    assert.equal(answer.status, 401, path);
  }
  const page = await world.page();
  await page.goto(world.url);
  assert.equal(new URL(page.url()).pathname, "/login");
  await world.picture("login", page);
  await page.locator('input[name="token"]').fill("a-token-that-somebody-guessed-at");
  await page.keyboard.press("Enter");
  await page.waitForLoadState();
  assert.equal(new URL(page.url()).pathname, "/login");
  world.forget();
  await page.locator('input[name="token"]').fill(TOKEN);
  await page.keyboard.press("Enter");
  await says(card(page, "front-door"), "running");
  assert.ok(!(await page.evaluate(() => document.cookie)).length, "no script sees the cookie");
  // A wrong token is answered so, and the browser says it.
  world.clean(/401 .*\/login$/);
  // A login that has run out leads back to the form.
  await page.context().clearCookies();
  await world.kill();
  await until("the page notices", () => page.locator("#banner").isVisible());
  await world.again();
  await until("the form", () => new URL(page.url()).pathname === "/login");
}
