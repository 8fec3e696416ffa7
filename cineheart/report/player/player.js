/* Plays the images of a report: frames, outlines and points on a canvas, linked to the curves of the page. */
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("player-data").textContent);
  const root = document.getElementById("player"), canvas = root.querySelector("canvas");
  const pen = canvas.getContext("2d"), find = (name) => root.querySelector(`[name=${name}]`);
  const state = { view: 0, slice: -1, frame: data.marks.length ? data.marks[0][1] : 0, zoom: 1, x: 0, y: 0, timer: 0 };
  const strips = data.views.map((view) => view.slices.map((slice) => {
    const image = new Image();
    image.onload = draw;
    image.src = slice.strip;
    return image;
  }));
  const cursors = [];

  const beat = () => (data.times && data.frames > 1 ? data.times[data.frames - 1] * data.frames / (data.frames - 1) : 1000);
  const shown = () => {
    const all = data.views[state.view].slices.map((_, n) => n);
    return state.slice < 0 || state.slice >= all.length ? all : [state.slice];
  };

  function layout() {
    const view = data.views[state.view], tiles = shown();
    const room = root.querySelector(".stage").clientWidth || 800;
    const high = view.height * view.proportion / view.width;
    const most = tiles.length === 1 ? 1 : Math.max(2, Math.min(6, Math.floor(room / 210)));
    const columns = Math.min(tiles.length, most), lines = Math.ceil(tiles.length / columns);
    let width = room / columns;
    if (tiles.length === 1) width = Math.min(width, Math.max(260, 0.7 * innerHeight) / high);
    return { view, tiles, columns, lines, width, height: width * high };
  }

  function draw() {
    const { view, tiles, columns, lines, width, height } = layout(), dots = devicePixelRatio || 1;
    const size = [Math.round(width * columns), Math.round(height * lines)];
    canvas.style.width = `${size[0]}px`;
    canvas.style.height = `${size[1]}px`;
    if (canvas.width !== Math.round(size[0] * dots)) canvas.width = Math.round(size[0] * dots);
    if (canvas.height !== Math.round(size[1] * dots)) canvas.height = Math.round(size[1] * dots);
    pen.setTransform(dots, 0, 0, dots, 0, 0);
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, size[0], size[1]);
    const frame = view.shown ? view.shown[state.frame] : state.frame;
    tiles.forEach((slice, place) => {
      pen.save();
      pen.beginPath();
      pen.rect((place % columns) * width, Math.floor(place / columns) * height, width - 1, height - 1);
      pen.clip();
      pen.translate((place % columns) * width, Math.floor(place / columns) * height);
      drawTile(view, slice, frame, width / view.width, width, height);
      pen.restore();
    });
    for (const cursor of cursors) {
      cursor.line.setAttribute("x1", cursor.at[state.frame]);
      cursor.line.setAttribute("x2", cursor.at[state.frame]);
    }
    const time = data.times ? `, ${Math.round(data.times[state.frame])} ms` : "";
    const mark = data.marks.filter((m) => m[1] === state.frame).map((m) => ` ${m[0]}`).join("");
    find("frame").value = state.frame + 1;
    find("where").textContent = `frame ${state.frame + 1} of ${data.frames}${time}${mark}`;
    find("which").textContent = tiles.length > 1 ? "all slices" : `slice ${view.slices[tiles[0]].number}`;
    root.dataset.frame = state.frame;
  }

  function drawTile(view, slice, frame, scale, width, height) {
    const strip = strips[state.view][slice], down = scale * view.proportion;
    pen.translate(width / 2 + state.x * width, height / 2 + state.y * height);
    pen.scale(state.zoom, state.zoom);
    pen.translate(-width / 2, -height / 2);
    if (strip.complete && strip.naturalWidth) {
      const x = (frame % view.columns) * view.width, y = Math.floor(frame / view.columns) * view.height;
      pen.imageSmoothingQuality = "high";
      pen.drawImage(strip, x, y, view.width, view.height, 0, 0, width, height);
    }
    const unit = 1 / (data.steps * view.step), half = 0.5;
    const path = (numbers, count) => {
      pen.beginPath();
      for (let n = 0; n < count; n += 2) {
        pen.lineTo((numbers[n] * unit + half) * scale, (numbers[n + 1] * unit + half) * down);
      }
    };
    pen.lineWidth = 1.6 / state.zoom;
    data.contours.forEach((contour, n) => {
      if (!find(`contour${n}`).checked) return;
      pen.strokeStyle = contour.colour;
      for (const line of view.slices[slice].outlines[state.frame][n] || []) {
        path(line, line.length);
        pen.stroke();
      }
    });
    for (const point of find("points").checked ? view.points || [] : []) {
      pen.strokeStyle = pen.fillStyle = point.colour;
      pen.lineWidth = 1 / state.zoom;
      path(point.path, point.path.length);
      pen.closePath();
      pen.stroke();
      const at = [(point.path[2 * frame] * unit + half) * scale, (point.path[2 * frame + 1] * unit + half) * down];
      pen.beginPath();
      pen.arc(at[0], at[1], 4.5 / state.zoom, 0, 7);
      pen.fill();
    }
    pen.fillStyle = "#fff";
    pen.font = `${13 / state.zoom}px sans-serif`;
    if (state.zoom === 1) pen.fillText(view.slices.length > 1 ? view.slices[slice].number : view.name, 6, 17);
  }

  function go(frame) {
    state.frame = ((frame % data.frames) + data.frames) % data.frames;
    draw();
  }
  function play(on) {
    clearInterval(state.timer);
    state.timer = on ? setInterval(() => go(state.frame + 1), beat() / data.frames / Number(find("speed").value)) : 0;
    find("play").textContent = on ? "Pause" : "Play";
    root.dataset.playing = on ? "yes" : "no";
  }
  function choose(view, slice) {
    state.view = view;
    const count = data.views[view].slices.length;
    state.slice = count > 1 ? ((slice + 1 + count + 1) % (count + 1)) - 1 : 0;
    find("slice").max = count;
    find("slice").disabled = count < 2;
    find("slice").value = state.slice + 1;
    root.querySelectorAll("[data-view]").forEach((b) => b.setAttribute("aria-pressed", String(Number(b.dataset.view) === view)));
    zoom(0);
  }
  function zoom(factor) {
    state.zoom = factor ? Math.min(12, Math.max(1, state.zoom * factor)) : 1;
    if (state.zoom === 1) state.x = state.y = 0;
    canvas.classList.toggle("enlarged", state.zoom > 1);
    draw();
  }
  function pan(dx, dy) {
    const { width, height } = layout(), most = (state.zoom - 1) / 2;
    state.x = Math.min(most, Math.max(-most, state.x + dx / width));
    state.y = Math.min(most, Math.max(-most, state.y + dy / height));
    draw();
  }

  data.views.forEach((view, n) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = view.name;
    button.dataset.view = n;
    button.onclick = () => choose(n, -1);
    root.querySelector(".views").append(button);
  });
  find("frame").max = data.frames;
  find("frame").oninput = (event) => { play(false); go(Number(event.target.value) - 1); };
  find("slice").oninput = (event) => choose(state.view, Number(event.target.value) - 1);
  find("play").onclick = () => play(!state.timer);
  find("speed").onchange = () => play(Boolean(state.timer));
  find("closer").onclick = () => zoom(1.4);
  find("wider").onclick = () => zoom(1 / 1.4);
  root.querySelectorAll("input[type=checkbox]").forEach((box) => { box.onchange = draw; });
  root.querySelectorAll("[data-mark]").forEach((b) => { b.onclick = () => { play(false); go(Number(b.dataset.mark)); }; });

  canvas.onkeydown = (event) => {
    const keys = {
      " ": () => play(!state.timer),
      ArrowRight: () => { play(false); go(state.frame + 1); },
      ArrowLeft: () => { play(false); go(state.frame - 1); },
      ArrowUp: () => choose(state.view, state.slice - 1),
      ArrowDown: () => choose(state.view, state.slice + 1),
      "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4), 0: () => zoom(0),
      v: () => choose((state.view + 1) % data.views.length, -1),
      c: () => { const boxes = [...root.querySelectorAll("[name^=contour]")], on = !boxes.some((b) => b.checked); boxes.forEach((b) => { b.checked = on; }); draw(); },
    };
    if (keys[event.key] && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      keys[event.key]();
    }
  };
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && document.activeElement !== canvas) return;
    event.preventDefault();
    zoom(event.deltaY < 0 ? 1.15 : 1 / 1.15);
  }, { passive: false });

  /* One finger or the mouse: pan when zoomed, else scrub sideways. Two fingers: zoom. A tap opens or closes a slice. */
  const fingers = new Map();
  let moved = 0, apart = 0, scrub = 0;
  const distance = () => { const [a, b] = [...fingers.values()]; return Math.hypot(a.x - b.x, a.y - b.y); };
  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    moved = scrub = 0;
    if (fingers.size === 2) apart = distance();
  };
  canvas.onpointermove = (event) => {
    const last = fingers.get(event.pointerId);
    if (!last) return;
    const dx = event.clientX - last.x, dy = event.clientY - last.y;
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    moved += Math.abs(dx) + Math.abs(dy);
    if (fingers.size === 2) {
      const now = distance();
      zoom(now / (apart || now));
      apart = now;
    } else if (state.zoom > 1) {
      pan(dx, dy);
    } else {
      scrub += dx;
      const steps = Math.trunc(scrub / 12);
      if (steps) { play(false); scrub -= 12 * steps; go(state.frame + steps); }
    }
  };
  const lift = (event) => {
    const was = fingers.delete(event.pointerId);
    if (!was || event.type === "pointercancel" || moved > 6 || fingers.size) return;
    if (data.views[state.view].slices.length < 2) return;
    if (state.slice >= 0) return choose(state.view, -1);
    const { columns, width, height } = layout(), at = canvas.getBoundingClientRect();
    const place = Math.floor((event.clientY - at.top) / height) * columns + Math.floor((event.clientX - at.left) / width);
    if (place < data.views[state.view].slices.length) choose(state.view, place);
  };
  canvas.onpointerup = canvas.onpointercancel = lift;

  /* Curves over the same frames: a cursor that follows, and a click that goes there. */
  document.querySelectorAll("[data-frames]").forEach((figure) => {
    const at = figure.dataset.frames.split(" ").map(Number), svg = figure.querySelector("svg");
    if (!svg || at.length !== data.frames) return;
    const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
    line.setAttribute("class", "cursor");
    line.setAttribute("y1", 0.12 * svg.viewBox.baseVal.height);
    line.setAttribute("y2", 0.84 * svg.viewBox.baseVal.height);
    svg.append(line);
    cursors.push({ line, at });
    const follow = (event) => {
      const box = svg.getBoundingClientRect(), x = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
      play(false);
      go(at.reduce((best, value, n) => (Math.abs(value - x) < Math.abs(at[best] - x) ? n : best), 0));
    };
    svg.addEventListener("pointerdown", follow);
    svg.addEventListener("pointermove", (event) => { if (event.buttons) follow(event); });
  });

  document.documentElement.classList.add("live");
  root.hidden = false;
  addEventListener("resize", draw);
  choose(0, -1);
  root.dataset.playing = "no";
})();
