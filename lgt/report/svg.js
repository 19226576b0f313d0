// What the scripts that draw in the browser share. It stands before each of them (lgt/report/scripts.py).

const SVG = 'http://www.w3.org/2000/svg';
const WIDTH_OF_A_CHARACTER = 0.52;  // of the text size; enough to keep labels apart

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const mix = (from, to, share) => from + (to - from) * share;
const textWidth = (text, size) => WIDTH_OF_A_CHARACTER * size * text.length;

// The size of small text on this page, px: it follows the size of the page's own text, which is large on a projector.
const emOf = () => 0.75 * parseFloat(getComputedStyle(document.documentElement).fontSize) || 12;

function element(name, attributes = {}, parent = null, text = null) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== null) made.textContent = text;
  parent?.append(made);
  return made;
}

function html(name, attributes, parent, text = '') {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  parent.append(made);
  return made;
}

