// The heads of one run in one picture: the sharing graph, the list of heads, the ablation maps, and the accuracy of each
// task with and without a head. Pointing at a head in any of them, touching it, or reaching it with the keyboard lights
// it in all of them. Nothing is asked of the server; only a head that is pinned is told to it.
//
// `new LinkedHeads(root, data, tell)` draws into the element `root`. `data` has the `picture` (lgt/charts/linked_heads.py)
// and the name of the `pinned` head or "". `tell(name)` is called when the viewer pins another head, or none. The
// functions of svg.js stand before this script.

const HINT = 'Point at a head, touch it, or reach it with Tab and the arrow keys: its lines, its cells and the accuracy ' +
  'without it stand out. A click keeps it and opens more below.';
const FAINT = 0.12;  // opacity of lines that do not belong to the lit head
const QUIET = 0.3;  // opacity of heads and cells that are not lit
const LINK = 0.62;  // opacity of lines while no head is lit
const LONGEST_MARK = 3;  // characters of a number below a plot

const percent = (share) => (share === null || share === undefined ? '–' : String(Math.round(100 * share)));

// A figure of its own size inside the picture.
class Figure {
  constructor(place, key) {
    this.box = html('div', { class: `${key} st-key-chart-${key}` }, place);  // the class by which downloads find it
    this.svg = element('svg', { class: 'marks', role: 'group' }, this.box);
  }

  // Empty it for a drawing of `width` times `height` px.
  clear(width, height, colours) {
    this.colours = colours;
    this.svg.replaceChildren();
    const font = getComputedStyle(this.box).fontFamily;
    for (const [name, value] of Object.entries({ width, height, viewBox: `0 0 ${width} ${height}`, 'font-family': font })) {
      this.svg.setAttribute(name, value);
    }
  }

  text(x, y, text, more = {}, parent = this.svg) {
    return element('text', { x, y, fill: this.colours.text, 'font-size': this.em, ...more }, parent, text);
  }

  // A group that stands for a head: it can be pointed at and reached with the keyboard.
  head(head, more = {}) {
    const { name, label } = this.picture.heads[head];
    return element('g', { role: 'button', tabindex: -1, 'aria-label': label, 'data-head': name, ...more }, this.svg);
  }

  // Where each head lies, for the arrow keys: [x, y] by head.
  remember(head, x, y, group) {
    group.dataset.x = x;
    group.dataset.y = y;
  }
}

// --- the sharing graph ---------------------------------------------------------------------------------------------

class Graph extends Figure {
  draw(picture, em, width) {
    Object.assign(this, { picture, em, width, graph: picture.graph, unit: em / picture.usual });
    const { graph, unit } = this, key = 3 * em;
    this.clear(width, graph.height * unit + key, picture.colours);
    this.svg.setAttribute('aria-label', picture.graphWords);
    this.bridge();
    this.counts();
    this.links = graph.tasks.flatMap((task, place) => this.linksOf(task, place));
    this.discs = graph.discs.map((disc, head) => this.disc(disc, head));
    this.tasks = graph.tasks.map((task) => this.task(task));
    this.widths(graph.height * unit + 0.55 * key);
  }

  y(place) { return place * this.unit; }

  bridge() {
    const { graph, colours } = this, [top, bottom] = graph.bridge.map((place) => this.y(place));
    const look = graph.alone ? { fill: 'none', stroke: colours.shared, 'stroke-opacity': 0.45, 'stroke-dasharray': '4 4' }
      : { fill: colours.shared, 'fill-opacity': 0.11 };
    element('rect', { x: 1, y: top, width: this.width - 2, height: bottom - top, rx: 12, ...look }, this.svg);
    if (graph.alone) {
      this.text(this.width * graph.tasks[0].x, (top + bottom) / 2 + 0.35 * this.em, 'trained alone: no task to share with',
        { fill: colours.muted, 'text-anchor': 'middle' });
    }
  }

  counts() {
    const { em } = this;
    for (const { number, words, colour, y } of this.graph.counts) {
      this.text(0.6 * em, this.y(y) + 0.25 * em, number, { fill: colour, 'font-size': 1.75 * em, 'font-weight': 700 });
      words.split('\n').forEach((line, place) => this.text(0.6 * em, this.y(y) + (1.35 + 1.05 * place) * em, line,
        { fill: this.colours.muted, 'font-size': 0.92 * em }));
    }
  }

