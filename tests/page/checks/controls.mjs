import assert from "node:assert/strict";
import { card, listen, says, scene, until } from "../world.mjs";

const camera = "front-door";

export default async function controls(world) {
  await world.start([`${camera}: { source: ${scene("&seed=4")}, model: shapes, max_fps: 0 }`]);
  const page = await world.page();
  await page.goto(`${world.url}/#/cameras/${camera}`);
  const opened = page.locator("#opened");
  await says(opened, "running");
  await listen(page);
  // On a busy machine a good-bye takes its time; the session is to be there still.
  const goodByes = [];
  await page.route("**/whep/*", async (route) => {
    await new Promise((done) => setTimeout(done, 300));
    await route.continue();
  });
  page.on("response", (answer) => answer.request().method() === "DELETE" && goodByes.push(answer.status()));
  const button = (verb) => opened.locator(`[data-verb="${verb}"]`);
  const answered = (words) => until(`the answer ${words}`, async () => words.test(await opened.locator(".controls .answer").textContent()));
  const silent = async () => {
    // What was on its way when the answer came is here soon.
    await page.waitForTimeout(300);
    await page.evaluate(() => (window.heard.length = 0));
    await page.waitForTimeout(1500);
    assert.equal(await detections(page), 0, "no message after the answer");
  };
  const speaks = () => until("messages", async () => (await detections(page)) > 3);

  await speaks();
  const { width, height } = await button("stop").boundingBox();
  assert.ok(width >= 100 && height >= 44, `stop is ${width}x${height}`);
  await button("stop").click();
  await answered(/^Stop: applied, the camera is stopped at \d/);
  await says(opened, "stopped");
  await silent();
  assert.deepEqual(goodByes, [204], "the session of the video was ended");
  assert.match(await opened.locator(".instead").textContent(), /stopped since/);
  await world.picture("stopped", page);
  await button("start").click();
  await answered(/^Start: applied/);
  await says(opened, "running");
  await speaks();

  await button("pause").click();
  await answered(/^Pause: applied/);
  await says(opened, "paused");
  await silent();
  await button("resume").click();
  await says(opened, "running");
  await speaks();

  const keyframe = () => page.evaluate(async (camera) => (await fetch(`/cameras/${camera}/keyframe.jpg`)).ok, camera);
  assert.equal(await keyframe(), false, "this camera makes no keyframes by itself");
  world.forget();
  await button("snapshot").click();
  await answered(/^Snapshot: taken/);
  await until("a keyframe", keyframe);

  // The slider sends what it is set to when it is let go.
  const slider = opened.locator("#confidence");
  await slider.fill("0.85");
  await answered(/^Confidence: applied, 0\.85/);
  assert.equal(await page.evaluate(async (camera) => (await (await fetch(`/api/cameras/${camera}`)).json()).settings.confidence, camera), 0.85);
  await page.evaluate(() => (window.heard.length = 0));
  await speaks();
  const scores = await page.evaluate(() => window.heard.filter(({ type }) => type === "detections").flatMap(({ detections }) => detections.map(({ score }) => score)));
  assert.ok(scores.every((score) => score >= 0.85), `${scores}`);

  // What is refused is said, with the reason.
  await page.route("**/snapshot", (route) => route.continue({ url: route.request().url().replace("snapshot", "snapshoot") }));
  await button("snapshot").click();
  await answered(/^Snapshot: refused, .+/);
  world.forget();

  // One click in the grid stops as well; somebody else's stop shows here.
  await page.goto(`${world.url}/#/`);
  await card(page, camera).getByRole("button", { name: `Stop ${camera}` }).click();
  await says(card(page, camera), "stopped");
  await until("no picture", async () => !(await card(page, camera).locator("img").isVisible()));
  await fetch(`${world.url}/api/cameras/${camera}/start`, { method: "POST" });
  await says(card(page, camera), "running");
  world.clean(/snapshoot|keyframe\.jpg/);
}

const detections = (page) => page.evaluate(() => window.heard.filter(({ type }) => type === "detections").length);
