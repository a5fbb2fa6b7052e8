// If a picture fails to load, show the drawn poster, which has the title.
function uncover(image) {
  const poster = image.closest(".poster");
  if (!image.dataset.drawn) {
    image.remove();
    return;
  }
  image.src = image.dataset.drawn;
  image.className = "drawn";
  delete image.dataset.drawn;
  if (poster.classList.contains("small")) return;
  poster.classList.add("is-missing");
  poster.removeAttribute("aria-hidden");
}

document.addEventListener("error", (event) => {
  if (event.target instanceof HTMLImageElement && event.target.closest(".poster")) {
    uncover(event.target);
  }
}, true);

// Pictures that failed before this script was loaded.
for (const image of document.querySelectorAll(".poster img")) {
  if (image.complete && image.naturalWidth === 0 && image.currentSrc) uncover(image);
}
