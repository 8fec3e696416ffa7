// The player of the report: frames of every slice and view, contours over them, and the volume curve with a cursor.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("player-data").textContent);
  const count = data.tiles[0].of.length;
  const byId = (id) => document.getElementById(`player-${id}`);
  const slider = byId("frame"), text = byId("text"), play = byId("play"), speed = byId("speed");
  const contours = byId("contours"), curve = byId("curve"), grid = byId("tiles");
  let frame = data.ed, playing = false, last = 0;

  const tiles = data.tiles.map((tile) => {
    const figure = document.createElement("figure");
    const canvas = document.createElement("canvas");
    const image = new Image();
    figure.tabIndex = 0;
    figure.append(canvas, Object.assign(document.createElement("figcaption"), { textContent: tile.title }));
    const toggle = () => { figure.classList.toggle("large"); draw(); };
    figure.addEventListener("click", toggle);
    figure.addEventListener("keydown", (event) => { if (event.key === "Enter") toggle(); });
    canvas.setAttribute("role", "img");
    grid.append(figure);
    image.onload = () => draw();
    image.src = tile.strip;
    return { tile, canvas, image };
  });

  function trace(context, path, scaleX, scaleY) {
    context.beginPath();
    for (let n = 0; n < path.length; n += 2) {
      if (path[n] === null) continue;
      const x = (path[n] / 10 + 0.5) * scaleX, y = (path[n + 1] / 10 + 0.5) * scaleY;
      if (n === 0) context.moveTo(x, y); else context.lineTo(x, y);
    }
  }

  function drawTile({ tile, canvas, image }) {
    if (!image.complete || !image.naturalWidth) return;
    const sharp = window.devicePixelRatio || 1;
    const width = Math.max(Math.round(canvas.clientWidth * sharp), 1), height = Math.round(width / tile.ratio);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d"), shown = tile.of[frame];
    const images = Math.round(image.naturalWidth * tile.size[1] / (image.naturalHeight * tile.size[0]));
    const side = image.naturalWidth / images;
    context.imageSmoothingQuality = "high";
    context.drawImage(image, shown * side, 0, side, image.naturalHeight, 0, 0, width, height);
    canvas.setAttribute("aria-label", `${tile.title}, frame ${frame + 1} of ${count}`);
    if (!contours.checked) return;
    const scaleX = width / tile.size[0], scaleY = height / tile.size[1];
    context.lineWidth = Math.max(1.2 * sharp, width / 260);
    for (const [colour, ...path] of tile.lines[frame] || []) {
      trace(context, path, scaleX, scaleY);
      context.closePath();
      context.strokeStyle = colour;
      context.stroke();
    }
    for (const [colour, ...path] of tile.dots) {
      trace(context, path, scaleX, scaleY);
      context.strokeStyle = colour;
      context.globalAlpha = 0.55;
      context.stroke();
      context.globalAlpha = 1;
      const x = path[2 * frame], y = path[2 * frame + 1];
      if (x === null) continue;
      context.beginPath();
      context.arc((x / 10 + 0.5) * scaleX, (y / 10 + 0.5) * scaleY, 3.5 * sharp, 0, 2 * Math.PI);
      context.fillStyle = colour;
      context.fill();
    }
  }

  function drawCurve() {
    const sharp = window.devicePixelRatio || 1, width = curve.clientWidth * sharp, height = curve.clientHeight * sharp;
    if (!width) return;
    Object.assign(curve, { width, height });
    const context = curve.getContext("2d"), style = getComputedStyle(curve);
    const highest = 1.1 * Math.max(...data.curves.flatMap((line) => line.values));
    const x = (t) => (0.02 + 0.96 * t / (count - 1)) * width, y = (value) => (0.95 - 0.85 * value / highest) * height;
    context.font = `${12 * sharp}px system-ui, sans-serif`;
    context.lineWidth = 1.8 * sharp;
    data.curves.forEach((line, number) => {
      context.strokeStyle = context.fillStyle = line.colour;
      context.beginPath();
      line.values.forEach((value, t) => (t ? context.lineTo(x(t), y(value)) : context.moveTo(x(t), y(value))));
      context.stroke();
      context.beginPath();
      context.arc(x(frame), y(line.values[frame]), 4 * sharp, 0, 2 * Math.PI);
      context.fill();
      const told = `${line.name} ${line.values[frame].toFixed(0)} ${data.unit}`;
      context.fillText(told, 0.02 * width + number * 130 * sharp, 14 * sharp);
    });
    context.strokeStyle = style.color;
    context.lineWidth = sharp;
    for (const [at, dash] of [[frame, []], [data.ed, [3, 4]], [data.es, [3, 4]]]) {
      context.setLineDash(dash.map((length) => length * sharp));
      context.beginPath();
      context.moveTo(x(at), 0.1 * height);
      context.lineTo(x(at), height);
      context.stroke();
    }
    context.setLineDash([]);
  }

  function draw() {
    slider.value = frame;
    const at = data.times.length ? `, ${data.times[frame]} ms` : "";
    const phase = frame === data.ed ? ", end-diastole" : frame === data.es ? ", end-systole" : "";
    text.textContent = `Frame ${frame + 1} of ${count}${at}${phase}`;
    slider.setAttribute("aria-valuetext", text.textContent);
    tiles.forEach(drawTile);
    drawCurve();
  }

  function show(next) {
    frame = ((next % count) + count) % count;
    draw();
  }

  function step(now) {
    if (!playing) return;
    const beat = data.times.length > 1 ? data.times[count - 1] * count / (count - 1) : 1000;
    if (now - last >= beat / count / Number(speed.value)) {
      last = now;
      show(frame + 1);
    }
    requestAnimationFrame(step);
  }

  function setPlaying(wanted) {
    playing = wanted;
    play.textContent = playing ? "Pause" : "Play";
    if (playing) requestAnimationFrame(step);
  }

  const pick = (event) => {
    const box = curve.getBoundingClientRect();
    const share = ((event.clientX - box.left) / box.width - 0.02) / 0.96;
    show(Math.min(Math.max(Math.round(share * (count - 1)), 0), count - 1));
  };
  slider.max = count - 1;
  slider.addEventListener("input", () => { setPlaying(false); show(Number(slider.value)); });
  play.addEventListener("click", () => setPlaying(!playing));
  contours.addEventListener("change", draw);
  byId("ed").addEventListener("click", () => { setPlaying(false); show(data.ed); });
  byId("es").addEventListener("click", () => { setPlaying(false); show(data.es); });
  curve.addEventListener("pointerdown", (event) => {
    setPlaying(false);
    curve.setPointerCapture(event.pointerId);
    pick(event);
  });
  curve.addEventListener("pointermove", (event) => { if (event.buttons) pick(event); });
  byId("section").addEventListener("keydown", (event) => {
    const inField = ["SELECT", "BUTTON"].includes(event.target.tagName);
    if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      setPlaying(false);
      show(frame + (event.key === "ArrowRight" ? 1 : -1));
      event.preventDefault();
    } else if (event.key === " " && !inField) {
      setPlaying(!playing);
      event.preventDefault();
    }
  });
  window.addEventListener("resize", draw);
  draw();
})();
