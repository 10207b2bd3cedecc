// Small helpers to make elements. Text always goes in as text: names and reasons come from elsewhere.

/** `el("p", {class: "x", onclick: f}, "text", child)`; properties that are null or false are left out. */
export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export const id = (name) => document.getElementById(name);

/** Writes text only when it differs: screen readers and selections are left in peace. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Says something once to who cannot see it. */
export function announce(text) {
  write(id("announcer"), text);
}
