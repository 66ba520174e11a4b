// Where the API token is kept: until the tab closes, or on this device if the person asks for it.
// Never in an address, which ends up in histories and logs.

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
