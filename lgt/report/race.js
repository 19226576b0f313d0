// The race: a main task alone (left) and co-trained (right), replayed over the stored steps of both.
//
// `new Race(root, data)` draws into the element `root`. `data` has `views` (name and picture, see lgt/charts/race.py),
// the number of the first `view`, the `theme` ("light", "dark", or "" for the system's), `live` (wait for more at the
// end instead of looping) and `brief` (one note only).
//
// Numbers never move between stored steps: a counter, a step and a kind of head are those of the last stored step. Only
// the drawing moves from one stored step to the next, and only while the race plays: a picture that stands still shows
// stored measurements. The functions of svg.js stand before this script.

const SECONDS = 12;
const SECONDS_AT_END = 2;
const WIDEST_LINK = 0.7;  // em, of a head whose drop is 1

const eased = (share) => share * share * (3 - 2 * share);
const grouped = (number) => number.toLocaleString('en-US');

// Where `step` lies among `steps`: the last stored one (`at`, -1 before the first), and the share of the way to the next.
function between(steps, step) {
  let at = -1;
  while (at + 1 < steps.length && steps[at + 1] <= step + 1e-9) at += 1;
  const more = at >= 0 && at + 1 < steps.length;
  return { at, next: more ? at + 1 : at, share: more ? (step - steps[at]) / (steps[at + 1] - steps[at]) : 0 };
}

// --- one side: counter, curves, heads ------------------------------------------------------------------------------

class Side {
  // `box`: left, width, em and the height of the plot, in px.
  constructor(svg, picture, side, box, colours) {
    Object.assign(this, { picture, side, box, colours, group: element('g', {}, svg) });
    const { em, left, width } = box;
    this.plot = { left: left + 3.1 * em, right: left + width - 0.4 * em, top: box.plotTop, bottom: box.plotTop + box.plot };
    this.halo = { stroke: colours.surface, 'stroke-width': 0.3 * em, 'paint-order': 'stroke' };
    this.shownAt = null;
    this.header();
    this.axes();
    this.curves();
    if (side.heads) this.heads();
  }

  text(x, y, text, more = {}, parent = this.group) {
    return element('text', { x, y, fill: this.colours.text, 'font-size': this.box.em, ...more }, parent, text);
  }

  x(length) {
    const { lengths } = this.picture, low = lengths[0] - 0.5, high = lengths[lengths.length - 1] + 0.5;
    return mix(this.plot.left, this.plot.right, (length - low) / (high - low));
  }

  y(share) { return mix(this.plot.bottom, this.plot.top, share); }

  // Lines of text around `x`, at most `room` px wide, the last of them at `y`.
  wrapped(x, y, text, room, more = {}) {
    const most = Math.max(8, Math.floor(room / (WIDTH_OF_A_CHARACTER * this.box.em))), lines = [''];
    for (const word of text.split(' ')) {
      const longer = `${lines[lines.length - 1]} ${word}`.trim();
      if (longer.length <= most) lines[lines.length - 1] = longer; else lines.push(word);
    }
    const group = this.text(x, y, '', { 'text-anchor': 'middle', fill: this.colours.muted, ...more });
    lines.forEach((line, place) => element('tspan', { x, y: y - 1.2 * this.box.em * (lines.length - 1 - place) }, group, line));
    return group;
  }

  header() {
    const { em, left, width, narrow } = this.box, { title } = this.side;
    const size = Math.min(1.25 * em, width / (WIDTH_OF_A_CHARACTER * 1.08 * title.length));
    this.text(left, 1.2 * em, title, { 'font-size': size, 'font-weight': 650 });
    this.base = this.box.header - 1.1 * em;  // of the counter and of the last line beside it
    this.counter = this.text(left, this.base, '', { 'font-size': (narrow ? 2.9 : 3.4) * em, 'font-weight': 700 });
    this.caption = this.text(left, 0, '', { fill: this.colours.muted, 'font-size': (narrow ? 0.95 : 1) * em });
    const { seeds } = this.picture;
    this.seeds = seeds.length > 1 ? `n = ${seeds.length} seeds` : `seed ${seeds[0]}`;
  }

