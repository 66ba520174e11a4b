// Shows the news of the chosen room, which come as HTML that the server has made safe.

const PAUSE = 1000;
const at = (id) => document.getElementById(id);
let shown = "";

function show(news) {
  const now = `${news.version} ${news.room}`;
  if (now === shown) return;
  const messages = at("messages");
  const newRoom = !shown.endsWith(` ${news.room}`);
  const fromBottom = messages.scrollHeight - messages.scrollTop - messages.clientHeight;
  at("title").textContent = news.title;
  at("rooms").innerHTML = news.rooms;
  messages.innerHTML = news.messages;
  if (newRoom || fromBottom < 80) messages.scrollTop = messages.scrollHeight;
  shown = now;
}

async function refresh() {
  const room = decodeURIComponent(location.hash.slice(1));
  try {
    const answer = await fetch(`page.json?${new URLSearchParams(room ? { room } : {})}`);
    show(await answer.json());
    document.body.classList.remove("gone");
  } catch {
    document.body.classList.add("gone");
  }
}

async function keepRefreshing() {
  await refresh();
  setTimeout(keepRefreshing, PAUSE);
}

addEventListener("hashchange", refresh);
keepRefreshing();
