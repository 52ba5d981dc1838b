/* Where the document comes from: packed into the page, or for a live page from the server that sent it. */
const POLL_SECONDS = 2;
let documentTag = "";

async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
}

async function firstDocument() {
  const block = $("data"), text = block.textContent.trim();
  block.remove();
  return text ? unpacked(text) : fetched();
}

/* The server's document, or null where it is the one that the page has. */
async function fetched() {
  const answer = await fetch("map.json", { headers: documentTag ? { "If-None-Match": documentTag } : {}, cache: "no-store", credentials: "same-origin" });
  if (answer.status === 304) return null;
  if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
  documentTag = answer.headers.get("ETag") || "";
  return answer.json();
}

const isLive = () => document.documentElement.dataset.live === "true";

function follow() {
  setTimeout(async () => {
    try {
      const next = await fetched();
      if (next) takeUp(next);
      tellState(true);
    } catch {
      tellState(false);
    }
    follow();
  }, POLL_SECONDS * 1000);
}

function tellState(isConnected) {
  const words = isConnected ? "live" : "no connection: this is the last state that arrived";
  if ($("live-state").textContent !== words) $("live-state").textContent = words;
}

/* A newer document: what is selected, opened and focused stays, by name. */
function takeUp(doc) {
  const active = grid.at && [rows[grid.at[0]], columns[grid.at[1]]].map((item) => item && model.key(item));
  const hadFocus = grid.element?.contains(document.activeElement);
  const scroll = grid.element && [grid.element.scrollLeft, grid.element.scrollTop];
  writeAddress();
  use(doc);
  readAddress();
  refresh();
  if (active && view.page === "matrix") {
    const items = active.map((key) => (key ? model.byKey.get(key) : null));
    grid.at = placeOf(items);
    [grid.element.scrollLeft, grid.element.scrollTop] = scroll;
    if (hadFocus) focusAt(...grid.at, true, true);
    drawMatrix();
  }
  say("The map was updated.");
}