  axes() {
    const { em } = this.box, { left, right, top, bottom } = this.plot, { muted, grid, zones } = this.colours;
    for (const zone of this.picture.zones) {
      const [from, to] = [this.x(zone.low), this.x(zone.high)];
      element('rect', { x: from, y: top, width: to - from, height: bottom - top, fill: zones[zone.place] }, this.group);
      if (textWidth(zone.name, em) < to - from) {
        this.text((from + to) / 2, top - 0.4 * em, zone.name, { fill: muted, 'text-anchor': 'middle' });
      }
    }
    for (const share of [0, 0.25, 0.5, 0.75, 1]) {
      const half = share === 0.5;
      element('line', { x1: left, x2: right, y1: this.y(share), y2: this.y(share), stroke: half ? muted : grid,
        'stroke-dasharray': half ? '1 3' : 'none' }, this.group);
      this.text(left - 0.5 * em, this.y(share) + 0.35 * em, `${100 * share}%`, { fill: muted, 'text-anchor': 'end' });
    }
    this.rules();
    this.ticks();
  }

  rules() {
    const { em, left, width } = this.box, { top, bottom } = this.plot;
    this.picture.rules.forEach(({ at, label }, row) => {
      const x = this.x(at), y = top - 1.8 * em - 1.25 * em * row, wide = textWidth(label, 0.92 * em);
      const from = x - wide - 0.4 * em >= left ? x - wide - 0.4 * em : Math.min(x + 0.4 * em, left + width - wide);
      element('line', { x1: x, x2: x, y1: y - 0.9 * em, y2: bottom, stroke: this.colours.muted,
        'stroke-dasharray': '2 2' }, this.group);
      this.text(from, y, label, { 'font-size': 0.92 * em, 'text-anchor': from < x - wide ? 'end' : 'start',
        x: from < x - wide ? x - 0.4 * em : from, ...this.halo });
    });
  }

  ticks() {
    const { em } = this.box, { left, right, bottom } = this.plot, { lengths } = this.picture;
    const room = (right - left) / lengths.length;
    const every = [1, 2, 4, 5, 10, 20, 50].find((step) => step * room > 1.9 * em) ?? 100;
    for (const length of lengths.filter((one) => one % every === 0)) {
      this.text(this.x(length), bottom + 1.5 * em, length, { fill: this.colours.muted, 'text-anchor': 'middle' });
    }
    this.text((left + right) / 2, bottom + 2.9 * em, this.picture.axis, { 'text-anchor': 'middle' });
  }

  curves() {
    const { em } = this.box, colour = (task) => this.colours.tasks[task];
    const main = this.side.curves[0].task;
    // As far as the counter: a bar on the length axis.
    this.bar = element('rect', { x: this.plot.left, y: this.plot.bottom - 0.28 * em, height: 0.56 * em, width: 0,
      rx: 0.28 * em, fill: colour(main) }, this.group);
    this.mark = element('line', { y1: this.y(0.5), y2: this.plot.bottom, stroke: colour(main), 'stroke-width': 1.5 },
      this.group);
    this.lines = this.side.curves.map((curve, place) => {
      const { dash, width } = this.picture.tasks[place], shade = colour(curve.task);
      const under = Math.max(0, place - 1);  // curves over this one: it shows between their dashes and around their points
      const group = element('g', {}, null);
      const band = element('path', { fill: shade, opacity: 0.18 }, group);
      const line = element('path', { fill: 'none', stroke: shade, 'stroke-width': width * em / 12, 'stroke-linejoin': 'round',
        'stroke-dasharray': dash[1] ? dash.join(' ') : 'none', 'stroke-dashoffset': under * (dash[0] + dash[1]) / 2 }, group);
      const points = element('path', { stroke: shade, 'stroke-linecap': 'round',
        'stroke-width': (place ? 0.42 * Math.sqrt(1 + under) : 0.55) * em }, group);
      return { curve, group, band, line, points };
    });
    this.group.append(...this.lines.map(({ group }) => group).reverse());  // the main task's line lies on top
    const { left, right } = this.plot;
    this.empty = this.wrapped((left + right) / 2, this.y(0.5) - 0.8 * em,
      `first measured at step ${grouped(this.side.steps[0])}`, right - left);
  }

