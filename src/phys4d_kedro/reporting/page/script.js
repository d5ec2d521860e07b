"use strict";

// Clips: one sprite holds a column a panel and a row a frame; the slider moves the row.
for (const player of document.querySelectorAll(".player")) {
  const [button, slider, time] = ["button", "input", "output"].map((tag) => player.querySelector(tag));
  const frames = Number(slider.max) + 1, fps = Number(player.dataset.fps);
  let timer = null;
  const show = (frame) => {
    slider.value = frame;
    player.style.setProperty("--frame", frame);
    time.value = `${(frame / fps).toFixed(2)} s`;
  };
  const pause = () => { clearInterval(timer); timer = null; button.textContent = "▶"; };
  const play = () => {
    timer = setInterval(() => show((Number(slider.value) + 1) % frames), 1000 / fps);
    button.textContent = "⏸";
  };
  button.addEventListener("click", () => (timer === null ? play() : pause()));
  slider.addEventListener("input", () => { pause(); show(Number(slider.value)); });
  show(0);
}

// Figures: drawn when they come into view, in the page's text colour, light or dark.
const figures = JSON.parse(document.getElementById("figures").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
const color = () => getComputedStyle(document.body).color;
const draw = (plot) => {
  const { data, layout } = figures[plot.dataset.figure];
  const font = { ...layout.font, color: color() };
  Plotly.newPlot(plot, data, { ...layout, font }, { responsive: true, displaylogo: false, displayModeBar: false });
};
const watcher = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (isIntersecting) { watcher.unobserve(target); draw(target); }
  }
}, { rootMargin: "400px" });
const plots = [...document.querySelectorAll(".plot")];
plots.forEach((plot) => watcher.observe(plot));
dark.addEventListener("change", () => plots.filter((plot) => plot.data).forEach(draw));
addEventListener("beforeprint", () => plots.filter((plot) => !plot.data).forEach(draw));
