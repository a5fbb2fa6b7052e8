// The list follows every star. The ratings are kept in the address and in this browser.
const STORAGE_KEY = "recsys.ratings";
const form = document.getElementById("try");
const listed = document.getElementById("listed");
const announcement = document.getElementById("announcement");
let request;

function ratings() {
  const given = [...new FormData(form)].filter(([name]) => /^m\d+$/.test(name));
  return new URLSearchParams(given);
}

function store(query) {
  history.replaceState(null, "", query ? `/try?${query}` : "/try");
  try {
    localStorage.setItem(STORAGE_KEY, query);
  } catch {
    // Storage may be turned off; the address still has the ratings.
  }
}

function stored() {
  try {
    return localStorage.getItem(STORAGE_KEY) ?? "";
  } catch {
    return "";
  }
}

function movies() {
  return [...listed.querySelectorAll("[data-movie]")].map((item) => item.dataset.movie);
}

async function follow() {
  const query = ratings().toString();
  store(query);
  request?.abort();
  request = new AbortController();
  try {
    const response = await fetch(`/try/list?${query}`, { signal: request.signal });
    if (!response.ok) throw new Error(response.statusText);
    show(await response.text());
  } catch (error) {
    if (error.name !== "AbortError") announcement.textContent = "The list could not be loaded; try again.";
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
  announce(count, added.length, before.join() !== movies().join());
}

function announce(count, added, changed) {
  const first = listed.querySelector("[data-movie] b")?.textContent;
  const total = `${count} ${count === 1 ? "rating" : "ratings"}`;
  const news = changed ? `The list changed: ${added} new, first is ${first}.` : "The list is the same.";
  announcement.textContent = `${total}. ${news}`;
}

async function add(movie) {
  let item = form.querySelector(`.rate[data-movie="${movie}"]`);
  if (!item) {
    const response = await fetch(`/try/movie/${movie}`);
    if (!response.ok) return;
    const rated = document.getElementById("rated");
    rated.hidden = false;
    rated.querySelector("ul").insertAdjacentHTML("afterbegin", await response.text());
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
  store("");
  location.assign("/try");
});
// On a return to the page without ratings in the address.
if (!location.search && stored()) location.replace(`/try?${stored()}`);