  // The band over seeds is the main task's only: several bands would cover each other.
  drawCurve({ curve, band, line, points }, { at, next, share }) {
    const { lengths } = this.picture;
    const row = (table) => lengths.map((length, place) => {
      const [from, to] = [table[at][place], table[next][place]];
      return from === null || to === null ? null : [this.x(length), this.y(mix(from, to, share))];
    });
    const written = (places) => places.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join('L');
    const [mean, low, high] = [curve.mean, curve.low, curve.high].map((table) => row(table).filter((one) => one));
    line.setAttribute('d', mean.length ? 'M' + written(mean) : 'M0,0');
    points.setAttribute('d', mean.map((one) => `M${written([one])}h0`).join(''));
    const banded = this.picture.seeds.length > 1 && curve === this.side.curves[0];
    band.setAttribute('d', banded ? `M${written(high)}L${written(low.reverse())}Z` : 'M0,0');
  }

  drawCounter(at) {
    const { em, left, narrow } = this.box, reach = at < 0 ? null : this.side.reach[at];
    this.counter.textContent = at < 0 ? '' : reach ?? '–';
    const from = left + this.counter.getComputedTextLength() + 0.5 * em;
    const step = at < 0 ? '' : `step ${grouped(this.side.steps[at])}`, { counter } = this.picture;
    const lines = narrow ? [...counter.split(/ (?=above)/), step, this.seeds] : [counter, `${step} · ${this.seeds}`];
    this.caption.replaceChildren();
    (at < 0 ? [] : lines).forEach((line, place) => element('tspan',
      { x: from, y: this.base - 1.22 * em * (lines.length - 1 - place) }, this.caption, line));
    const end = reach === null ? this.plot.left : this.x(reach);
    this.bar.setAttribute('width', Math.max(0, end - this.plot.left));
    for (const name of ['x1', 'x2']) this.mark.setAttribute(name, end);
    this.mark.setAttribute('opacity', reach === null ? 0 : 1);
  }

  // Draw this side at `step`: `moving`, on the way from one stored step to the next, else at the last stored one.
  draw(step, moving) {
    const stored = (steps) => ({ ...between(steps, step), ...(moving ? {} : { share: 0 }) });
    const found = stored(this.side.steps);
    for (const line of this.lines) {
      line.group.setAttribute('visibility', found.at < 0 ? 'hidden' : 'visible');
      if (found.at >= 0) this.drawCurve(line, found);
    }
    this.empty.setAttribute('visibility', found.at < 0 ? 'visible' : 'hidden');
    if (found.at !== this.shownAt) this.drawCounter(found.at);
    this.shownAt = found.at;
    if (this.side.heads) this.drawHeads(stored(this.side.heads.steps));
  }

  // --- heads

