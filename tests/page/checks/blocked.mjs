import assert from "node:assert/strict";
import { scene, until } from "../world.mjs";

const cameras = [`front-door: { source: ${scene("&seed=4")}, model: shapes, max_fps: 0 }`];

/** Where WebRTC cannot be, HLS is; where the node offers none, it is not even tried for long. */
export default async function blocked(world) {
  await world.start(cameras);
  // A network that lets no UDP through.
  const page = await world.page({ flags: ["--webrtc-ip-handling-policy=disable_non_proxied_udp"] });
  await page.goto(`${world.url}/#/cameras/front-door`);
  const says = (words) => until(`the page says ${words}`, async () => words.test(await page.locator(".runs").textContent()));
  await says(/^Live by HLS \(WebRTC: (no picture came|no way through)\)$/);
  await until("nobody watches by WebRTC", async () => (await world.viewers("webrtc")) === 0);
  await world.kill();
  await world.start(cameras, { http: ", webrtc: { enabled: false }" });
  await says(/^Live by HLS \(WebRTC: not available\)$/);
  const frames = () => page.locator(".frame video").evaluate((video) => video.getVideoPlaybackQuality().totalVideoFrames);
  const before = await frames();
  await until("moving pictures", async () => (await frames()) > before + 5);
  assert.equal(await world.viewers("webrtc"), 0);
}
