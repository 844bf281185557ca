// Compares two pictures of a sample under a divider. Without this script the pictures stand in their strips alone.
"use strict";
for (const sample of document.querySelectorAll(".sample")) {
  const compare = sample.querySelector(".compare");
  const viewer = sample.querySelector(".viewer");
  const slider = viewer.querySelector("input");

  const show = (side, id) => {
    const chosen = document.getElementById(id);
    const image = viewer.querySelector(`img.${side}`);
    const select = compare.querySelector(`select[data-side=${side}]`);
    select.value = id;
    image.src = chosen.src;
    image.alt = chosen.alt;
    image.classList.toggle("drawn", chosen.classList.contains("drawn"));
    viewer.querySelector(`.tag.${side}`).textContent = select.selectedOptions[0].textContent;
    for (const button of sample.querySelectorAll("button[data-show]")) {
      button.setAttribute("aria-pressed", String(button.dataset.show === compare.querySelector("select[data-side=right]").value));
    }
  };
  const split = () => viewer.style.setProperty("--split", `${slider.value}%`);
  const follow = (event) => {
    const box = viewer.getBoundingClientRect();
    slider.value = (100 * (event.clientX - box.left)) / box.width;
    split();
  };

  for (const select of compare.querySelectorAll("select")) {
    select.addEventListener("change", () => show(select.dataset.side, select.value));
    show(select.dataset.side, select.value);
  }
  for (const button of sample.querySelectorAll("button[data-show]")) {
    button.addEventListener("click", () => {
      show("right", button.dataset.show);
      viewer.scrollIntoView({ block: "nearest" });
    });
  }
  slider.addEventListener("input", split);
  viewer.addEventListener("pointerdown", (event) => {
    viewer.setPointerCapture(event.pointerId);
    follow(event);
    slider.focus({ preventScroll: true });
    event.preventDefault();
  });
  viewer.addEventListener("pointermove", (event) => {
    if (viewer.hasPointerCapture(event.pointerId)) follow(event);
  });
  split();
  compare.hidden = false;
}