  heads() {
    const { em, left, width } = this.box, { heads } = this.side, { shared } = this.colours;
    const alone = this.side.curves.length === 1;
    this.across = (share) => left + width * share;
    this.down = (line) => this.box.headsTop + this.box.squeezed * line * em;
    this.radius = Math.min(1.2 * em, 0.44 * width * Math.min(1 / 6, 0.94 / Math.max(heads.crowd, 1)));
    element('rect', { x: left, width, y: this.down(this.picture.layout.bridge) - 1.35 * em, height: 2.7 * em, rx: 0.8 * em,
      fill: alone ? 'none' : shared, 'fill-opacity': 0.11, stroke: alone ? shared : 'none', 'stroke-opacity': 0.45,
      'stroke-dasharray': '4 4' }, this.group);
    const steps = `at step ${grouped(heads.steps[0])}`;
    this.said = [heads.steps.length === 1 ? `heads measured only ${steps}` : `heads first measured ${steps}`,
      alone ? 'trained alone: no task to share with' : ''].map((text) =>
      this.wrapped(this.across(0.5), this.down(this.picture.layout.bridge + (width > 20 * em ? 0.35 : 0.9)), text, width));
    this.unused = this.text(left, this.down(this.picture.layout.unused + 0.35), width > 34 * em ? 'not needed' : '',
      { fill: this.colours.muted });
    const links = element('g', {}, this.group);
    this.nodes = this.side.curves.map(({ task }, place) => this.node(task, place));
    this.links = this.nodes.flatMap((node) => heads.names.map((_, head) => ({
      node, head, path: element('path', { fill: 'none', stroke: this.colours.tasks[node.task], opacity: 0.55 }, links),
    })));
    this.discs = heads.names.map((name) => {
      const disc = { group: element('g', {}, this.group) };
      disc.from = element('g', {}, disc.group);
      disc.to = element('g', {}, disc.group);
      disc.name = this.text(0, 0.27 * em, name, { fill: this.colours.surface, 'text-anchor': 'middle',
        'font-size': 0.56 * this.radius, 'font-weight': 700 }, disc.group);
      disc.name.setAttribute('y', 0.22 * this.radius);
      return disc;
    });
    const { layout } = this.picture;
    this.count = this.text(left, width > 20 * em ? this.down(layout.bridge) - 1.7 * em : this.down(layout.main + 0.3), '',
      { fill: shared, 'font-weight': 700, 'font-size': 1.15 * em, ...this.halo });
    this.shownHeads = null;
  }

  node(task, place) {
    const { em } = this.box, others = this.side.curves.length - 1;
    const x = this.across(place ? (place - 0.5) / others : 0.5), y = this.down(place ? this.picture.layout.auxiliary : this.picture.layout.main);
    const size = em, title = this.picture.tasks.find((one) => one.task === task).title;
    element('rect', { x: x - size / 2, y: y - size / 2, width: size, height: size, fill: this.colours.tasks[task] },
      this.group);
    this.text(x, this.down(place ? this.picture.layout.auxiliaryTitle : this.picture.layout.mainTitle), title,
      { 'text-anchor': 'middle', 'font-weight': 600 });
    return { task, x, y };
  }

  // The look of head `head` at the stored step `at`: a dot, or a disc in the colours of what needs it.
  fill(group, head, at) {
    const { heads } = this.side, kind = heads.kinds[at][head], { radius } = this;
    group.replaceChildren();
    if (kind === 'neither') {
      element('circle', { r: 0.34 * radius, fill: this.colours.unused }, group);
      return;
    }
    const users = this.side.curves.map(({ task }) => task).filter((task) => heads.drops[task][at][head] > this.picture.threshold);
    const shades = kind === 'shared' ? [this.colours.shared] : users.map((task) => this.colours.tasks[task]).reverse();
    element('circle', { r: radius + 1.5, fill: this.colours.surface }, group);
    if (shades.length < 2) {
      element('circle', { r: radius, fill: shades[0] ?? this.colours.unused }, group);
      return;
    }
    shades.forEach((shade, slice) => {
      const [a, b] = [slice, slice + 1].map((one) => 2 * Math.PI * one / shades.length);
      const at_ = (angle) => `${(radius * Math.sin(angle)).toFixed(2)},${(-radius * Math.cos(angle)).toFixed(2)}`;
      element('path', { d: `M0,0L${at_(a)}A${radius},${radius} 0 ${b - a > Math.PI ? 1 : 0} 1 ${at_(b)}Z`, fill: shade }, group);
    });
  }

