// MJPEG, read part by part: a browser that shows the stream by itself never says that it has ended, and leaves the last picture standing.

/** The length of a part's head; more without one is no such stream. */
const LONGEST_HEAD = 4096;

export async function playMjpeg(camera, canvas, later, lost) {
  const given = new AbortController();
  later(() => given.abort());
  const answer = await fetch(`/cameras/${camera}/stream.mjpeg`, { cache: "no-store", signal: given.signal });
  if (!answer.ok) throw new Error(answer.status === 404 ? "not available" : `the node answered ${answer.status}`);
  const screen = new Screen(canvas);
  // It ends only with the node, the camera or the connection.
  const over = parts(answer.body.getReader(), (picture) => screen.show(picture)).then(() => {
    throw new Error("the stream ended");
  });
  over.catch(() => given.signal.aborted || lost());
  await Promise.race([screen.first, over]);
}

/** Shows the newest picture; those that come while one is decoded are passed over. */
class Screen {
  #canvas; #next = null; #busy = false; #shown;

  constructor(canvas) {
    this.#canvas = canvas;
    this.first = new Promise((resolve) => (this.#shown = resolve));
  }

  async show(picture) {
    this.#next = picture;
    if (this.#busy) return;
    this.#busy = true;
    while (this.#next) {
      const blob = new Blob([this.#next], { type: "image/jpeg" });
      this.#next = null;
      const bitmap = await createImageBitmap(blob).catch(() => null);
      if (bitmap) this.#draw(bitmap);
    }
    this.#busy = false;
  }

  #draw(bitmap) {
    const { width, height } = bitmap;
    if (this.#canvas.width !== width) this.#canvas.width = width;
    if (this.#canvas.height !== height) this.#canvas.height = height;
    this.#canvas.getContext("2d").drawImage(bitmap, 0, 0);
    bitmap.close();
    this.#shown();
  }
}

/** Gives each part's body, until the stream ends. Every part says its length. */
async function parts(reader, take) {
  let rest = new Uint8Array(0);
  const more = async () => {
    const { value, done } = await reader.read();
    if (done) return false;
    const joined = new Uint8Array(rest.length + value.length);
    joined.set(rest);
    joined.set(value, rest.length);
    rest = joined;
    return true;
  };
  for (;;) {
    let end;
    while ((end = headEnd(rest)) < 0) {
      if (rest.length > LONGEST_HEAD) throw new Error("no stream of pictures");
      if (!(await more())) return;
    }
    const length = Number(new TextDecoder().decode(rest.subarray(0, end)).match(/content-length: *(\d+)/i)?.[1]);
    if (!length) throw new Error("no stream of pictures");
    while (rest.length < end + length) if (!(await more())) return;
    take(rest.slice(end, end + length));
    rest = rest.slice(end + length);
  }
}

/** Where the body begins: after an empty line; -1 when that has not come yet. */
function headEnd(bytes) {
  for (let at = 0; at + 3 < Math.min(bytes.length, LONGEST_HEAD + 4); at += 1) {
    if (bytes[at] === 13 && bytes[at + 1] === 10 && bytes[at + 2] === 13 && bytes[at + 3] === 10) return at + 4;
  }
  return -1;
}
