// HLS: natively where the browser can, else the playlist and its fMP4 segments by Media Source Extensions.

import { firstPicture } from "./player.js";

/** Seconds of what was seen that are kept. */
const KEEP = 12;
/** Further behind than this, the player jumps to the newest. */
const BEHIND = 3;
/** Seconds kept between the player and the end of what has come. */
const CUSHION = 0.4;

export async function playHls(camera, video, later, lost) {
  const address = `/cameras/${camera}/hls/index.m3u8`;
  const Source = window.ManagedMediaSource ?? window.MediaSource;
  if (!Source) return playNative(address, video, later, lost);
  const player = new Mse(new URL(address, location.href), video, new Source(), lost);
  later(() => player.close());
  await player.start();
}

async function playNative(address, video, later, lost) {
  if (!video.canPlayType("application/vnd.apple.mpegurl")) throw new Error("this browser has none");
  later(() => {
    video.removeAttribute("src");
    video.load();
  });
  video.addEventListener("error", lost);
  video.src = address;
  video.play().catch(() => {});
  await firstPicture(video);
}

class Mse {
  #playlist; #video; #source; #lost; #buffer = null; #done = new Set(); #map = null; #closed = false; #url;

  constructor(playlist, video, source, lost) {
    this.#playlist = playlist;
    this.#video = video;
    this.#source = source;
    this.#lost = lost;
  }

  async start() {
    this.#video.disableRemotePlayback = true;
    this.#url = URL.createObjectURL(this.#source);
    this.#video.src = this.#url;
    await new Promise((resolve) => this.#source.addEventListener("sourceopen", resolve, { once: true }));
    const shown = firstPicture(this.#video);
    const fed = this.#feed();
    await Promise.race([shown, fed]);
    // A stream that breaks off later begins anew.
    fed.catch(() => this.#closed || this.#lost());
  }

  close() {
    this.#closed = true;
    this.#video.removeAttribute("src");
    this.#video.load();
    if (this.#url) URL.revokeObjectURL(this.#url);
  }

  /** Until it is closed; throws when the playlist goes away. */
  async #feed() {
    let misses = 0;
    while (!this.#closed) {
      const playlist = await this.#load().catch((error) => error);
      if (playlist instanceof Error) {
        if (++misses > 3 || !this.#buffer) throw playlist;
        await sleep(500);
        continue;
      }
      misses = 0;
      // At the first look only the newest are wanted: who looks on now wants to see now.
      const fresh = playlist.segments.filter(({ address }) => !this.#done.has(address));
      const wanted = this.#done.size === 0 ? fresh.slice(-2) : fresh;
      for (const { address, map, anew } of wanted) {
        if (this.#closed) return;
        // Another size, or another clock: begun anew, as somebody who comes now would.
        if (this.#buffer && (anew || map !== this.#map)) throw new Error("the stream began anew");
        if (!this.#buffer) await this.#begin(map);
        await this.#append(await bytes(address));
        await this.#keepUp();
      }
      this.#done = new Set(playlist.segments.map(({ address }) => address));
      await sleep(wanted.length ? 120 : Math.min(400, playlist.target * 200));
    }
  }

  async #load() {
    const answer = await fetch(this.#playlist, { cache: "no-store" });
    if (!answer.ok) throw new Error(answer.status === 404 ? "not available" : `the node answered ${answer.status}`);
    const playlist = { segments: [], target: 1 };
    let [map, anew] = [null, false];
    for (const line of (await answer.text()).split("\n").map((line) => line.trim())) {
      if (line.startsWith("#EXT-X-MAP:")) map = this.#address(line.match(/URI="([^"]+)"/)?.[1]);
      else if (line === "#EXT-X-DISCONTINUITY") anew = true;
      else if (line.startsWith("#EXT-X-TARGETDURATION:")) playlist.target = Number(line.split(":")[1]) || 1;
      else if (line && !line.startsWith("#")) {
        playlist.segments.push({ address: this.#address(line), map, anew });
        anew = false;
      }
    }
    return playlist;
  }

  #address(uri) {
    return new URL(uri, this.#playlist).href;
  }

  async #begin(map) {
    this.#map = map;
    const init = await bytes(map);
    const kind = `video/mp4; codecs="${codec(init)}"`;
    if (!this.#source.constructor.isTypeSupported(kind)) throw new Error(`this browser plays no ${kind}`);
    this.#buffer = this.#source.addSourceBuffer(kind);
    await this.#append(init);
  }

  async #append(data) {
    await this.#settled(() => this.#buffer.appendBuffer(data));
  }

  async #settled(act) {
    if (this.#closed) return;
    const over = new AbortController();
    const settled = new Promise((resolve, reject) => {
      this.#buffer.addEventListener("updateend", resolve, { signal: over.signal });
      this.#buffer.addEventListener("error", () => reject(new Error("the video cannot be decoded")), { signal: over.signal });
    });
    try {
      act();
      await settled;
    } finally {
      over.abort();
    }
  }

  async #keepUp() {
    const [video, { buffered }] = [this.#video, this.#buffer];
    if (buffered.length === 0) return;
    const [begin, end] = [buffered.start(buffered.length - 1), buffered.end(buffered.length - 1)];
    if (video.currentTime < begin || end - video.currentTime > BEHIND) video.currentTime = Math.max(begin, end - CUSHION);
    if (video.paused) video.play().catch(() => {});
    if (buffered.start(0) < video.currentTime - 2 * KEEP) {
      await this.#settled(() => this.#buffer.remove(0, video.currentTime - KEEP));
    }
  }
}

/** As the decoder calls it: profile, constraints and level stand in the avcC box. */
function codec(init) {
  const view = new Uint8Array(init);
  for (let at = 0; at + 8 < view.length; at += 1) {
    if (view[at] === 0x61 && view[at + 1] === 0x76 && view[at + 2] === 0x63 && view[at + 3] === 0x43) {
      return `avc1.${[5, 6, 7].map((offset) => view[at + offset].toString(16).padStart(2, "0")).join("")}`;
    }
  }
  throw new Error("no H.264 in it");
}

async function bytes(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`the node answered ${answer.status}`);
  return answer.arrayBuffer();
}

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
