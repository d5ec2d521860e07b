"use strict";

// Clips: one sprite holds a column a panel and a row a frame; the slider moves the row of all panels at once.
const playing = new Map();
// As a blob, because Chromium drops variables of style that are longer than 2 MB.
const blob = (uri) => {
  const [kind, content] = uri.split(",");
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  return URL.createObjectURL(new Blob([bytes], { type: kind.match(/[a-z]+\/[a-z]+/)[0] }));
};
const pause = (player) => {
  clearInterval(playing.get(player));
  playing.delete(player);
  player.querySelector(".controls button").textContent = "▶";
};
for (const player of document.querySelectorAll(".player")) {
  const [button, slider, time] = [".controls button", "input", "output"].map((name) => player.querySelector(name));
  const frames = Number(slider.max) + 1, fps = Number(player.dataset.fps);
  const show = (frame) => {
    slider.value = (frame + frames) % frames;
    player.style.setProperty("--frame", slider.value);
    time.value = `${(slider.value / fps).toFixed(2)} s`;
  };
  const step = (by) => { pause(player); show(Number(slider.value) + by); };
  const toggle = () => {
    if (playing.has(player)) return pause(player);
    playing.set(player, setInterval(() => show(Number(slider.value) + 1), 1000 / fps));
    button.textContent = "⏸";
  };
  button.addEventListener("click", toggle);
  slider.addEventListener("input", () => step(0));
  player.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const keys = { " ": toggle, ArrowLeft: () => step(-1), ArrowRight: () => step(1) };
    if (!(event.key in keys) || (event.key === " " && event.target === button)) return;
    event.preventDefault();
    keys[event.key]();
  });
  player.style.setProperty("--sprite", `url(${blob(player.dataset.sprite)})`);
  player.classList.toggle("alone", [...player.querySelectorAll(".group")].every((group) => group.children.length === 2));
  show(0);
}
// Of several clips one is shown, the one that is picked.
for (const list of document.querySelectorAll(".players")) {
  const [buttons, players] = [".picker button", ".player"].map((name) => [...list.querySelectorAll(name)]);
  const pick = (chosen) => players.forEach((player, index) => {
    player.hidden = index !== chosen;
    if (player.hidden) pause(player);
    if (buttons.length) buttons[index].setAttribute("aria-pressed", String(!player.hidden));
  });
  buttons.forEach((button, index) => button.addEventListener("click", () => pick(index)));
  pick(0);
}

// Figures: drawn when they come into view, in the page's text colour, light or dark.
const figures = JSON.parse(document.getElementById("figures").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
const color = () => getComputedStyle(document.body).color;
// Plotly does not break titles: on a phone they would run out of the figure.
const broken = (text, letters) => text.split(" ").reduce((lines, word) => {
  if (lines.length && lines.at(-1).length + word.length < letters) lines[lines.length - 1] += ` ${word}`;
  else lines.push(word);
  return lines;
}, []).join("<br>");
const draw = (plot) => {
  const { data, layout } = figures[plot.dataset.figure];
  const font = { ...layout.font, color: color() };
  const title = { ...layout.title, text: broken(layout.title.text, plot.clientWidth / 8) };
  const lines = title.text.split("<br>").length;
  const margin = { ...layout.margin, t: layout.margin.t + 20 * (lines - 1) };
  Plotly.newPlot(plot, data, { ...layout, font, title, margin }, { responsive: true, displaylogo: false, displayModeBar: false });
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