  drawHeads({ at, next, share }) {
    const { heads } = this.side, moved = eased(share), hidden = at < 0;
    if (this.shownHeads !== at) {
      this.shownHeads = at;
      const count = hidden ? 0 : heads.shared[at];
      this.count.textContent = this.side.curves.length === 1 || hidden ? '' : `${count} shared`;
      this.said.forEach((text, later) => text.setAttribute('visibility', Boolean(later) === hidden ? 'hidden' : 'visible'));
      const some = !hidden && heads.kinds[at].includes('neither');
      this.unused.setAttribute('visibility', some ? 'visible' : 'hidden');
      this.discs.forEach((disc, head) => {
        disc.group.setAttribute('visibility', hidden ? 'hidden' : 'visible');
        if (!hidden) { this.fill(disc.from, head, at); this.fill(disc.to, head, next); }
      });
    }
    const places = hidden ? [] : heads.names.map((_, head) => {
      const [from, to] = [heads.places[at][head], heads.places[next][head]];
      return [this.across(mix(from[0], to[0], moved)), this.down(mix(from[1], to[1], moved))];
    });
    if (!hidden) this.discs.forEach((disc, head) => this.moveDisc(disc, places[head], head, at, next, moved));
    for (const { node, head, path } of this.links) {
      const width = hidden ? 0 : this.linkWidth(node.task, head, at, next, moved);
      path.setAttribute('visibility', width > 0.05 ? 'visible' : 'hidden');
      if (width <= 0.05) continue;
      const [x, y] = places[head], middle = (node.y + y) / 2;
      path.setAttribute('d', `M${node.x},${node.y}C${node.x},${middle} ${x},${middle} ${x},${y}`);
      path.setAttribute('stroke-width', width);
    }
  }

  moveDisc(disc, [x, y], head, at, next, moved) {
    const used = (step) => (this.side.heads.kinds[step][head] === 'neither' ? 0 : 1);
    disc.group.setAttribute('transform', `translate(${x.toFixed(1)},${y.toFixed(1)})`);
    disc.from.setAttribute('opacity', 1 - moved);
    disc.to.setAttribute('opacity', Math.min(1, 2 * moved));
    disc.name.setAttribute('opacity', this.radius > 12.5 ? mix(used(at), used(next), moved) : 0);
  }

  linkWidth(task, head, at, next, moved) {
    const drawn = (step) => {
      const drop = this.side.heads.drops[task][step][head];
      return drop > this.picture.threshold ? Math.max(0.06, WIDEST_LINK * drop) : 0;
    };
    return mix(drawn(at), drawn(next), moved) * this.box.em;
  }
}

// --- the whole: size, time, controls -------------------------------------------------------------------------------

class Race {
  constructor(root, data) {
    this.root = root;
    this.playing = false;
    this.quiet = matchMedia('(prefers-reduced-motion: reduce)');
    this.system = matchMedia('(prefers-color-scheme: dark)');
    this.build();
    this.show(data, data.view ?? 0);
    this.step = this.quiet.matches ? this.last : this.first;
    this.listen();
    if (this.quiet.matches) this.settle(); else this.play();
  }

  build() {
    this.root.replaceChildren();
    this.legend = html('div', { class: 'legend' }, this.root);
    this.svg = element('svg', { role: 'img' }, this.root);
    const controls = html('div', { class: 'controls' }, this.root);
    this.button = html('button', { class: 'play', type: 'button' }, controls);
    this.range = html('input', { type: 'range', min: 0, max: 1, step: 'any', 'aria-label': 'Optimizer step' }, controls);
    this.output = html('output', {}, controls);
    this.loop = html('button', { type: 'button', 'aria-pressed': 'true' }, controls, 'Loop');
    this.choice = html('select', { 'aria-label': 'Seeds' }, controls);
    this.notes = html('div', { class: 'notes' }, this.root);
  }

  // Show `view` of `data`, at the step that was shown before.
  show(data, view) {
    this.data = data;
    this.view = clamp(view, 0, data.views.length - 1);
    this.picture = data.views[this.view].picture;
    const { sides } = this.picture, first = Math.min(...sides.map((side) => side.steps[0]));
    const stored = sides.flatMap((side) => [...side.steps, ...(side.heads?.steps ?? [])]);
    this.steps = [...new Set(stored)].filter((step) => step >= first).sort((a, b) => a - b);
    this.choice.replaceChildren();
    data.views.forEach(({ name }, place) => html('option', { value: place }, this.choice, name));
    this.choice.value = this.view;
    this.choice.hidden = data.views.length < 2;
    this.loop.hidden = Boolean(data.live);
    this.notes.replaceChildren();
    for (const note of data.brief ? this.picture.notes.slice(0, 1) : this.picture.notes) html('p', {}, this.notes, note);
    this.layOut();
  }

  get first() { return this.steps[0]; }

  get last() { return this.steps[this.steps.length - 1]; }

