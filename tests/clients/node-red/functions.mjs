// Runs the function nodes of the example flow on messages as the program makes them, without Node-RED.
// stdin: [{"name": a function node's name, "msg": …}]; stdout: what each returned.
import { readFileSync } from "node:fs";

const flows = JSON.parse(readFileSync(process.argv[2], "utf8"));
const tab = flows.find((each) => each.type === "tab");
const env = { get: (name) => tab.env.find((each) => each.name === name)?.value };
const RED = { util: { generateId: () => "0123456789abcdef" } };
const node = { status: () => {} };

const results = JSON.parse(readFileSync(0, "utf8")).map(({ name, msg }) => {
  const { func } = flows.find((each) => each.type === "function" && each.name === name);
  return new Function("msg", "env", "RED", "node", func)(msg, env, RED, node);
});
console.log(JSON.stringify(results));
