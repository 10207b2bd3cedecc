// A small chart on a canvas: the last two minutes, stacked or as lines, with axes that can be read.

const SECONDS = 120;
const BOTTOM = 20;
const TOP = 8;

/** Where the axis ends and its steps: 1, 2 or 5 times a power of ten; whole ones for what is counted. */
function scale(highest, least) {
  const top = highest > 0 ? highest : 1;
  const power = 10 ** Math.floor(Math.log10(top / 3));
  const step = Math.max(least, [1, 2, 5, 10].map((n) => n * power).find((n) => top / n <= 4) ?? 10 * power);
  return { step, top: Math.ceil(top / step - 1e-9) * step };
}

/** A second without figures is a gap: nothing is drawn over it. */
function runs(points) {
  const found = [];
  for (const point of points) {
    const run = found.at(-1);
    if (run && point.t - run.at(-1).t < 2.6) run.push(point);
    else found.push([point]);
  }
  return found;
}

/**
 * `points`: [{t (seconds), values: [one a series]}], oldest first; `colours`: CSS variables, one a series;
 * `stacked`: areas one upon the other, else lines.
 */
export function drawChart(canvas, { points, colours, unit, stacked, now }) {
  const ratio = devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width) return;
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const style = getComputedStyle(canvas);
  const colour = (name) => style.getPropertyValue(name).trim();
  const shown = points.filter(({ t }) => t >= now - SECONDS);
  const highest = Math.max(0, ...shown.map(({ values }) => (stacked ? values.reduce((a, b) => a + b, 0) : Math.max(0, ...values))));
  const { step, top } = scale(highest, unit ? 0 : 1);
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = `11px ${style.fontFamily}`;
  const ticks = Array.from({ length: Math.round(top / step) + 1 }, (_, index) => ({ value: index * step, words: tick(index * step, step, top, unit) }));
  const left = Math.max(34, ...ticks.map(({ words }) => context.measureText(words).width + 10));
  const x = (t) => left + ((t - now + SECONDS) / SECONDS) * (width - left - 4);
  const y = (value) => TOP + (1 - value / top) * (height - TOP - BOTTOM);
  axes(context, { ticks, left, width, height, x, y, now, ink: colour("--muted"), line: colour("--line") });
  context.save();
  context.beginPath();
  context.rect(left, 0, width - left, height);
  context.clip();
  for (const run of runs(shown)) {
    if (stacked) areas(context, run, colours.map(colour), x, y);
    else lines(context, run, colours.map(colour), x, y);
  }
  context.restore();
}

/** What stands at a line: seconds where there are a thousand milliseconds. */
function tick(value, step, top, unit) {
  const [shown, fine, of] = unit === " ms" && top >= 1000 ? [value / 1000, step / 1000, " s"] : [value, step, unit];
  return `${shown.toFixed(fine < 1 ? Math.min(3, Math.ceil(-Math.log10(fine))) : 0)}${of}`;
}

function axes(context, { ticks, left, width, height, x, y, now, ink, line }) {
  context.fillStyle = ink;
  context.strokeStyle = line;
  context.lineWidth = 1;
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const { value, words } of ticks) {
    const at = Math.round(y(value)) + 0.5;
    context.beginPath();
    context.moveTo(left, at);
    context.lineTo(width, at);
    context.stroke();
    context.fillText(words, left - 6, at);
  }
  context.textBaseline = "alphabetic";
  for (const [ago, words, align] of [[120, "2 min ago", "left"], [60, "1 min", "center"], [0, "now", "right"]]) {
    context.textAlign = align;
    context.fillText(words, x(now - ago), height - 5);
  }
}

function areas(context, run, colours, x, y) {
  let floor = run.map(() => 0);
  colours.forEach((colour, series) => {
    const roof = run.map(({ values }, index) => floor[index] + (values[series] ?? 0));
    context.beginPath();
    run.forEach(({ t }, index) => context.lineTo(x(t), y(roof[index])));
    // A lone second is as wide as a second.
    if (run.length === 1) context.lineTo(x(run[0].t + 1), y(roof[0]));
    if (run.length === 1) context.lineTo(x(run[0].t + 1), y(floor[0]));
    for (let index = run.length - 1; index >= 0; index -= 1) context.lineTo(x(run[index].t), y(floor[index]));
    context.fillStyle = colour;
    context.fill();
    floor = roof;
  });
}

function lines(context, run, colours, x, y) {
  context.lineWidth = 2;
  context.lineJoin = "round";
  colours.forEach((colour, series) => {
    context.beginPath();
    run.forEach(({ t, values }) => context.lineTo(x(t), y(values[series] ?? 0)));
    if (run.length === 1) context.lineTo(x(run[0].t + 0.6), y(run[0].values[series] ?? 0));
    context.strokeStyle = colour;
    context.stroke();
  });
}