  thickness(drop) { return (0.5 + (this.graph.widest - 0.5) * drop) * this.unit; }

  linksOf(task, place) {
    const { drops } = this.picture.tasks[place];
    return drops.map((drop, head) => ({ drop, head })).filter(({ drop }) => drop !== null && drop > this.graph.threshold)
      .sort((a, b) => b.drop - a.drop).map(({ drop, head }) => {
        const to = this.graph.discs[head], [x1, x2] = [this.width * task.x, this.width * to.x];
        const [y1, y2] = [this.y(task.y), this.y(to.y)], third = (y2 - y1) / 3;
        const path = element('path', { d: `M${x1},${y1}C${x1},${y1 + third} ${x2},${y2 - third} ${x2},${y2}`, fill: 'none',
          stroke: task.colour, 'stroke-width': this.thickness(drop), 'stroke-linecap': 'round', opacity: LINK,
          class: 'link', 'data-of': this.picture.heads[head].name, 'data-task': task.task }, this.svg);
        return { head, task: task.task, path };
      });
  }

  disc({ x, y, colours }, head) {
    const radius = this.graph.radius * this.unit, group = this.head(head, { class: 'head' });
    const [cx, cy] = [this.width * x, this.y(y)], used = colours.length > 0, size = used ? radius : 0.34 * radius;
    this.remember(head, cx, cy, group);
    element('circle', { cx, cy, r: used ? radius : Math.min(radius, 0.032 * this.width), fill: this.colours.surface,
      'fill-opacity': used ? 1 : 0 }, group);
    if (colours.length < 2) element('circle', { cx, cy, r: size, fill: colours[0] ?? this.colours.unused }, group);
    else this.slices(group, cx, cy, radius, colours);
    const name = this.text(cx, cy + 0.27 * this.em, this.picture.heads[head].name, { fill: this.colours.surface,
      'text-anchor': 'middle', 'font-size': 0.79 * this.em, 'font-weight': 700, 'pointer-events': 'none' }, group);
    if (!used) name.setAttribute('visibility', 'hidden');
    const ring = element('circle', { cx, cy, r: size + 0.32 * this.em, fill: 'none', stroke: this.colours.text,
      'stroke-width': 0.2 * this.em, visibility: 'hidden' }, group);
    return { group, ring };
  }

  slices(group, cx, cy, radius, colours) {
    const at = (angle) => `${(cx + radius * Math.sin(angle)).toFixed(2)},${(cy - radius * Math.cos(angle)).toFixed(2)}`;
    colours.forEach((fill, slice) => {
      const [from, to] = [slice, slice + 1].map((one) => 2 * Math.PI * one / colours.length);
      element('path', { d: `M${cx},${cy}L${at(from)}A${radius},${radius} 0 0 1 ${at(to)}Z`, fill }, group);
    });
  }

  task({ task, title, colour, side, x, y }) {
    const { em } = this, size = 1.5 * em, group = element('g', {}, this.svg), middle = this.width * x;
    element('rect', { x: middle - size / 2, y: this.y(y) - size / 2, width: size, height: size, fill: colour }, group);
    const room = 0.98 * this.width * (side === 'top' ? 1 : 0.8 / (this.graph.tasks.length - 1));
    const lines = broken(title, Math.floor(room / (WIDTH_OF_A_CHARACTER * 1.08 * em)));
    lines.forEach((line, place) => this.text(middle,
      this.y(y) + (side === 'top' ? -1.3 - 1.15 * (lines.length - 1 - place) : 2.15 + 1.15 * place) * em, line,
      { 'text-anchor': 'middle', 'font-size': 1.08 * em, 'font-weight': 600 }, group));
    return { task, group };
  }

  widths(y) {
    const { em } = this;
    let x = 0.75 * em;
    for (const { drop, label } of this.graph.key) {
      element('line', { x1: x, x2: x + 2.2 * em, y1: y, y2: y, stroke: this.colours.muted,
        'stroke-width': this.thickness(drop) }, this.svg);
      this.text(x + 2.6 * em, y + 0.35 * em, label);
      x += 4.1 * em + textWidth(label, em);
    }
  }