  get colours() {
    const dark = this.data.theme ? this.data.theme === 'dark' : this.system.matches;
    return this.picture.colours[dark ? 'dark' : 'light'];
  }

  layOut() {
    const em = emOf();
    const width = Math.max(this.root.clientWidth, 280), gap = width < 700 ? 0.6 * em : 2.5 * em;
    const { colours, picture } = this;
    for (const name of ['text', 'muted', 'surface', 'shared']) this.root.style.setProperty(`--${name}`, colours[name]);
    const narrow = width < 40 * em, header = (narrow ? 7 : 5.4) * em;
    const plotTop = header + (2.7 + 1.25 * (picture.rules.length - 1)) * em, axis = 3.6 * em, panel = (width - gap) / 2;
    const heads = picture.sides.some((side) => side.heads) ? picture.layout.height * em : 0;
    this.drawLegend();
    const room = this.room() - plotTop - axis;  // the picture stands in the window as a whole, if it can
    const squeezed = heads ? clamp((room - 11 * em) / heads, 0.8, 1) : 1;
    const plot = clamp(room - squeezed * heads, 9.5 * em, Math.max(9.5 * em, 0.6 * panel));
    const height = plotTop + plot + axis + squeezed * heads;
    this.svg.replaceChildren();
    this.svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
    this.sides = picture.sides.map((side, place) => new Side(this.svg, picture, side, {
      em, narrow, header, plotTop, plot, squeezed, left: place * (panel + gap), width: panel,
      headsTop: plotTop + plot + axis,
    }, colours));
    this.width = width;
  }

  // The height, px, that the picture may have so that it stands in the window together with its controls.
  room() {
    const scroller = document.querySelector('[data-testid="stMain"]') ?? document.scrollingElement;
    const above = this.svg.getBoundingClientRect().top + (scroller?.scrollTop ?? 0);
    const controls = this.button.parentElement.getBoundingClientRect().height;
    return innerHeight - above - controls - 24;
  }

  drawLegend() {
    this.legend.replaceChildren();
    for (const { task, label, dash, width } of this.picture.tasks) {
      const entry = html('span', {}, this.legend);
      const sample = element('svg', { viewBox: '0 0 38 10', 'aria-hidden': 'true' }, entry);
      element('line', { x1: 0, x2: 38, y1: 5, y2: 5, stroke: this.colours.tasks[task], 'stroke-width': width,
        'stroke-dasharray': dash[1] ? dash.join(' ') : 'none' }, sample);
      entry.append(label);
    }
  }

  listen() {
    this.button.onclick = () => (this.playing ? this.settle() : this.play());
    this.loop.onclick = () => this.loop.setAttribute('aria-pressed', String(!this.looping));
    this.choice.onchange = () => { this.show(this.data, Number(this.choice.value)); this.refresh(); };
    this.range.oninput = () => this.jump(mix(this.first, this.last, Number(this.range.value)));
    this.range.onkeydown = (event) => this.pressed(event);
    this.onKey = (event) => this.space(event);
    document.addEventListener('keydown', this.onKey);
    this.onTheme = () => { this.layOut(); this.refresh(); };
    this.system.addEventListener('change', this.onTheme);
    addEventListener('resize', this.onTheme);
    this.observer = new ResizeObserver(() => { if (this.root.clientWidth !== this.width) this.onTheme(); });
    this.observer.observe(this.root);
  }

  // Take new data: further steps of a run that is still training, or another race, which begins anew if this one plays.
  update(data) {
    if (JSON.stringify(data) === JSON.stringify(this.data)) return;
    const before = this.last;
    this.show(data, data.view ?? 0);
    const other = this.last !== before && !data.live;
    this.step = other && this.playing ? this.first : clamp(this.step, this.first, this.last);
    this.refresh();
  }

  stop() {
    this.playing = false;
    cancelAnimationFrame(this.frame);
    document.removeEventListener('keydown', this.onKey);
    this.system.removeEventListener('change', this.onTheme);
    removeEventListener('resize', this.onTheme);
    this.observer.disconnect();
  }

