// WebRTC by WHEP (RFC 9725): one POST with our offer, one answer, then pictures.

import { firstPicture } from "./player.js";
import { store } from "./store.js";

const GATHER = 1000;
/** How long a good-bye may take, milliseconds. */
const GOOD_BYE = 2000;

export async function playWhep(camera, video, later, lost) {
  if (!window.RTCPeerConnection) throw new Error("this browser has none");
  const peer = new RTCPeerConnection();
  let session = null;
  later(() => {
    if (!session) peer.close();
  });
  peer.addTransceiver("video", { direction: "recvonly" });
  peer.addEventListener("track", ({ track, receiver, streams }) => {
    // Latency before smoothness: the node sends at an even pace.
    if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0;
    else if ("playoutDelayHint" in receiver) receiver.playoutDelayHint = 0;
    video.srcObject = streams[0] ?? new MediaStream([track]);
  });
  peer.addEventListener("connectionstatechange", () => {
    if (["failed", "disconnected", "closed"].includes(peer.connectionState)) lost();
  });
  later(() => (video.srcObject = null));
  await peer.setLocalDescription(await peer.createOffer());
  await gathered(peer);
  const answer = await fetch(`/cameras/${camera}/whep`, {
    method: "POST",
    headers: { "content-type": "application/sdp" },
    body: peer.localDescription.sdp,
  });
  if (answer.status !== 201) throw new Error(await refusal(answer));
  session = answer.headers.get("location");
  const boot = store.node?.boot_id;
  later(async () => {
    // The session before the connection: with its connection the node forgets it, and knows none to end. It ends with its node,
    // too; the next one does not know it.
    const goodBye = { method: "DELETE", keepalive: true, signal: AbortSignal.timeout(GOOD_BYE) };
    if (session && store.node?.boot_id === boot) await fetch(session, goodBye).catch(() => {});
    peer.close();
  });
  await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
  const failed = new Promise((_, reject) =>
    peer.addEventListener("connectionstatechange", () => peer.connectionState === "failed" && reject(new Error("no way through"))));
  const played = firstPicture(video);
  video.play().catch(() => {});
  await Promise.race([played, failed]);
}

function gathered(peer) {
  if (peer.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    peer.addEventListener("icegatheringstatechange", () => peer.iceGatheringState === "complete" && resolve());
    setTimeout(resolve, GATHER);
  });
}

async function refusal(answer) {
  if (answer.status === 404) return "not available";
  const said = await answer.json().catch(() => null);
  return said?.detail ?? `the node answered ${answer.status}`;
}