  light(lit) {
    const linked = new Set(this.links.filter(({ head }) => head === lit).map(({ task }) => task));
    for (const { head, path } of this.links) {
      path.setAttribute('opacity', lit === null ? LINK : head === lit ? 0.95 : FAINT);
      path.toggleAttribute('data-lit', head === lit);
    }
    this.discs.forEach(({ group, ring }, head) => {
      group.setAttribute('opacity', lit === null || head === lit ? 1 : QUIET);
      group.toggleAttribute('data-lit', head === lit);
      ring.setAttribute('visibility', head === lit ? 'visible' : 'hidden');
    });
    for (const { task, group } of this.tasks) group.setAttribute('opacity', lit === null || linked.has(task) ? 1 : QUIET);
  }
}

// `text` in lines of at most `most` characters, where a word does not need more.
function broken(text, most) {
  const lines = [''];
  for (const word of text.split(' ')) {
    const longer = `${lines[lines.length - 1]} ${word}`.trim();
    if (longer.length <= most) lines[lines.length - 1] = longer; else lines.push(word);
  }
  return lines[0] ? lines : lines.slice(1);
}

// --- the ablation maps ---------------------------------------------------------------------------------------------

class Maps extends Figure {
  draw(picture, em, width) {
    Object.assign(this, { picture, em, width });
    const { heads, layers } = picture.maps, gap = 1, names = 1.9 * em;
    const room = (columns) => (width - names) / (columns * heads + (columns - 1) * gap);
    const columns = [3, 2].find((count) => count <= picture.tasks.length && room(count) >= 1.75 * em) ?? 1;
    this.cell = Math.min(room(columns), 3.6 * em);
    this.row = 2.3 * em;
    const titles = picture.tasks.map(({ title }) => broken(title, Math.floor((heads + 0.7) * this.cell /
      (WIDTH_OF_A_CHARACTER * em))));
    this.above = (0.7 + 1.15 * Math.max(...titles.map((lines) => lines.length))) * em;
    const panel = this.above + layers * this.row + 2.4 * em;
    const height = Math.ceil(picture.tasks.length / columns) * panel + 2.6 * em;
    this.clear(width, height, picture.colours);
    this.svg.setAttribute('aria-label', 'Ablation maps: drop of exact match, in percentage points, without each head.');
    this.cells = picture.tasks.flatMap((task, place) => this.panel(task, place, titles[place],
      names + (place % columns) * (heads + gap) * this.cell, Math.floor(place / columns) * panel, place % columns === 0));
    this.scale(height - 1.5 * em);
  }

  panel({ task, colour }, place, lines, left, top, first) {
    const { em, cell, row } = this, { heads, layers, cells } = this.picture.maps, muted = this.colours.muted;
    lines.forEach((line, at) => this.text(left, top + this.above - (0.65 + 1.15 * (lines.length - 1 - at)) * em, line,
      { fill: colour, 'font-weight': 600 }));
    for (let layer = 0; first && layer < layers; layer += 1) {
      this.text(left - 0.4 * em, top + this.above + (layers - layer - 0.5) * row + 0.35 * em, `L${layer + 1}`,
        { fill: muted, 'font-size': 0.92 * em, 'text-anchor': 'end' });
    }
    for (let head = 0; head < heads; head += 1) {
      this.text(left + (head + 0.5) * cell, top + this.above + layers * row + 1.1 * em, `H${head + 1}`,
        { fill: muted, 'font-size': 0.92 * em, 'text-anchor': 'middle' });
    }
    return cells[place].map((look, head) => this.drawCell(look, head, task, left + (head % heads) * cell,
      top + this.above + (layers - 1 - Math.floor(head / heads)) * row));
  }

  drawCell({ text, fill, ink }, head, task, x, y) {
    const { em, cell, row } = this, group = this.head(head, { class: 'cell', 'data-task': task });
    this.remember(head, x, y, group);
    element('rect', { x, y: y - 1, width: cell, height: row, fill: 'transparent' }, group);  // no gap between two cells
    element('rect', { x: x + 1, y, width: cell - 2, height: row - 2, rx: 3, fill }, group);
    this.text(x + cell / 2, y + row / 2 + 0.27 * em, text, { fill: ink, 'text-anchor': 'middle',
      'font-size': Math.min(0.92 * em, 0.5 * cell) }, group);
    const frame = element('rect', { x: x + 0.5, y: y - 0.5, width: cell - 1, height: row - 1, rx: 4, fill: 'none',
      stroke: this.colours.text, 'stroke-width': 0.2 * em, visibility: 'hidden' }, group);
    return { head, group, frame };
  }

