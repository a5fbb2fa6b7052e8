// Reasons take longer than the list, so they come after it.
const list = document.querySelector("[data-because]");
const waiting = [...(list?.querySelectorAll("[data-unknown]") ?? [])];

if (waiting.length) {
  const address = new URL(list.dataset.because, location.href);
  for (const each of waiting) address.searchParams.append("movie", each.dataset.movie);
  const answer = await fetch(address);
  if (answer.ok) {
    const found = document.createElement("template");
    found.innerHTML = await answer.text();
    for (const each of waiting) {
      const reason = found.content.querySelector(`[data-movie="${each.dataset.movie}"]`);
      // Whoever has tabbed to a link here keeps it.
      if (reason && !each.contains(document.activeElement)) each.replaceWith(reason);
    }
  }
}
