import assert from "node:assert/strict";
import axe from "axe-core";
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
  assert.match(await page.getByRole("alert").textContent(), /not the token/i);
  await readable(page);
  await page.emulateMedia({ colorScheme: "dark" });
  await readable(page);
  await world.picture("login-dark", page);
  world.forget();
  await page.locator('input[name="token"]').fill(TOKEN);
  await page.keyboard.press("Enter");
  await says(card(page, "front-door"), "running");
  assert.ok(!(await page.evaluate(() => document.cookie)).length, "no script sees the cookie");
  // A wrong token is answered so, and the browser says it.
  world.clean(/401 .*\/login$/);
  // Who logs out is out, in all that is opened from now on.
  await page.getByRole("button", { name: "Log out" }).click();
  await until("the form after logging out", () => new URL(page.url()).pathname === "/login");
  assert.equal((await page.request.get(`${world.url}/api/cameras`)).status(), 401);
  await page.locator('input[name="token"]').fill(TOKEN);
  await page.keyboard.press("Enter");
  await says(card(page, "front-door"), "running");
  // A login that has run out leads back to the form.
  await page.context().clearCookies();
  await world.kill();
  await until("the page notices", () => page.locator("#banner").isVisible());
  await world.again();
  await until("the form", () => new URL(page.url()).pathname === "/login");
}

/** No rule of axe is broken. */
async function readable(page) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => axe.run());
  assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`), []);
}