  scale(y) {
    const { em } = this, { ramp, most } = this.picture.maps, left = 1.9 * em, step = 1.3 * em;
    ramp.forEach((fill, place) => element('rect', { x: left + place * step, y: y - 0.3 * em, width: step + 0.5,
      height: 0.75 * em, fill }, this.svg));
    this.text(left + ramp.length * step + 0.6 * em, y + 0.4 * em, `drop, 0 to ${Math.round(most)} points`,
      { fill: this.colours.muted });
  }

  light(lit) {
    for (const { head, group, frame } of this.cells) {
      group.setAttribute('opacity', lit === null || head === lit ? 1 : QUIET);
      group.toggleAttribute('data-lit', head === lit);
      frame.setAttribute('visibility', head === lit ? 'visible' : 'hidden');
    }
  }
}

// --- accuracy with and without a head ------------------------------------------------------------------------------

class Curves extends Figure {
  draw(picture, em, width) {
    Object.assign(this, { picture, em, width });
    const strip = 11.3 * em;
    this.clear(width, strip * picture.tasks.length, picture.colours);
    this.svg.setAttribute('aria-label', `Exact match by length (${picture.unit}) with all heads and without one.`);
    const lengths = picture.tasks.flatMap(({ curve }) => curve.map(([length]) => length));
    this.span = [Math.min(...lengths, ...picture.mapped) - 0.5, Math.max(...lengths, ...picture.mapped) + 0.5];
    this.left = 5.3 * em;
    this.strips = picture.tasks.map((task, place) => this.strip(task, place * strip));
  }

  x(length) { return mix(this.left, this.width - 0.3 * this.em, (length - this.span[0]) / (this.span[1] - this.span[0])); }

  strip(task, top) {
    const { em } = this, plot = { top: top + 1.9 * em, bottom: top + 6.1 * em };
    const y = (share) => mix(plot.bottom, plot.top, share), { muted } = this.colours;
    const title = this.text(0, top + 1.05 * em, task.title, { 'font-weight': 600, fill: task.colour });
    element('tspan', { fill: muted, 'font-weight': 400 }, title, ` · ${task.about}`);
    this.ground(task, plot, y);
    const line = (dash, more) => element('path', { fill: 'none', stroke: task.colour, 'stroke-width': 1.6 * em / 12,
      'stroke-dasharray': dash, d: 'M0,0', ...more }, this.svg);
    line('none', { d: this.path(task.curve, y) });
    const measured = line('2 2', { visibility: 'hidden' });
    const rows = this.numbers(task, plot.bottom);
    const marks = this.picture.mapped.map((length, place) => this.mark(task, length, place, y));
    return { task, y, marks, measured, rows };
  }

  ground(task, { top, bottom }, y) {
    let from = this.span[0];
    for (const [last, fill] of task.zones) {
      const to = clamp(last + 0.5, from, this.span[1]);
      element('rect', { x: this.x(from), y: top, width: this.x(to) - this.x(from), height: bottom - top, fill }, this.svg);
      from = to;
    }
    for (const share of [0, 0.5, 1]) {
      element('line', { x1: this.x(this.span[0]), x2: this.x(this.span[1]), y1: y(share), y2: y(share),
        stroke: this.colours.grid }, this.svg);
      this.text(this.left - 0.5 * this.em, y(share) + 0.32 * this.em, `${100 * share}%`,
        { fill: this.colours.muted, 'font-size': 0.9 * this.em, 'text-anchor': 'end' });
    }
    const end = this.x(task.trained + 0.5);
    element('line', { x1: end, x2: end, y1: top, y2: bottom, stroke: this.colours.muted, 'stroke-dasharray': '2 2' }, this.svg);
  }

  path(points, y) {
    const places = points.filter(([, share]) => share !== null).map(([length, share]) => `${this.x(length).toFixed(1)},${y(share).toFixed(1)}`);
    return places.length ? `M${places.join('L')}` : 'M0,0';
  }

