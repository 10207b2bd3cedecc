// The charts of an opened camera: latency by stage, frames a second, objects by label.

import { drawChart } from "./chart.js";
import { el, write } from "./dom.js";
import { milliseconds } from "./words.js";

const STAGES = ["decode", "wait", "preprocess", "inference", "postprocess", "track", "encode", "deliver"];
const LABELS = 7;
/** For who cannot see the charts: said again so often, milliseconds. */
const TEXT_EVERY = 5000;

export function make(name) {
  const [latency, speed, objects] = [
    chart("Latency by stage", "a frame, median"),
    chart("Frames", "a second"),
    chart("Objects published", "a second, by label"),
  ];
  const order = [];
  return {
    root: el("section", { class: "charts", "aria-label": `Charts of ${name}, the last two minutes` }, latency.root, speed.root, objects.root),
    draw(camera) {
      const now = Date.now() / 1000;
      const { figures } = camera;
      if (!figures.length) return;
      latency.show(now, " ms", true, STAGES, figures.map(({ timestamp, stages }) => ({ t: timestamp, values: STAGES.map((stage) => stages[stage]?.p50 ?? 0) })),
        STAGES.map((stage) => `${stage} ${milliseconds(figures.at(-1).stages[stage]?.p50)}`));
      const kinds = figures.some(({ frames }) => frames.still > 0) ? ["read", "inferred", "still"] : ["read", "inferred"];
      speed.show(now, "", false, kinds, figures.map(({ timestamp, frames }) => ({ t: timestamp, values: kinds.map((kind) => frames[kind]) })),
        kinds.map((kind) => `${kind} ${figures.at(-1).frames[kind]}`));
      const labels = named(order, figures);
      objects.show(now, "", true, labels, figures.map(({ timestamp, labels: counts }) => ({ t: timestamp, values: counted(labels, counts) })),
        labels.map((label, index) => `${label} ${counted(labels, figures.at(-1).labels)[index]}`));
    },
  };
}

/** Each label keeps its colour; beyond the seventh they are put together. */
function named(order, figures) {
  for (const { labels } of figures) for (const label of Object.keys(labels)) if (!order.includes(label)) order.push(label);
  return order.length > LABELS ? [...order.slice(0, LABELS), "others"] : order;
}

function counted(labels, counts) {
  const values = labels.map((label) => counts[label] ?? 0);
  if (labels.at(-1) === "others") values[labels.length - 1] = Object.entries(counts).reduce((sum, [label, n]) => (labels.includes(label) ? sum : sum + n), 0);
  return values;
}

function chart(title, unit) {
  const canvas = el("canvas", { role: "img", "aria-label": `${title}: no figures yet` });
  const legend = el("div", { class: "legend" });
  let [told, named] = [0, ""];
  return {
    root: el("figure", { class: "panel chart" }, el("figcaption", { class: "chart-head" }, el("b", {}, title), el("span", { class: "tally" }, unit)), canvas, legend),
    show(now, suffix, stacked, names, points, words) {
      drawChart(canvas, { points, colours: names.map((_, index) => `--c${index}`), unit: suffix, stacked, now });
      if (named !== names.join()) {
        named = names.join();
        legend.replaceChildren(...names.map((name, index) => el("span", { class: `k${index}` }, name)));
      }
      if (Date.now() - told > TEXT_EVERY) {
        told = Date.now();
        canvas.setAttribute("aria-label", `${title}, ${unit}. In the last second: ${words.join(", ") || "nothing"}`);
      }
      names.forEach((_, index) => legend.children[index] && write(legend.children[index], words[index] ?? names[index]));
    },
  };
}
