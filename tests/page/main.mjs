// Runs one check against the real program in a real browser; ends with 1 and says why when it fails.

import { World } from "./world.mjs";

const name = process.argv[2];
const { default: check } = await import(`./checks/${name}.mjs`);
const world = new World(name);
let failed = null;
try {
  await check(world);
} catch (error) {
  failed = error;
  await world.picture("failed").catch(() => {});
}
await world.end();
if (failed) {
  console.error(failed.stack);
  console.error(world.log());
}
process.exit(failed ? 1 : 0);
