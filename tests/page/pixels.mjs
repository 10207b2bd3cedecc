// Reads what is really shown: the time in the picture, and the boxes that are drawn in it. Runs in the page.

export const WAYS = ["webrtc", "hls", "mjpeg"];

/** Puts `look(shown)` into the page: `{at, boxes(detections)}` of the video or picture as it is at this moment. */
export function install(page) {
  return page.evaluate(() => {
    const CELLS = 50;
    // The program's colours of its first classes.
    const COLOURS = [[255, 107, 87], [61, 220, 132], [63, 167, 255], [255, 197, 49], [199, 125, 255]];

    window.grab = (shown) => {
      const [width, height] = [shown.videoWidth || shown.width, shown.videoHeight || shown.height];
      if (!width) return null;
      window.grabbed ??= document.createElement("canvas");
      Object.assign(window.grabbed, { width, height });
      const context = window.grabbed.getContext("2d", { willReadFrequently: true });
      context.drawImage(shown, 0, 0);
      return context.getImageData(0, 0, width, height);
    };

    const grey = ({ data, width }, x, y) => {
      const at = 4 * (y * width + x);
      return (data[at] + data[at + 1] + data[at + 2]) / 3;
    };

    /** Milliseconds since 1970, as the strip at the top or at the bottom says; null when neither can be read. */
    window.clock = (image) => {
      const middle = Math.floor(Math.ceil(image.height / 16) / 2);
      for (const y of [middle, image.height - middle - 1]) {
        const bits = Array.from({ length: CELLS }, (_, cell) => (grey(image, Math.floor(((2 * cell + 1) * image.width) / (2 * CELLS)), y) > 128 ? 1n : 0n));
        if (bits[0] !== 1n || bits[1] !== 0n) continue;
        const value = bits.reduce((all, bit) => (all << 1n) | bit, 0n);
        const millis = (value >> 4n) & ((1n << 44n) - 1n);
        let sum = 0n;
        for (let group = 0n; group < 11n; group += 1n) sum ^= (millis >> (4n * group)) & 15n;
        if (sum === (value & 15n)) return Number(millis);
      }
      return null;
    };

    /** How much of the boxes' lines is there, 0…1, when they are moved by so many pixels. */
    window.lines = (image, detections, moved = 0) => {
      let [seen, all] = [0, 0];
      const like = (x, y, [r, g, b]) => {
        for (let dy = -2; dy <= 2; dy += 1) {
          for (let dx = -2; dx <= 2; dx += 1) {
            const [px, py] = [x + dx, y + dy];
            if (px < 0 || py < 0 || px >= image.width || py >= image.height) continue;
            const at = 4 * (py * image.width + px);
            if (Math.hypot(image.data[at] - r, image.data[at + 1] - g, image.data[at + 2] - b) < 95) return true;
          }
        }
        return false;
      };
      for (const { bbox, class_id: kind } of detections) {
        const [x0, y0, x1, y1] = bbox.map((value, side) => Math.round(value * (side % 2 ? image.height : image.width)) + moved);
        for (let part = 0.1; part < 0.95; part += 0.1) {
          const [x, y] = [Math.round(x0 + (x1 - x0) * part), Math.round(y0 + (y1 - y0) * part)];
          for (const [px, py] of [[x, y0], [x, y1], [x0, y], [x1, y]]) {
            if (px < 0 || py < 0 || px >= image.width || py >= image.height) continue;
            all += 1;
            if (like(px, py, COLOURS[kind])) seen += 1;
          }
        }
      }
      return all ? seen / all : null;
    };
  });
}
