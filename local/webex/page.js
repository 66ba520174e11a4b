// Displays the selected room. page.json contains HTML in which the server has escaped all text.

const REFRESH_MS = 1000;
const element = (id) => document.getElementById(id);
let displayed = "";

function display(content) {
  const current = `${content.version} ${content.room}`;
  if (current === displayed) return;
  const messages = element("messages");
  const isOtherRoom = !displayed.endsWith(` ${content.room}`);
  const toBottom = messages.scrollHeight - messages.scrollTop - messages.clientHeight;
  element("title").textContent = content.title;
  element("rooms").innerHTML = content.rooms;
  messages.innerHTML = content.messages;
  if (isOtherRoom || toBottom < 80) messages.scrollTop = messages.scrollHeight;
  displayed = current;
}

async function refresh() {
  const room = decodeURIComponent(location.hash.slice(1));
  try {
    const response = await fetch(`page.json?${new URLSearchParams(room ? { room } : {})}`);
    display(await response.json());
    document.body.classList.remove("offline");
  } catch {
    document.body.classList.add("offline");
  }
}

async function keepRefreshing() {
  await refresh();
  setTimeout(keepRefreshing, REFRESH_MS);
}

addEventListener("hashchange", refresh);
keepRefreshing();