  // Three lines of text below a plot: the length, the accuracy of the whole model, and the one without the head.
  numbers(task, bottom) {
    const { em } = this, { mapped, shown } = this.picture, x = mapped.map((length) => this.x(length));
    const gap = Math.min(...x.slice(1).map((one, place) => one - x[place]), 4 * em);
    const size = clamp(gap / (LONGEST_MARK * 0.58), 0.72 * em, 0.95 * em);
    const fits = fitting(x, LONGEST_MARK * 0.56 * size);
    ['length', 'all heads', 'without it'].forEach((words, line) => this.text(this.left - 0.5 * em,
      bottom + (1.5 + 1.2 * line) * em, words, { fill: this.colours.muted, 'font-size': 0.9 * em, 'text-anchor': 'end',
        class: line === 2 ? 'words' : '' }));
    return mapped.map((length, place) => [length, percent(task.accuracy[place]), ''].map((text, line) => this.text(
      x[place], bottom + (1.5 + 1.2 * line) * em, text, {
        'text-anchor': 'middle', 'font-size': size, visibility: fits[place] ? 'visible' : 'hidden',
        class: ['length', 'with', 'without'][line], 'data-task': task.task, 'data-length': length,
        'font-weight': line === 0 && shown.includes(length) ? 700 : 400,
        fill: line === 0 && !shown.includes(length) ? this.colours.muted : this.colours.text,
      })));
  }

  mark(task, length, place, y) {
    const { em } = this, share = task.accuracy[place], x = this.x(length);
    if (share === null) return null;
    const drop = element('line', { x1: x, x2: x, y1: y(share), y2: y(share), stroke: task.colour, 'stroke-width': 0.22 * em,
      visibility: 'hidden' }, this.svg);
    element('circle', { cx: x, cy: y(share), r: 0.3 * em, fill: task.colour }, this.svg);
    const without = element('path', { fill: this.colours.surface, stroke: task.colour, 'stroke-width': 0.16 * em,
      visibility: 'hidden' }, this.svg);
    return { x, drop, without };
  }

  light(lit) {
    for (const words of this.svg.querySelectorAll('.words')) words.setAttribute('visibility', lit === null ? 'hidden' : 'visible');
    for (const strip of this.strips) {
      this.lightMeasured(strip, lit);
      strip.marks.forEach((mark, place) => {
        const share = lit === null ? null : strip.task.without[lit][place];
        strip.rows[place][2].textContent = lit === null ? '' : percent(share);
        if (mark) this.lightMark(mark, share, strip.y);
      });
    }
  }

  lightMark({ x, drop, without }, share, y) {
    const visibility = share === null ? 'hidden' : 'visible', r = 0.42 * this.em;
    for (const one of [drop, without]) one.setAttribute('visibility', visibility);
    if (share === null) return;
    drop.setAttribute('y2', y(share));
    without.setAttribute('d', `M${x},${y(share) - r}l${r},${r}l${-r},${r}l${-r},${-r}z`);
  }

  lightMeasured({ task, y, measured }, lit) {
    const points = lit === null ? null : this.picture.measured[this.picture.heads[lit].name]?.[task.task];
    measured.setAttribute('visibility', points ? 'visible' : 'hidden');
    if (points) measured.setAttribute('d', this.path(points, y));
  }
}

// For places in order: whether a text of this width fits there, the first and then every one that is far enough.
function fitting(places, width) {
  let last = -Infinity;
  return places.map((x) => {
    if (x - last < width) return false;
    last = x;
    return true;
  });
}

// --- the whole -----------------------------------------------------------------------------------------------------

class LinkedHeads {
  constructor(root, data, tell) {
    Object.assign(this, { root, tell, hovered: null, focused: null, pinned: null });
    this.build();
    this.show(data);
    this.listen();
  }

  build() {
    this.root.replaceChildren();
    const parts = html('div', { class: 'parts' }, this.root);
    this.columns = [html('div', { class: 'column' }, parts), html('div', { class: 'column' }, parts)];
    this.graph = new Graph(this.columns[0], 'graph');
    this.list = html('div', { class: 'list', role: 'group', 'aria-label': 'List of heads' }, this.columns[0]);
    this.told = html('div', { class: 'told' }, this.columns[1]);
    this.curves = new Curves(this.columns[1], 'without');
    this.maps = new Maps(this.columns[0], 'maps');
    this.notes = html('div', { class: 'notes' }, this.root);
  }

