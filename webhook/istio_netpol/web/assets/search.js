/* Words match a source or a destination; from: and to: one side; port: or a colon a port. */
let asked = { words: [], from: [], to: [], port: 0 };
let matches = new Map();

function parseQuery() {
  asked = { words: [], from: [], to: [], port: 0 };
  for (const word of view.query.toLowerCase().split(/\s+/).filter(Boolean)) {
    const port = /^(?:port:|:)(\d+)$/.exec(word);
    if (port) asked.port = Number(port[1]);
    else if (word.startsWith("from:")) asked.from.push(word.slice(5));
    else if (word.startsWith("to:")) asked.to.push(word.slice(3));
    else asked.words.push(word);
  }
  asked.from = asked.from.filter(Boolean);
  asked.to = asked.to.filter(Boolean);
}

/* An item matches by its own name, a namespace by those of its workloads too. */
function isMatch(item, word) {
  const key = `${item.group}:${item.peer}:${word}`;
  let found = matches.get(key);
  if (found === undefined) {
    const holds = (text) => text.toLowerCase().includes(word);
    found = holds(model.label(item)) ||
      (item.peer < 0 && model.members[item.group].some((peer) => holds(model.full(peer))));
    matches.set(key, found);
  }
  return found;
}

const areMatches = (from, to) => asked.words.every((word) => isMatch(from, word) || isMatch(to, word)) &&
  asked.from.every((word) => isMatch(from, word)) && asked.to.every((word) => isMatch(to, word));

/* The best item for Enter: an exact name first, namespaces before workloads. */
function bestMatch() {
  const [word] = [...asked.words, ...asked.from, ...asked.to];
  if (!word) return null;
  const items = [...model.byKey.values()];
  const named = (item) => model.label(item).toLowerCase();
  return items.find((item) => named(item) === word) || items.find((item) => named(item).includes(word)) || null;
}

const isNarrowed = () => Boolean(view.query || view.kinds.size || view.only || compared());