  get looping() { return this.loop.getAttribute('aria-pressed') === 'true' && !this.data.live; }

  // --- keys and controls

  space(event) {
    const typing = 'input:not([type="range"]), textarea, select, button, a, summary, [contenteditable="true"], ' +
      '[role="button"], [role="combobox"], [role="listbox"], [role="dialog"], [role="slider"], [role="tablist"]';
    if (event.key !== ' ' || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.composedPath()[0]?.closest?.(typing)) return;
    event.preventDefault();
    if (!event.repeat) this.button.onclick();
  }

  pressed(event) {
    const at = between(this.steps, this.step).at, end = this.steps.length - 1;
    const places = { ArrowRight: at + 1, ArrowUp: at + 1, ArrowLeft: at - 1, ArrowDown: at - 1, PageUp: at + 5,
      PageDown: at - 5, Home: 0, End: end };
    if (!(event.key in places)) return;
    event.preventDefault();
    this.jump(this.steps[clamp(places[event.key], 0, end)]);
  }

  // Stand still at the stored step that is nearest to `step`.
  jump(step) {
    this.step = this.steps.reduce((best, one) => (Math.abs(one - step) < Math.abs(best - step) ? one : best));
    this.settle();
  }

  // --- time

  play() {
    this.playing = true;
    if (this.step >= this.last && !this.data.live) this.step = this.first;
    this.waited = 0;
    this.before = null;
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame((now) => this.tick(now));
    this.refresh();
  }

  // Stand still at the last stored step.
  settle() {
    this.playing = false;
    cancelAnimationFrame(this.frame);
    this.step = this.steps[Math.max(0, between(this.steps, this.step).at)];
    this.refresh();
  }

  tick(now) {
    if (!this.playing || !this.root.isConnected) return;
    const passed = this.before === null ? 0 : Math.min((now - this.before) / 1000, 0.25);
    this.before = now;
    if (this.step < this.last) {
      this.step = Math.min(this.last, this.step + passed * (this.last - this.first) / SECONDS);
    } else if (!this.data.live) {
      this.waited += passed;
      if (this.waited > SECONDS_AT_END && !this.looping) return this.settle();
      if (this.waited > SECONDS_AT_END) { this.step = this.first; this.waited = 0; }
    }
    this.refresh();
    this.frame = requestAnimationFrame((next) => this.tick(next));
  }

  refresh() {
    const moving = this.playing && !this.quiet.matches;
    for (const side of this.sides) side.draw(this.step, moving);
    const stored = this.steps[Math.max(0, between(this.steps, this.step).at)];
    const said = `step ${grouped(stored)} of ${grouped(this.last)}`;
    this.range.value = this.last > this.first ? (this.step - this.first) / (this.last - this.first) : 0;
    if (this.output.value !== said) {
      this.output.value = said;
      this.range.setAttribute('aria-valuetext', said);
      this.svg.setAttribute('aria-label', this.described(stored));
    }
    const label = this.playing ? 'Pause' : this.step >= this.last ? 'Replay' : 'Play';
    if (this.button.textContent !== label) this.button.textContent = label;
  }

  // The picture in words, for readers who do not see it.
  described(step) {
    const sides = this.picture.sides.map((side) => {
      const { at } = between(side.steps, step), heads = side.heads ? between(side.heads.steps, step).at : -1;
      const reach = at < 0 ? 'not measured yet' : `${this.picture.counter}: ${side.reach[at] ?? 'none'}`;
      const shared = side.curves.length > 1 && heads >= 0 ? `, ${side.heads.shared[heads]} shared heads` : '';
      return `${side.title}: ${reach}${shared}`;
    });
    return `Exact match by length after ${grouped(step)} optimizer steps. ${sides.join('. ')}.`;
  }
}

// For Streamlit: called again with new data whenever the page's script runs.
export default function ({ data, parentElement }) {
  const root = parentElement.querySelector('.race');
  if (parentElement.lgtRace) parentElement.lgtRace.update(data);
  else parentElement.lgtRace = new Race(root, data);
  return () => { parentElement.lgtRace?.stop(); parentElement.lgtRace = null; };
}
