// Figures and states in words.

const SAYS = {
  connecting: "connecting",
  running: "running",
  paused: "paused",
  stopped: "stopped",
  failed: "failed",
  ended: "ended",
};

export const stateWord = (state) => SAYS[state] ?? state;

export const milliseconds = (value) =>
  value === undefined || value === null ? "–" : value >= 1000 ? `${(value / 1000).toFixed(1)} s` : value >= 100 ? `${value.toFixed(0)} ms` : `${value.toFixed(1)} ms`;

export const rate = (value) => (value ?? 0).toFixed(1);

export function count(value) {
  if (value < 10_000) return String(value);
  if (value < 1e6) return `${(value / 1e3).toFixed(1)} k`;
  return `${(value / 1e6).toFixed(2)} M`;
}

export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

/** A span in seconds, as people say it. */
export function span(seconds) {
  if (seconds < 0.95) return `${Math.max(0, seconds).toFixed(1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

/** A moment (seconds since 1970), with the day when that is not today. */
export function moment(seconds, tenths = false) {
  const date = new Date(seconds * 1000);
  const today = date.toDateString() === new Date().toDateString();
  const fraction = tenths ? `.${Math.floor((seconds % 1) * 10)}` : "";
  return `${today ? "" : `${day.format(date)} `}${clock.format(date)}${fraction}`;
}

/** Labels with their counts, the most frequent first: `[["person", 3], …]`. */
export function labelCounts(detections) {
  const counts = new Map();
  for (const { label } of detections) counts.set(label, (counts.get(label) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
}

/** Why a camera is not as it should be, in one sentence; null when all is well. */
export function problem(state) {
  if (state.reason) return state.reason.message;
  return state.actual === "failed" ? "no reason was given" : null;
}

/** Whether its picture is one of now. */
export const isLive = (state) => state.actual === "running";
