// Reasons take longer to compute than the list, so they are loaded after it.
const list = document.querySelector("[data-because]");
const waiting = [...(list?.querySelectorAll("[data-unknown]") ?? [])];

if (waiting.length) {
  const address = new URL(list.dataset.because, location.href);
  for (const each of waiting) address.searchParams.append("movie", each.dataset.movie);
  const response = await fetch(address);
  if (response.ok) {
    const found = document.createElement("template");
    found.innerHTML = await response.text();
    for (const each of waiting) {
      const reason = found.content.querySelector(`[data-movie="${each.dataset.movie}"]`);
      // Replacing the focused link would lose the place of a keyboard user.
      if (reason && !each.contains(document.activeElement)) each.replaceWith(reason);
    }
  }
}
