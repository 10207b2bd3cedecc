// Start, stop, pause, resume, snapshot, confidence: each says what came of it.

import { command } from "./api.js";
import { el, write } from "./dom.js";
import { moment, stateWord } from "./words.js";

const ASKED = { start: "Start", stop: "Stop", pause: "Pause", resume: "Resume", snapshot: "Snapshot", set: "Confidence" };

export function make(name) {
  const answer = el("p", { class: "answer", role: "status" }, "Commands are answered here.");
  const send = async (button, verb, args) => {
    if (button) button.disabled = true;
    answer.className = "answer";
    write(answer, `${ASKED[verb]}: sent…`);
    const reply = await command(name, verb, args);
    if (button) button.disabled = false;
    answer.classList.add(reply.ok ? "applied" : "refused");
    write(answer, `${ASKED[verb]}: ${reply.ok ? applied(verb, reply, args) : `refused, ${reply.error?.message ?? "no reason was given"}`}`);
    return reply.ok;
  };
  const button = (verb, kind) => {
    const made = el("button", { type: "button", class: kind, "data-verb": verb }, ASKED[verb]);
    made.addEventListener("click", () => send(made, verb));
    return made;
  };
  const [start, stop, pause, resume, snapshot] =
    [["start", "primary"], ["stop", "danger"], ["pause"], ["resume"], ["snapshot"]].map(([verb, kind]) => button(verb, kind));
  const slider = confidence(send);
  let there = true;
  return {
    buttons: [start, stop],
    parts: [el("h3", {}, "Controls"), el("div", { class: "row" }, pause, resume), snapshot, slider.root, answer],
    /** `null`: there is no such camera. */
    update(state) {
      if (there !== Boolean(state)) {
        there = Boolean(state);
        for (const control of [start, stop, pause, resume, snapshot, slider.input]) control.disabled = !there;
      }
      if (!state) return;
      const { desired } = state;
      start.hidden = desired !== "stopped" && !["failed", "ended"].includes(state.actual);
      // The stop button stays where it is, whatever the camera does.
      stop.hidden = false;
      pause.disabled = desired !== "running";
      resume.disabled = desired !== "paused";
      snapshot.disabled = state.actual !== "running";
      slider.update(state.settings.confidence);
    },
  };
}

function applied(verb, { state, applied_at: at }, args) {
  const when = at ? ` at ${moment(at)}` : "";
  if (verb === "snapshot") return `taken${when}`;
  if (verb === "set") return `applied, ${(state?.settings?.confidence ?? args.confidence).toFixed(2)}${when}`;
  return `applied${state ? `, the camera is ${stateWord(state.actual)}` : ""}${when}`;
}

/** Moves freely; what it is set to is sent when it is let go. */
function confidence(send) {
  const output = el("output", { for: "confidence" });
  const input = el("input", { id: "confidence", type: "range", min: "0.05", max: "0.95", step: "0.01", "aria-describedby": "confidence-note" });
  let held = false;
  let holds = 0;
  const show = (value) => write(output, Number(value).toFixed(2));
  input.addEventListener("input", () => {
    held = true;
    show(input.value);
  });
  input.addEventListener("change", async () => {
    const ok = await send(null, "set", { confidence: Number(input.value) });
    held = false;
    if (!ok) input.value = holds;
    show(input.value);
  });
  return {
    input,
    root: el("label", {}, "Confidence", el("span", { class: "slider" }, input, output),
      el("small", { id: "confidence-note", class: "tally" }, "Objects below it are not published.")),
    update(value) {
      holds = value;
      if (held) return;
      input.value = value;
      show(value);
    },
  };
}
