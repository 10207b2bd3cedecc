import assert from "node:assert/strict";
import { card, says, scene, until } from "../world.mjs";

const front = `front-door: { source: ${scene("&seed=4")}, model: shapes }`;
const garden = `garden: { source: ${scene("&seed=2")}, model: shapes }`;
const attic = `attic: { source: ${scene("&seed=3")}, model: shapes }`;

/** Cameras that come and go while one looks on. */
export default async function reload(world) {
  await world.start([front, garden]);
  const [page, opened] = [await world.page(), await world.page()];
  await page.goto(world.url);
  await opened.goto(`${world.url}/#/cameras/garden`);
  const live = () => until("video", async () => /^Live by /.test(await opened.locator(".runs").textContent()));
  await says(card(page, "garden"), "running");
  await live();

  world.reload([front]);
  await until("the card is gone", async () => (await card(page, "garden").count()) === 0);
  await says(opened.locator("#opened"), "no such camera on this node");
  assert.match(await opened.locator("#opened .instead").textContent(), /removed from its configuration/);
  assert.equal(await opened.locator(".frame video").count(), 0, "no picture of a camera that is gone");
  assert.equal(await opened.locator('[data-verb="stop"]').isDisabled(), true);
  await says(card(page, "front-door"), "running");

  world.reload([front, garden, attic]);
  for (const name of ["attic", "front-door", "garden"]) await says(card(page, name), "running");
  const names = await page.locator("[data-camera]").evaluateAll((cards) => cards.map((card) => card.dataset.camera));
  assert.deepEqual(names, ["attic", "front-door", "garden"]);
  await says(opened.locator("#opened"), "running");
  await live();
  assert.equal(await opened.locator('[data-verb="stop"]').isDisabled(), false);
  // A picture, or the end of a session, may be asked of a camera that has just gone.
  world.clean(/(404|503) .*\/cameras\/garden\//);
}
