// Stores the API token until the tab is closed, or on this device if the user chooses so. Never in an
// address, because addresses appear in histories and logs.

const NAME = "batchwatch.token";

export const token = () => sessionStorage.getItem(NAME) ?? localStorage.getItem(NAME);

export function keep(value, onThisDevice) {
  forget();
  (onThisDevice ? localStorage : sessionStorage).setItem(NAME, value);
}

export function forget() {
  sessionStorage.removeItem(NAME);
  localStorage.removeItem(NAME);
}
