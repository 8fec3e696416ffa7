import { Scene, PerspectiveCamera, WebGLRenderer, HemisphereLight, DirectionalLight, Box3, Vector3, Color } from 'three';
import { GLTFLoader } from 'three/examples/jsm/loaders/GLTFLoader.js';
import { OrbitControls } from 'three/examples/jsm/controls/OrbitControls.js';
window.THREE = { Scene, PerspectiveCamera, WebGLRenderer, HemisphereLight, DirectionalLight, Box3, Vector3, Color, GLTFLoader, OrbitControls };
