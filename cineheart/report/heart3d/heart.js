/* Shows the mesh of a report with three.js: turn, zoom, move, and choose the parts. */
(() => {
  "use strict";
  const root = document.getElementById("heart3d"), source = document.getElementById("heart3d-data");
  const canvas = root.querySelector("canvas"), still = document.getElementById("mesh-still");
  let renderer;
  try {
    renderer = new THREE.WebGLRenderer({ canvas, antialias: true, alpha: true, preserveDrawingBuffer: true });
  } catch (error) {
    return; // without WebGL the still picture stays
  }
  const scene = new THREE.Scene(), camera = new THREE.PerspectiveCamera(35, 1, 1, 2000);
  const controls = new THREE.OrbitControls(camera, canvas);
  const lamp = new THREE.DirectionalLight(0xffffff, 2.2);
  scene.add(new THREE.HemisphereLight(0xffffff, 0x666677, 1.6), camera);
  camera.add(lamp);
  lamp.position.set(-60, 80, 60);

  function draw() {
    const width = root.clientWidth - 2, height = Math.min(520, Math.max(280, 0.62 * width));
    renderer.setPixelRatio(devicePixelRatio || 1);
    renderer.setSize(width, height);
    camera.aspect = width / height;
    camera.updateProjectionMatrix();
    renderer.render(scene, camera);
  }
  function look(x, y, z, up) {
    camera.up.set(0, up === "z" ? 0 : 1, up === "z" ? -1 : 0);
    camera.position.set(x, y, z);
    controls.target.set(0, 0, 0);
    controls.update();
    draw();
  }

  new THREE.GLTFLoader().parse(source.textContent, "", (loaded) => {
    scene.add(loaded.scene);
    /* VTK's file moves the scene to where the eye of its camera was: the heart comes back to the middle. */
    const middle = new THREE.Box3().setFromObject(loaded.scene).getCenter(new THREE.Vector3());
    loaded.scene.position.sub(middle);
    const size = new THREE.Box3().setFromObject(loaded.scene).getSize(new THREE.Vector3()).length();
    const parts = [], bar = root.querySelector(".parts");
    loaded.scene.traverse((part) => { if (part.isMesh || part.isLine || part.isLineSegments) parts.push(part); });
    parts.forEach((part, n) => {
      const name = root.dataset.parts.split(" ")[n] || part.name;
      part.material.side = 2;
      if (part.isMesh) { part.material.metalness = 0; part.material.roughness = 0.75; part.geometry.computeVertexNormals(); }
      part.visible = name !== "FIBRES";
      const label = document.createElement("label"), box = document.createElement("input");
      box.type = "checkbox";
      box.checked = part.visible;
      box.name = name;
      box.onchange = () => { part.visible = box.checked; draw(); };
      label.append(box, ({ EPI: "Epicardium", ENDO_LV: "LV endocardium", ENDO_RV: "RV endocardium", BASE: "Base", FIBRES: "Fibres" })[name] || name);
      bar.append(label);
    });
    root.querySelector("[data-look=front]").onclick = () => look(0, 0, 1.25 * size);
    root.querySelector("[data-look=back]").onclick = () => look(0, 0, -1.25 * size);
    root.querySelector("[data-look=base]").onclick = () => look(0, 1.25 * size, 0, "z");
    controls.addEventListener("change", () => renderer.render(scene, camera));
    root.hidden = false;
    still.classList.add("still");
    root.dataset.parts_shown = parts.length;
    look(0, 0, 1.25 * size);
    addEventListener("resize", draw);
  }, (error) => { root.dataset.problem = String(error); });

  canvas.onkeydown = (event) => {
    const turn = { ArrowLeft: [-0.15, 0], ArrowRight: [0.15, 0], ArrowUp: [0, -0.15], ArrowDown: [0, 0.15] }[event.key];
    const closer = { "+": 0.85, "=": 0.85, "-": 1 / 0.85 }[event.key];
    if (!turn && !closer) return;
    event.preventDefault();
    const at = camera.position.clone();
    if (closer) at.multiplyScalar(closer);
    else at.applyAxisAngle(camera.up, turn[0]).applyAxisAngle(new THREE.Vector3().crossVectors(camera.up, at).normalize(), turn[1]);
    camera.position.copy(at);
    controls.update();
    draw();
  };
})();