  show(data) {
    this.data = data;
    this.picture = data.picture;
    for (const [name, value] of Object.entries(this.picture.colours)) this.root.style.setProperty(`--${name}`, value);
    this.notes.replaceChildren();
    for (const note of this.picture.notes) html('p', {}, this.notes, note);
    this.hovered = this.focused = null;
    this.pinned = this.number(data.pinned);
    this.layOut();
  }

  // Take what a run of the page's script gives: mostly another pinned head.
  update(data, tell) {
    this.tell = tell;
    if (JSON.stringify(data.picture) !== JSON.stringify(this.picture)) return this.show(data);
    this.data = data;
    this.pinned = this.number(data.pinned);
    this.light();
  }

  stop() {
    this.observer.disconnect();
    document.removeEventListener('keydown', this.onKey);
  }

  number(name) {
    const head = this.picture.heads.findIndex((one) => one.name === name);
    return head < 0 ? null : head;
  }

  get lit() { return this.hovered ?? this.focused ?? this.pinned; }

  layOut() {
    const em = emOf();
    this.width = this.root.clientWidth;
    const draw = (figure) => figure.draw(this.picture, em, figure.box.clientWidth || 320);
    this.maps.box.remove();
    draw(this.graph);
    this.drawList(em);
    draw(this.curves);
    this.keepRoom();
    const [left, right] = this.columns.map((column) => column.lastChild.getBoundingClientRect().bottom);
    this.columns[left > right ? 1 : 0].append(this.maps.box);  // below the shorter column
    draw(this.maps);
    this.reachable();
    this.look = null;
    this.light();
  }

  // As many layers in a line as there is room for, in full lines; half of one on a phone.
  drawList(em) {
    const { heads, layers } = this.picture.maps, room = this.list.clientWidth / (5.6 * em);
    const fitting = [...Array(layers).keys()].map((one) => one + 1).filter((one) => layers % one === 0 && one * heads <= room);
    const columns = fitting.length ? Math.max(...fitting) * heads : Math.ceil(heads / 2);
    this.list.style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
    this.list.replaceChildren();
    this.picture.heads.forEach(({ name, label }, head) => {
      const button = html('button', { type: 'button', tabindex: -1, 'aria-label': label, 'data-head': name }, this.list);
      const [first, ...more] = this.picture.graph.discs[head].colours;
      const fill = more.length ? `linear-gradient(90deg, ${first} 50%, ${more[0]} 50%)` : first ?? this.picture.colours.unused;
      html('i', { 'aria-hidden': 'true' }, button).style.background = fill;
      button.append(name);
    });
  }

  // Room for the longest words about a head, so that nothing below them moves when another head is lit.
  keepRoom() {
    this.told.style.minHeight = '';
    const heights = [null, ...this.picture.heads.keys()].map((head) => {
      this.say(head, head !== null);
      return this.told.getBoundingClientRect().height;
    });
    this.told.style.minHeight = `${Math.ceil(Math.max(...heights))}px`;
  }

  say(lit, pinned) {
    this.told.replaceChildren();
    if (lit === null) {
      html('p', { class: 'name' }, this.told, `All ${this.picture.heads.length} heads`);
      html('p', { class: 'more' }, this.told, HINT);
      return;
    }
    const { name, words, drops, attention } = this.picture.heads[lit];
    const line = html('p', { class: 'name' }, this.told, `${name}: ${words}`);
    if (pinned) html('button', { type: 'button', class: 'unpin' }, line, 'Unpin (Esc)').onclick = () => this.pin(null);
    html('p', {}, this.told, drops);
    if (attention) html('p', { class: 'more' }, this.told, attention);
  }

  light() {
    const { lit } = this, look = `${lit} ${this.pinned}`;
    if (look === this.look) return;  // the button under the pointer must not be made anew
    this.look = look;
    for (const figure of [this.graph, this.curves, this.maps]) figure.light(lit);
    this.say(lit, lit !== null && lit === this.pinned);
    for (const one of this.all()) {
      const head = this.number(one.dataset.head);
      one.classList.toggle('lit', head === lit);
      one.setAttribute('aria-pressed', String(head === this.pinned));
    }
  }

  // --- keyboard, pointer, touch

