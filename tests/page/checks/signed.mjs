import { card, says, scene, until } from "../world.mjs";

const control = "control: { trust_http: false, operators: { ana: { public_key: 11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo= } } }\n";

/** Where commands are to be signed over HTTP too, the page can stop, and says why it cannot start. */
export default async function signed(world) {
  await world.start([`front-door: { source: ${scene("&seed=4")}, model: shapes }`], { more: control });
  const page = await world.page();
  await page.goto(world.url);
  await says(card(page, "front-door"), "running");
  await card(page, "front-door").getByRole("button", { name: "Stop front-door" }).click();
  await says(card(page, "front-door"), "stopped");
  const refusal = /start is to be signed here.*sightwire ctl start --camera front-door/;
  await card(page, "front-door").getByRole("button", { name: "Start front-door" }).click();
  await until("the grid says why", async () => refusal.test(await card(page, "front-door").locator(".answer").textContent()));
  await page.goto(`${world.url}/#/cameras/front-door`);
  await page.locator('#opened [data-verb="start"]').click();
  await until("so does the camera opened", async () => refusal.test(await page.locator(".controls .answer").textContent()));
  await world.picture("refused", page);
  world.clean(/403 .*\/start/);
}
