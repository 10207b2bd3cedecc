// Questions and commands to the node. Without a valid token the login form is shown.

function toLogin() {
  const back = encodeURIComponent(location.pathname + location.hash);
  location.assign(`/login?next=${back}`);
}

/** JSON from the node; throws with the node's own words when it refuses. */
export async function get(path) {
  const answer = await fetch(path, { headers: { accept: "application/json" }, cache: "no-store" });
  if (answer.status === 401) toLogin();
  if (!answer.ok) throw new Error(await reason(answer));
  return answer.json();
}

/** Whether the node answers at all; goes to the login form when it wants a token. */
export async function knock() {
  try {
    const answer = await fetch("/api/node", { cache: "no-store" });
    if (answer.status === 401) toLogin();
    return answer.ok;
  } catch {
    return false;
  }
}

/** Sends a command; gives `{ok, state?, error?}`, whatever happens. */
export async function command(camera, verb, args = {}) {
  try {
    const answer = await fetch(`/api/cameras/${camera}/${verb}`, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify(args),
    });
    if (answer.status === 401) toLogin();
    const said = await answer.json().catch(() => null);
    if (said && typeof said.ok === "boolean") return said;
    if (answer.ok) return { ok: true };
    const message = said?.detail ?? said?.title ?? `the node answered ${answer.status}`;
    const hint = said?.code === "unsigned" ? `. This page signs nothing: an operator can send it with “sightwire ctl ${verb} --camera ${camera}”.` : "";
    return { ok: false, error: { code: said?.code ?? "refused", message: message + hint } };
  } catch {
    return { ok: false, error: { code: "unreachable", message: "the node cannot be reached" } };
  }
}

async function reason(answer) {
  const said = await answer.json().catch(() => null);
  return said?.detail ?? said?.title ?? `the node answered ${answer.status}`;
}
