// Search as you type: a combobox over GET /movies. Without scripts the form still works.
const WAIT_MS = 120;
const SHOWN = 8;

class Combobox {
  constructor(input, choose) {
    this.input = input;
    this.choose = choose;
    this.active = -1;
    this.list = document.createElement("ul");
    this.list.className = "found";
    this.list.id = `${input.id}-found`;
    this.list.role = "listbox";
    this.list.ariaLabel = "Movies found";
    this.list.hidden = true;
    input.after(this.list);
    input.role = "combobox";
    input.ariaAutoComplete = "list";
    input.ariaExpanded = "false";
    input.setAttribute("aria-controls", this.list.id);
    input.addEventListener("input", () => this.schedule());
    input.addEventListener("keydown", (event) => this.key(event));
    input.addEventListener("blur", () => this.close());
    // Otherwise the field loses focus and closes the list before the click arrives.
    this.list.addEventListener("pointerdown", (event) => event.preventDefault());
    this.list.addEventListener("click", (event) => this.pick(event.target.closest("li")));
  }

  schedule() {
    clearTimeout(this.timer);
    this.request?.abort();
    const words = this.input.value.trim();
    if (!words) return this.close();
    this.timer = setTimeout(() => this.search(words), WAIT_MS);
  }

  async search(words) {
    this.request = new AbortController();
    const { signal } = this.request;
    try {
      const query = new URLSearchParams({ query: words, n: SHOWN });
      const response = await fetch(`/movies?${query}`, { signal });
      if (response.ok) this.show(await response.json());
    } catch (error) {
      if (error.name !== "AbortError") this.close();
    }
  }

  show(movies) {
    this.active = -1;
    this.list.replaceChildren(...movies.map((movie, place) => this.option(movie, place)));
    this.open(movies.length > 0);
  }

  option(movie, place) {
    const item = document.createElement("li");
    item.role = "option";
    item.id = `${this.list.id}-${place}`;
    item.ariaSelected = "false";
    item.dataset.movie = movie.movie_id;
    item.dataset.key = movie.movie_key;
    item.append(movie.title);
    if (movie.year) {
      const year = document.createElement("small");
      year.textContent = ` ${movie.year}`;
      item.append(year);
    }
    return item;
  }

  key(event) {
    const options = [...this.list.children];
    if (event.key === "Escape" && !this.list.hidden) {
      event.preventDefault();
      this.close();
    } else if (event.key === "Enter" && this.active >= 0) {
      event.preventDefault();
      this.pick(options[this.active]);
    } else if (["ArrowDown", "ArrowUp"].includes(event.key) && options.length) {
      event.preventDefault();
      this.open(true);
      const step = event.key === "ArrowDown" ? 1 : -1;
      const from = this.active < 0 && step < 0 ? options.length : this.active;
      this.move(options, (from + step + options.length) % options.length);
    }
  }

  move(options, place) {
    options[this.active]?.setAttribute("aria-selected", "false");
    this.active = place;
    options[place].ariaSelected = "true";
    this.input.setAttribute("aria-activedescendant", options[place].id);
  }

  open(yes) {
    this.list.hidden = !yes;
    this.input.ariaExpanded = String(yes);
    if (!yes) this.input.removeAttribute("aria-activedescendant");
  }

  close() {
    clearTimeout(this.timer);
    this.request?.abort();
    this.active = -1;
    this.open(false);
  }

  pick(item) {
    if (!item) return;
    this.close();
    this.choose(item.dataset, this.input);
  }
}

for (const form of document.querySelectorAll("form[data-search]")) {
  new Combobox(form.querySelector("input"), ({ key, movie }) => {
    // No path can hold a key with a slash; the id is another name of the movie.
    location.assign(`/movie/${/^\.{1,2}$|\//.test(key) ? movie : encodeURIComponent(key)}`);
  });
}
for (const input of document.querySelectorAll("input[data-find-to-rate]")) {
  new Combobox(input, ({ movie }) => {
    input.value = "";
    const detail = Number(movie);
    input.dispatchEvent(new CustomEvent("movie-chosen", { bubbles: true, detail }));
  });
}