  all(group = this.root) { return [...group.querySelectorAll('[data-head]')]; }

  // The elements for heads that the arrow keys move among: those of the graph, of the list, or of one task's map.
  siblings(one) {
    const group = one.closest('svg, .list');
    return this.all(group).filter((other) => other.dataset.task === one.dataset.task);
  }

  // Tab stops once in the graph, once in the list and once in each map.
  reachable() {
    const seen = new Set();
    for (const one of this.all()) {
      const [first] = this.siblings(one);
      if (seen.has(first)) continue;
      seen.add(first);
      this.inOrder(first)[0].setAttribute('tabindex', 0);
    }
  }

  place(one) {
    if (one.dataset.x) return [Number(one.dataset.x), Number(one.dataset.y)];
    const box = one.getBoundingClientRect();
    return [box.left, box.top];
  }

  inOrder(one) {
    const places = new Map(this.siblings(one).map((other) => [other, this.place(other)]));
    return [...places.keys()].sort((a, b) => places.get(a)[1] - places.get(b)[1] || places.get(a)[0] - places.get(b)[0]);
  }

  // Where an arrow key leads from `one`: along the lines, or to the nearest head of the next line.
  next(one, key) {
    const order = this.inOrder(one), at = order.indexOf(one), last = order.length - 1;
    const steps = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last };
    if (key in steps) return order[clamp(steps[key], 0, last)];
    const [x, y] = this.place(one), down = key === 'ArrowDown' ? 1 : -1;
    const beyond = order.map((other) => [other, ...this.place(other)]).filter(([, , to]) => down * (to - y) > 2);
    return beyond.sort((a, b) => Math.abs(a[2] - y) - Math.abs(b[2] - y) || Math.abs(a[1] - x) - Math.abs(b[1] - x))[0]?.[0];
  }

  move(one, key) {
    const to = this.next(one, key);
    if (!to) return;
    for (const other of this.siblings(one)) other.setAttribute('tabindex', -1);
    to.setAttribute('tabindex', 0);
    to.focus();
  }

  pin(head) {
    this.pinned = head;
    this.hovered = this.focused = null;
    this.light();
    this.tell(head === null ? '' : this.picture.heads[head].name);
  }

  of(event) {
    const one = event.target.closest?.('[data-head]');
    return one ? this.number(one.dataset.head) : null;
  }

  listen() {
    this.root.addEventListener('pointerover', (event) => { this.hovered = this.of(event); this.light(); });
    this.root.addEventListener('pointerleave', () => { this.hovered = null; this.light(); });
    this.root.addEventListener('focusin', (event) => {
      this.focused = event.target.matches(':focus-visible') ? this.of(event) : null;
      this.light();
    });
    this.root.addEventListener('focusout', () => { this.focused = null; this.light(); });
    this.root.addEventListener('click', (event) => this.clicked(event));
    this.onKey = (event) => this.pressed(event);
    document.addEventListener('keydown', this.onKey);
    this.observer = new ResizeObserver(() => { if (this.root.clientWidth !== this.width) this.layOut(); });
    this.observer.observe(this.root);
  }

  clicked(event) {
    const head = this.of(event);
    if (head !== null) this.pin(head === this.pinned ? null : head);
  }

  pressed(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.composedPath()[0], inside = this.root.contains(target);
    if (event.key === 'Escape' && (inside || target === document.body)) return this.escape();
    const one = inside ? target.closest('[data-head]') : null;
    if (!one) return;
    if (/^(Arrow(Left|Right|Up|Down)|Home|End)$/.test(event.key)) this.move(one, event.key);
    else if ((event.key === 'Enter' || event.key === ' ') && one.tagName !== 'BUTTON') this.clicked({ target: one });
    else return;
    event.preventDefault();
  }

  escape() {
    if (this.pinned !== null) return this.pin(null);
    this.hovered = this.focused = null;
    this.light();
  }
}

// For Streamlit: called again with new data whenever the page's script runs.
export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector('.linked'), tell = (name) => setTriggerValue('head', name);
  if (parentElement.lgtLinked) parentElement.lgtLinked.update(data, tell);
  else parentElement.lgtLinked = new LinkedHeads(root, data, tell);
  return () => { parentElement.lgtLinked?.stop(); parentElement.lgtLinked = null; };
}
