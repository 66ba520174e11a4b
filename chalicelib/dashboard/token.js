// Stores the API token until the last tab is closed, or on this device if the user chooses so. Never in
// an address, because addresses appear in histories and logs.
//
// A new tab, such as one that a link in a notice opens, asks the other tabs of this stage for the token.

const NAME = "batchwatch.token";
const tabs = new BroadcastChannel(`${NAME} ${new URL("../../", import.meta.url).pathname}`);

export const token = () => sessionStorage.getItem(NAME) ?? localStorage.getItem(NAME);

export function keep(value, onThisDevice) {
  forget();
  (onThisDevice ? localStorage : sessionStorage).setItem(NAME, value);
}

export function forget() {
  sessionStorage.removeItem(NAME);
  localStorage.removeItem(NAME);
}

// Forgets the token in all tabs.
export function signOut() {
  forget();
  tabs.postMessage({ signOut: true });
}

// Calls `changed` when another tab has provided the token, or has signed out.
export function shareToken(changed) {
  tabs.onmessage = ({ data }) => {
    if (data.ask && token()) tabs.postMessage({ token: token() });
    if (data.token && !token()) {
      sessionStorage.setItem(NAME, data.token);
      changed();
    }
    if (data.signOut && token()) {
      forget();
      changed();
    }
  };
  if (!token()) tabs.postMessage({ ask: true });
}
