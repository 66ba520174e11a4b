// Displays a room. The server sends the messages after the last displayed one, so that displayed
// messages and what is selected in them stay. Their HTML comes from the server, which has escaped
// all text.

const REFRESH_MS = 1000;
const NEAR_BOTTOM = 80;
const at = (id) => document.getElementById(id);
let shown = { room: null, last: "" };

const selected = () => decodeURIComponent(location.hash.slice(1));

async function refresh() {
  const before = shown;
  const room = selected();
  const query = new URLSearchParams({ room, after: room === before.room ? before.last : "" });
  try {
    const response = await fetch(`page.json?${query}`);
    const changes = await response.json();
    document.body.classList.remove("offline");
    if (shown === before && room === selected()) display(room, changes);
  } catch {
    document.body.classList.add("offline");
  }
}

function display(room, { title, rooms, room: current, messages, isComplete, last }) {
  const place = at("messages");
  const toBottom = place.scrollHeight - place.scrollTop - place.clientHeight;
  at("title").textContent = title;
  for (const each of rooms) showRoom(each, each.id === current);
  for (const link of document.querySelectorAll(".room"))
    if (!rooms.some(({ id }) => link.dataset.id === id)) link.remove();
  if (isComplete) place.replaceChildren();
  for (const message of messages) add(place, message);
  if (isComplete || toBottom < NEAR_BOTTOM) place.scrollTop = place.scrollHeight;
  shown = { room, last };
}

function showRoom({ id, title, preview }, isCurrent) {
  let link = document.querySelector(`.room[data-id="${CSS.escape(id)}"]`);
  if (!link) {
    link = at("room").content.cloneNode(true).firstElementChild;
    link.dataset.id = id;
    link.href = `#${encodeURIComponent(id)}`;
    at("rooms").append(link);
  }
  const texts = { ".avatar": title.charAt(0).toUpperCase(), b: title, small: preview };
  for (const [selector, text] of Object.entries(texts)) {
    const node = link.querySelector(selector);
    if (node.textContent !== text) node.textContent = text;
  }
  link.ariaCurrent = isCurrent ? "true" : null;
}

// Adds a message to its thread, or as a new one under the heading of its day.
function add(place, { id, parent, day, html }) {
  const thread = parent && place.querySelector(`.thread[data-id="${CSS.escape(parent)}"]`);
  if (thread) return thread.lastElementChild.insertAdjacentHTML("beforeend", html);
  if ([...place.querySelectorAll(".day")].at(-1)?.textContent !== day) {
    const heading = document.createElement("h2");
    heading.className = "day";
    heading.textContent = day;
    place.append(heading);
  }
  const started = at("thread").content.cloneNode(true).firstElementChild;
  started.dataset.id = id;
  started.insertAdjacentHTML("afterbegin", html);
  place.append(started);
}

async function keepRefreshing() {
  await refresh();
  setTimeout(keepRefreshing, REFRESH_MS);
}

addEventListener("hashchange", refresh);
keepRefreshing();
