/* Builds elements. Names come from a cluster: they become text, and are never parsed as markup. */
const $ = (id) => document.getElementById(id);

function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") element.className = value;
    else if (name === "click") element.addEventListener("click", value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(9)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
  return element;
}

const button = (words, click, attributes) => h("button", { type: "button", click, ...attributes }, words);

const collator = new Intl.Collator("en", { numeric: true });
const byText = (left, right) => collator.compare(left, right);
const num = (count) => count.toLocaleString("en-US");
const plural = (count, one, many) => `${num(count)} ${count === 1 ? one : many || `${one}s`}`;
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const say = (text) => { $("live").textContent = text; };

function collect(map, key, value) {
  const known = map.get(key);
  if (known) known.push(value);
  else map.set(key, [value]);
}

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

/* A page that was opened from a file may lack the clipboard's permission. */
function copyBySelection(text) {
  const area = h("textarea", { readonly: true, class: "hidden", "aria-hidden": "true" });
  area.value = text;
  document.body.append(area);
  area.select();
  try {
    return document.execCommand("copy");
  } catch {
    return false;
  } finally {
    area.remove();
  }
}

function copyButton(text, words, isMain) {
  const element = h("button", { type: "button", class: isMain ? "copy main" : "copy" }, words);
  element.addEventListener("click", async () => {
    const copied = await copyText(text);
    element.textContent = copied ? "Copied" : "Press Ctrl+C";
    say(copied ? "Copied" : "Copying was refused");
    setTimeout(() => { element.textContent = words; }, 1600);
  });
  return element;
}

/* How a word of YAML is written: plain where every reader takes it for that word. */
const PLAIN = /^[a-z][a-z0-9-]*[a-z0-9]$/;
const scalar = (text) => (PLAIN.test(text) && !/^(true|false|null|yes|no|on|off)$/.test(text) ? text : JSON.stringify(text));
