// The list follows every star; the ratings stay in the address and in this browser.
const KEPT = "recsys.ratings";
const form = document.getElementById("try");
const listed = document.getElementById("listed");
const said = document.getElementById("said");
let asking;

function ratings() {
  const given = [...new FormData(form)].filter(([name]) => /^m\d+$/.test(name));
  return new URLSearchParams(given);
}

function keep(query) {
  history.replaceState(null, "", query ? `/try?${query}` : "/try");
  try {
    localStorage.setItem(KEPT, query);
  } catch {
    // Storage may be off; the address has them all the same.
  }
}

function kept() {
  try {
    return localStorage.getItem(KEPT) ?? "";
  } catch {
    return "";
  }
}

function movies() {
  return [...listed.querySelectorAll("[data-movie]")].map((item) => item.dataset.movie);
}

async function follow() {
  const query = ratings().toString();
  keep(query);
  asking?.abort();
  asking = new AbortController();
  try {
    const answer = await fetch(`/try/list?${query}`, { signal: asking.signal });
    if (!answer.ok) throw new Error(answer.statusText);
    show(await answer.text());
  } catch (error) {
    if (error.name !== "AbortError") said.textContent = "The list could not be loaded; try again.";
  }
}

function show(html) {
  const before = movies();
  listed.innerHTML = html;
  const count = Number(listed.querySelector("[data-ratings]").dataset.ratings);
  const added = [...listed.querySelectorAll("[data-movie]")].filter(
    (item) => !before.includes(item.dataset.movie),
  );
  for (const item of added) item.classList.add("is-new");
  document.querySelectorAll(".progress span").forEach((step, place) => {
    step.classList.toggle("done", place < count);
  });
  const enough = Number(form.dataset.enough);
  document.getElementById("count").textContent = `· ${Math.min(count, enough)} of ${enough}`;
  say(count, added.length, before.join() !== movies().join());
}

function say(count, added, changed) {
  const first = listed.querySelector("[data-movie] b")?.textContent;
  const given = `${count} ${count === 1 ? "rating" : "ratings"}`;
  const news = changed ? `The list changed: ${added} new, first is ${first}.` : "The list stays.";
  said.textContent = `${given}. ${news}`;
}

async function add(movie) {
  let item = form.querySelector(`.rate[data-movie="${movie}"]`);
  if (!item) {
    const answer = await fetch(`/try/movie/${movie}`);
    if (!answer.ok) return;
    const rated = document.getElementById("rated");
    rated.hidden = false;
    rated.querySelector("ul").insertAdjacentHTML("afterbegin", await answer.text());
    item = rated.querySelector(".rate");
  }
  item.scrollIntoView({ block: "center" });
  item.querySelector("input").focus();
}

form.classList.add("scripted");
form.addEventListener("change", (event) => {
  if (event.target.type === "radio") follow();
});
form.addEventListener("movie-chosen", (event) => add(event.detail));
form.addEventListener("click", (event) => {
  const button = event.target.closest(".clear");
  if (!button) return;
  event.preventDefault();
  const chosen = button.closest("li").querySelector("input:checked");
  if (chosen) chosen.checked = false;
  button.closest("li").querySelector("input").focus();
  follow();
});
document.getElementById("again").addEventListener("click", (event) => {
  event.preventDefault();
  keep("");
  location.assign("/try");
});
// Back on the page without an address that says so.
if (!location.search && kept()) location.replace(`/try?${kept()}`);
