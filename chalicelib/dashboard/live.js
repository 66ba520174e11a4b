// Waiting while the page is visible: a page in the background must request nothing.

// Resolves when the page is visible, or the signal is aborted.
export async function visible(signal) {
  while (document.hidden && !signal.aborted)
    await new Promise((resolve) => {
      document.addEventListener("visibilitychange", resolve, { once: true });
      signal.addEventListener("abort", resolve, { once: true });
    });
}

// Resolves after some milliseconds, when the page is visible.
export async function visibleFor(milliseconds, signal) {
  await new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
  await visible(signal);
}
