// The video of one camera: WebRTC when it works, else HLS, else MJPEG; or the way that was chosen by hand.

import { playHls } from "./hls.js";
import { playMjpeg } from "./mjpeg.js";
import { playWhep } from "./whep.js";
import { el } from "./dom.js";

export const WAYS = { auto: "Auto", webrtc: "WebRTC", hls: "HLS", mjpeg: "MJPEG" };
const NAMES = { webrtc: "WebRTC", hls: "HLS", mjpeg: "MJPEG" };
const START = { webrtc: playWhep, hls: playHls, mjpeg: playMjpeg };
/** A way that shows nothing for so long has failed, milliseconds. */
const PATIENCE = { webrtc: 5000, hls: 12_000, mjpeg: 8000 };
const AGAIN = 3000;

export class Player {
  #camera; #frame; #say; #stop = null; #turn = 0; #state = "resting"; #timer = null;

  /** `say` is told, in words, which way runs. */
  constructor(camera, frame, say) {
    this.#camera = camera;
    this.#frame = frame;
    this.#say = say;
    this.wanted = sessionStorage.getItem("way") ?? "auto";
    if (!(this.wanted in WAYS)) this.wanted = "auto";
  }

  choose(way) {
    this.wanted = way;
    sessionStorage.setItem("way", way);
    this.again();
  }

  /** Plays, unless it does. */
  play() {
    if (this.#state === "resting") this.#begin();
  }

  /** The camera gives no pictures now. */
  rest() {
    this.#end();
    this.#say("");
  }

  /** From the beginning: another way, or another connection. */
  again() {
    if (this.#state !== "resting") this.#begin();
  }

  close() {
    this.rest();
  }

  #end() {
    this.#turn += 1;
    clearTimeout(this.#timer);
    this.#stop?.();
    this.#stop = null;
    this.#state = "resting";
    this.#frame.querySelectorAll("video, canvas, .waiting").forEach((shown) => shown.remove());
  }

  async #begin() {
    this.#end();
    this.#state = "starting";
    const turn = this.#turn;
    const ways = this.wanted === "auto" ? ["webrtc", "hls", "mjpeg"] : [this.wanted];
    const failed = [];
    for (const way of ways) {
      this.#say(`${NAMES[way]}: connecting…`);
      const why = await this.#attempt(way, turn);
      if (turn !== this.#turn) return;
      if (!why) {
        const instead = failed.length ? ` (${failed.join("; ")})` : "";
        this.#say(`Live by ${NAMES[way]}${instead}`);
        return;
      }
      failed.push(`${NAMES[way]}: ${why}`);
    }
    this.#say(`No video. ${failed.join("; ")}`);
    this.#frame.prepend(el("p", { class: "instead waiting" }, el("strong", {}, "No video"), "It is tried again every few seconds."));
    this.#timer = setTimeout(() => turn === this.#turn && this.#begin(), AGAIN);
  }

  /** Why it does not play; null when it does. */
  async #attempt(way, turn) {
    const shown = way === "mjpeg" ? el("canvas", { role: "img", "aria-label": `Live picture of ${this.#camera}` }) : video(this.#camera);
    shown.dataset.way = way;
    const waiting = el("p", { class: "instead waiting" }, `Connecting by ${NAMES[way]}…`);
    this.#frame.prepend(shown, waiting);
    const current = () => turn === this.#turn;
    const lost = () => current() && this.#state === "playing" && this.#retry(turn);
    const stops = [];
    let stopped = false;
    const stop = () => {
      stopped = true;
      stops.splice(0).forEach((end) => end());
    };
    this.#stop = stop;
    // What is opened after the end is closed at once.
    const later = (end) => (stopped ? end() : stops.push(end));
    try {
      await patient(START[way](this.#camera, shown, later, lost), PATIENCE[way]);
      if (current()) this.#state = "playing";
      waiting.remove();
      return null;
    } catch (error) {
      stop();
      shown.remove();
      waiting.remove();
      return error.message || "failed";
    }
  }

  #retry(turn) {
    this.#say("The video broke off; trying again…");
    this.#timer = setTimeout(() => turn === this.#turn && this.#begin(), 800);
  }
}

function video(camera) {
  const made = el("video", { playsinline: true, "aria-label": `Live video of ${camera}` });
  // As properties: a browser starts by itself only what it knows to be silent.
  made.muted = true;
  made.autoplay = true;
  return made;
}

function patient(promise, longest) {
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error("no picture came")), longest));
  return Promise.race([promise, late]);
}

/** Resolves with the first picture. */
export function firstPicture(shown) {
  return new Promise((resolve) => {
    if (shown.requestVideoFrameCallback) shown.requestVideoFrameCallback(() => resolve());
    else shown.addEventListener("timeupdate", () => resolve(), { once: true });
  });
}
