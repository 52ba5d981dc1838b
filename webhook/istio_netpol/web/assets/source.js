/* Where the document comes from: packed into the page, or for a live page from the server that sent it. */
const POLL_SECONDS = 2;
let documentTag = "";

async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
}

async function firstDocument() {
  const block = $("data"), text = block ? block.textContent.trim() : "";
  block?.remove();
  return text ? unpacked(text) : fetched();
}

/* The server's document, or null where it is the one that the page has; else throws a sentence that says why not. */
async function fetched() {
  const answer = await serverAnswer();
  if (answer.status === 304) return null;
  if (!answer.ok) throw new Error(await refusal(answer));
  documentTag = answer.headers.get("ETag") || "";
  return answer.json();
}

async function serverAnswer() {
  try {
    return await fetch("map.json", { headers: documentTag ? { "If-None-Match": documentTag } : {}, cache: "no-store", credentials: "same-origin" });
  } catch {
    throw new Error("no connection");
  }
}

async function refusal(answer) {
  const told = await answer.json().catch(() => ({}));
  return told.error || `the server answers ${answer.status}`;
}

const isLive = () => document.documentElement.dataset.live === "true";

function follow() {
  setTimeout(async () => {
    try {
      const next = await fetched();
      if (next) takeUp(next);
      tellState("");
    } catch (problem) {
      tellState(problem.message);
    }
    follow();
  }, POLL_SECONDS * 1000);
}

/* That the page is live, or why it is not. */
function tellState(problem) {
  const words = problem ? `${problem}: this is the last state that arrived` : "live";
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
