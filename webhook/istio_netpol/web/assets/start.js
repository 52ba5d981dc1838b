/* Everything together. */
function use(doc) {
  model = new Model(doc);
  matches = new Map();
  const subject = `${plural(model.workloads, "workload")} in ${plural(doc.namespaces.length, "namespace")}`;
  $("subject").replaceChildren(h("b", {}, doc.title), ` · ${subject}${doc.made ? ` · ${doc.made}` : ""}`);
}

function drawView() {
  const area = $("view");
  if (view.page !== "matrix") {
    const pages = { connections: connectionTable, flows: flowTable, namespaces: namespaceTable };
    area.replaceChildren(pages[view.page]());
    return;
  }
  if (!rows.length || !columns.length || !model.workloads) {
    area.replaceChildren(nothingToShow());
    return;
  }
  if (!grid.element) buildMatrix();
  if (!grid.element.isConnected) area.replaceChildren(grid.element, h("p", { class: "hidden", id: "grid-hint" }, "Arrow keys move, Enter opens details, Space opens a namespace, n goes to the next cut flow. Connections and Required flows show the same as tables."));
  if (!grid.at || grid.at[0] >= rows.length || grid.at[1] >= columns.length) grid.at = firstPlace();
  grid.isStale = true;
  drawMatrix();
}

/* Where the focus is within a part that is drawn anew, to put it back. */
function focusMark() {
  const part = document.activeElement?.closest?.("#bar, #numbers, #legend, #chips");
  const controls = (element) => [...element.querySelectorAll("button, input, select")];
  if (!part) return () => {};
  const place = controls(part).indexOf(document.activeElement);
  return () => controls($(part.id))[place]?.focus();
}

function refresh({ keepsBar = false } = {}) {
  version++;
  cells = new Map();
  parseQuery();
  const putBack = focusMark();
  drawNumbers();
  arrangeAxes();
  if (!keepsBar) drawBar();
  drawChips();
  drawLegend();
  drawView();
  drawPanel();
  if (!keepsBar) putBack();
  writeAddress();
  if (isNarrowed()) say(`${plural(rows.filter((item) => item.peer < 0).length, "source")} and ${plural(columns.filter((item) => item.peer < 0).length, "destination")} left`);
}

function drawAll() {
  setTheme(view.theme);
  $("theme").textContent = `Theme: ${view.theme || "system"}`;
  refresh();
  followSelection();
  schedule();
}

function listenToPage() {
  $("share").addEventListener("click", async () => {
    writeAddress();
    $("share").textContent = (await copyText(location.href)) ? "Link copied" : "Copy it from the address bar";
    setTimeout(() => { $("share").textContent = "Copy link to this view"; }, 1600);
  });
  $("theme").addEventListener("click", () => {
    view.theme = { "": "dark", dark: "light", light: "" }[view.theme];
    drawAll();
  });
  $("help").addEventListener("click", openHelp);
  $("skip").addEventListener("click", (event) => {
    event.preventDefault(); // the address bar holds the view, and no anchor
    $("main").focus();
  });
  addEventListener("keydown", onPageKey);
  addEventListener("hashchange", () => { readAddress(); drawAll(); });
  addEventListener("beforeprint", preparePrint);
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.(".picker")) for (const menu of document.querySelectorAll(".menu")) menu.hidden = true;
  });
  for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) matchMedia(query).addEventListener("change", drawAll);
}

/* Why there is nothing to show. A live page asks again: the server may just be starting. */
function tellNothing(problem) {
  const words = isLive() ? `There is no map yet: ${problem.message}.` : "The data of this map can't be read here. A browser of 2023 or later can; istio-netpol check prints the same findings.";
  const known = $("numbers").querySelector(".boot");
  if (known.textContent !== words) known.textContent = words;
  if (isLive()) setTimeout(start, POLL_SECONDS * 1000);
}

async function start() {
  try {
    use(await firstDocument());
  } catch (problem) {
    tellNothing(problem);
    return;
  }
  readAddress();
  listenToPage();
  drawAll();
  if (isLive()) {
    tellState("");
    follow();
  }
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
}

start();
