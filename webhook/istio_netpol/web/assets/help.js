/* Keys and help. */
function openHelp() {
  const dialog = $("dialog");
  const line = (keys, words) => [h("dt", {}, keys.split(" ").flatMap((key, place) => [place ? " " : "", h("kbd", {}, key)])), h("dd", {}, words)];
  const { assumed, notRead } = model.doc;
  dialog.replaceChildren(
    h("h2", { id: "dialog-title" }, "Keys and help"),
    h("p", {}, "Rows are sources, columns are destinations. A cell says whether policies let the one reach the other, and whether Istio or Kyma need it to."),
    h("h3", {}, "In the map"), h("dl", {}, line("← ↑ → ↓", "move; the first row and column are the names"), line("Enter", "open the path and the remedy of a cell"),
      line("Space", "open or close a namespace into its workloads"), line("n p", "next and previous cell with a cut flow"), line("+ − 0", "larger, smaller, usual cells"),
      line("PageUp PageDown", "a screen up or down"), line("Ctrl+Home Ctrl+End", "first and last cell"), line("/", "search")),
    h("h3", {}, "Anywhere"), h("dl", {}, line("Ctrl+K", "search"), line("Esc", "close the panel and go back to the cell")),
    h("h3", {}, "What it rests on"), h("p", {}, assumed.length ? `Assumed: ${assumed.map(({ what }) => what).join("; ")}.` : "Nothing was assumed.",
      notRead.length ? ` Not read: ${notRead.map(({ count, kind }) => `${num(count)} ${kind}`).join(", ")}.` : ""),
    h("p", {}, "Whether a service listens, what a firewall does and which requests an AuthorizationPolicy refuses is not in this picture."),
    h("p", {}, button("Close", () => dialog.close(), { class: "plain" })));
  dialog.showModal();
}
