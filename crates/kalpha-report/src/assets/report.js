"use strict";
// Redraws the spectra with zoom, pan, scales and a read-out; links the maps under the pointer.
// The static figures stay where this does not run.
(() => {
  const NS = "http://www.w3.org/2000/svg";
  const MINUS = "\u2212", THIN = "\u202f";
  const clamp = (x, a, b) => Math.min(b, Math.max(a, x));
  const group = text => text.replace(/^(-?)(\d{5,})/, (_, s, d) => s + d.replace(/\B(?=(\d{3})+$)/g, THIN));
  const tidy = text => group(text).replace("-", MINUS);
  const SUPER = { "-": "\u207b", 0: "\u2070", 1: "\u00b9", 2: "\u00b2", 3: "\u00b3", 4: "\u2074", 5: "\u2075", 6: "\u2076", 7: "\u2077", 8: "\u2078", 9: "\u2079" };
  const power = e => "10" + [...String(e)].map(c => SUPER[c]).join("");
  const number = x => {
    if (x === 0) return "0";
    const a = Math.abs(x);
    if (a >= 1e7 || a < 1e-3) {
      const [m, e] = x.toExponential(1).split("e");
      return tidy(m) + THIN + "\u00d7" + THIN + power(Number(e));
    }
    return tidy(String(Number(x.toPrecision(a >= 1000 ? Math.ceil(Math.log10(a + 1)) : 3))));
  };
  const nice = raw => {
    const p = 10 ** Math.floor(Math.log10(raw));
    return p * ([1, 2, 5].find(f => raw / p <= f + 1e-9) || 10);
  };
  const linearTicks = (low, high, n) => {
    const step = nice((high - low) / Math.max(2, n)), out = [];
    const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    for (let i = Math.ceil(low / step - 1e-9); i <= high / step + 1e-9; i++)
      out.push([i * step, Math.abs(high) < 1e-2 || high >= 1e6 ? number(i * step) : tidy((i * step).toFixed(decimals))]);
    return out;
  };
  const logTicks = (low, high, n) => {
    const decades = Math.log10(high / low), out = [];
    if (decades < 1) return linearTicks(low, high, n);
    const every = Math.max(1, Math.ceil(decades / Math.max(2, n)));
    const factors = decades * 3 <= n ? [1, 2, 5] : [1];
    for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++) {
      if (((e % every) + every) % every) continue;
      for (const f of factors) {
        const v = f * 10 ** e;
        if (v < low * (1 - 1e-9) || v > high * (1 + 1e-9)) continue;
        out.push([v, v >= 1e-3 && v < 1e6 ? tidy(String(Number(v.toPrecision(6)))) : power(e)]);
      }
    }
    return out;
  };
  const SCALES = {
    log: { to: (v, a, b) => Math.log(Math.max(v, a) / a) / Math.log(b / a), ticks: logTicks },
    "square root": {
      to: (v, a, b) => Math.sqrt(Math.max(v, 0) / b),
      // Round numbers from the top down, each clear of the one before.
      ticks: (a, b, n) => {
        const out = [];
        for (let e = Math.floor(Math.log10(b)), last = 2; e > -9; e--)
          for (const f of [5, 2, 1]) {
            const v = f * 10 ** e, at = Math.sqrt(v / b);
            if (v > b || last - at < 0.8 / n || at < 0.5 / n) continue;
            out.push([v, number(v)]); last = at;
          }
        return [[0, "0"], ...out];
      },
    },
    linear: { to: (v, a, b) => v / b, ticks: (a, b, n) => linearTicks(0, b, n) },
  };
  const spread = (items, low, high) => {
    const before = []; let at = 0;
    for (const item of items) { before.push(at + item.width / 2); at += item.width; }
    const clusters = [];
    items.forEach((item, i) => {
      let c = [item.x - before[i], 1];
      while (clusters.length && clusters[clusters.length - 1][0] >= c[0]) {
        const [m, n] = clusters.pop();
        c = [(m * n + c[0] * c[1]) / (n + c[1]), n + c[1]];
      }
      clusters.push(c);
    });
    const room = Math.max(low, high - at); let i = 0;
    for (const [m, n] of clusters) for (let k = 0; k < n; k++, i++) items[i].at = before[i] + clamp(m, low, room);
  };
  const make = (name, attributes, parent, text) => {
    const node = document.createElementNS(NS, name);
    for (const key in attributes) node.setAttribute(key, attributes[key]);
    if (text !== undefined) node.textContent = text;
    if (parent) parent.appendChild(node);
    return node;
  };

  class Spectrum {
    constructor(box) {
      this.box = box;
      this.data = JSON.parse(box.querySelector("script").textContent);
      const { energy, n } = this.data;
      this.energy = energy.values || Array.from({ length: n }, (_, i) => energy.offset + energy.step * i);
      this.first = this.energy[0]; this.last = this.energy[n - 1];
      this.range = this.data.range.slice();
      this.scale = this.data.scale;
      this.canvas = box.querySelector(".canvas");
      this.readout = box.querySelector(".readout");
      box.classList.add("live");
      this.controls();
      new ResizeObserver(() => this.draw()).observe(this.canvas);
      matchMedia("print").addEventListener("change", () => this.draw());
    }
    controls() {
      const bar = this.box.querySelector(".controls");
      const button = (name, label, act) => {
        const b = document.createElement("button");
        b.type = "button"; b.textContent = name; b.setAttribute("aria-label", label);
        b.addEventListener("click", act); bar.appendChild(b);
        return b;
      };
      const scales = Object.keys(SCALES).map(name => button(name, name + " scale", () => {
        this.scale = name;
        for (const b of scales) b.setAttribute("aria-pressed", String(b.textContent === name));
        this.draw();
      }));
      for (const b of scales) b.setAttribute("aria-pressed", String(b.textContent === this.scale));
      bar.appendChild(document.createElement("span")).className = "gap";
      button("+", "zoom in", () => this.zoom(0.6));
      button(MINUS, "zoom out", () => this.zoom(1 / 0.6));
      button("\u2190", "towards low energy", () => this.pan(-0.25));
      button("\u2192", "towards high energy", () => this.pan(0.25));
      button("reset", "the whole spectrum", () => { this.range = this.data.range.slice(); this.draw(); });
      const tip = bar.appendChild(document.createElement("span"));
      tip.className = "tip"; tip.textContent = "drag to zoom, shift-drag to move, double click to reset";
      bar.hidden = false; this.readout.hidden = false;
    }
    set(a, b) {
      const least = 8 * (this.last - this.first) / this.data.n;
      const span = clamp(b - a, least, this.last - this.first);
      const start = clamp(a, this.first, this.last - span);
      this.range = [start, start + span];
      this.draw();
    }
    zoom(factor) {
      const [a, b] = this.range, m = (a + b) / 2, h = (b - a) / 2 * factor;
      this.set(m - h, m + h);
    }
    pan(part) { const [a, b] = this.range, d = part * (b - a); this.set(a + d, b + d); }
    channel(e) {
      let a = 0, b = this.data.n - 1;
      while (b - a > 1) { const m = (a + b) >> 1; if (this.energy[m] <= e) a = m; else b = m; }
      return e - this.energy[a] < this.energy[b] - e ? a : b;
    }
    draw() {
      const d = this.data, width = Math.floor(this.canvas.clientWidth);
      if (width < 80) return;
      const [low, high] = this.range, left = 62, right = width - 12;
      const named = d.families.filter(f => f.at >= low && f.at <= high).map(f => ({ f, width: 8 + [...f.name].reduce((w, c) => w + (/[A-Z+]/.test(c) ? 8.4 : 6.7), 0) }));
      const upright = named.reduce((w, i) => w + i.width, 0) > right - left;
      const top = !d.families.length ? 12 : upright ? 72 : 44;
      const hasResidual = Boolean(d.residual);
      const bottom = top + d.height, rTop = bottom + 16, rBottom = rTop + (hasResidual ? 84 : 0);
      const end = hasResidual ? rBottom : bottom;
      const svg = make("svg", { class: "plot", width, height: end + 44, viewBox: `0 0 ${width} ${end + 44}`, role: "img", "aria-label": d.alt });
      const px = e => left + (e - low) / (high - low) * (right - left);
      const i0 = Math.max(0, this.channel(low) - 1), i1 = Math.min(d.n - 1, this.channel(high) + 1);
      const excluded = i => d.excluded && i >= d.excluded[0] && i <= d.excluded[1];
      const visible = [];
      for (let i = i0; i <= i1; i++) if (!excluded(i)) visible.push(d.counts[i]);
      const positive = visible.filter(c => c > 0).sort((a, b) => a - b);
      const peak = positive.length ? positive[positive.length - 1] : 1;
      const scale = SCALES[this.scale];
      const yTop = peak * (this.scale === "log" ? 1.35 : 1.08);
      const yLow = this.scale === "log" && positive.length ? Math.max(0.6 * positive[positive.length / 20 | 0], peak * 1e-5) : this.scale === "log" ? 0.5 : 0;
      const py = v => bottom - clamp(scale.to(v, yLow, Math.max(yTop, yLow * 2)), 0, 1) * (bottom - top);
      const clip = make("clipPath", { id: this.box.id + "-clip" }, svg);
      make("rect", { x: left, y: 0, width: right - left, height: end }, clip);
      const inner = make("g", { "clip-path": `url(#${this.box.id}-clip)` });
      const strobe = (a, b, label) => {
        if (!d.excluded) return;
        const x0 = Math.max(left, px(this.energy[d.excluded[0]])), x1 = Math.min(right, px(this.energy[d.excluded[1]]));
        if (x1 - x0 < 1) return;
        make("rect", { class: "excluded", x: x0, y: a, width: x1 - x0, height: b - a }, svg);
        if (label && x1 - x0 > 12) make("text", { class: "note", transform: `translate(${(x0 + x1) / 2 + 4} ${a + 8}) rotate(-90)`, "text-anchor": "end" }, svg, "strobe, left out");
      };
      strobe(top, bottom, true);
      for (const [v, text] of scale.ticks(yLow || 0, yTop, Math.floor(d.height / 28))) {
        make("path", { class: "grid", d: `M${left} ${py(v)}H${right}` }, svg);
        make("text", { class: "tick", x: left - 7, y: py(v) + 3.8, "text-anchor": "end" }, svg, text);
      }
      make("text", { class: "title", transform: `translate(13 ${(top + bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, svg, d.unit);
      svg.appendChild(inner);
      const base = d.background;
      for (const f of d.families) {
        let forward = "", back = "";
        for (let k = 0; k < f.curve.length; k++) {
          const i = f.first + k;
          if (i < i0 || i > i1) continue;
          const b = base ? base[i] : 0, x = px(this.energy[i]).toFixed(1);
          forward += `${x} ${py(b + f.curve[k]).toFixed(1)} `;
          back = `${x} ${py(b).toFixed(1)} ` + back;
        }
        if (forward) make("path", { class: f.kind, d: `M${forward}${back}Z` }, inner);
      }
      const line = (name, values) => {
        if (!values) return;
        let path = "";
        for (let i = i0; i <= i1; i++) path += (path ? "L" : "M") + px(this.energy[i]).toFixed(1) + " " + py(values[i]).toFixed(1);
        make("path", { class: name, d: path }, inner);
      };
      let steps = "";
      for (let i = i0; i <= i1; i++) {
        const x = px(i > 0 ? (this.energy[i - 1] + this.energy[i]) / 2 : this.energy[i]).toFixed(1);
        steps += steps ? `H${x}V${py(d.counts[i]).toFixed(1)}` : `M${x} ${py(d.counts[i]).toFixed(1)}`;
      }
      line("expected", d.expected);
      make("path", { class: "counts", d: steps }, inner);
      line("background", d.background);
      line("model", d.model);
      this.labels(svg, named, upright, px, left, right, top, bottom);
      make("path", { class: "axis", d: `M${left} ${bottom}H${right}` }, svg);
      if (hasResidual) {
        let worst = 5.5;
        for (let i = i0; i <= i1; i++) if (Math.abs(d.residual[i]) > worst) worst = 11;
        const ry = r => (rTop + rBottom) / 2 - clamp(r / worst, -1, 1) * (rBottom - rTop) / 2;
        make("rect", { class: "three-sigma", x: left, y: ry(3), width: right - left, height: ry(-3) - ry(3) }, svg);
        strobe(rTop, rBottom, false);
        for (const [v, text] of linearTicks(-worst, worst, 3)) {
          make("path", { class: "grid", d: `M${left} ${ry(v)}H${right}` }, svg);
          make("text", { class: "tick", x: left - 7, y: ry(v) + 3.8, "text-anchor": "end" }, svg, text);
        }
        let path = "";
        for (let i = i0; i <= i1; i++) if (d.residual[i]) path += `M${px(this.energy[i]).toFixed(1)} ${ry(0)}V${ry(d.residual[i]).toFixed(1)}`;
        const clipped = make("g", { "clip-path": `url(#${this.box.id}-clip)` }, svg);
        make("path", { class: "residual", d: path }, clipped);
        make("text", { class: "title", transform: `translate(13 ${(rTop + rBottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, svg, "residual (\u03c3)");
        make("path", { class: "axis", d: `M${left} ${rBottom}H${right}` }, svg);
      }
      for (const [v, text] of linearTicks(low, high, Math.floor((right - left) / 75))) {
        make("path", { class: "axis", d: `M${px(v)} ${end}v4` }, svg);
        make("text", { class: "tick", x: px(v), y: end + 17, "text-anchor": "middle" }, svg, text);
      }
      make("text", { class: "title", x: right, y: end + 34, "text-anchor": "end" }, svg, "Energy (keV)");
      this.pointer(svg, { left, right, top, end, px });
      this.canvas.replaceChildren(svg);
    }
    labels(svg, items, upright, px, left, right, top, bottom) {
      for (const i of items) i.x = px(i.f.at);
      items.sort((a, b) => a.x - b.x);
      if (upright) for (const i of items) i.width = 13;
      spread(items, left - 20, right);
      for (const { f, x, at } of items) {
        make("path", { class: "leader", d: `M${at} ${top - 16}L${x} ${top}V${bottom}` }, svg);
        const place = upright
          ? { transform: `translate(${at + 4} ${top - 18}) rotate(-90)` }
          : { x: at, y: top - 21, "text-anchor": "middle" };
        make("text", { class: "label " + f.kind, ...place }, svg, f.name);
      }
    }
    pointer(svg, { left, right, top, end, px }) {
      const d = this.data, [low, high] = this.range;
      const energyAt = event => {
        const box = svg.getBoundingClientRect();
        const x = clamp((event.clientX - box.left) / box.width * svg.viewBox.baseVal.width, left, right);
        return low + (x - left) / (right - left) * (high - low);
      };
      const hover = make("path", { class: "hover" }, svg);
      const brush = make("rect", { class: "brush", y: top, height: end - top, width: 0 }, svg);
      let start = null, moving = false;
      svg.addEventListener("pointerdown", event => {
        if (event.button !== 0) return;
        start = energyAt(event); moving = event.shiftKey;
        svg.setPointerCapture(event.pointerId);
        event.preventDefault();
      });
      svg.addEventListener("pointermove", event => {
        const e = energyAt(event), i = this.channel(e), x = px(this.energy[i]);
        if (x < left || x > right) return;
        hover.setAttribute("d", `M${x} ${top}V${end}`);
        if (start !== null && !moving) {
          const a = px(Math.min(start, e)), b = px(Math.max(start, e));
          brush.setAttribute("x", a); brush.setAttribute("width", b - a);
        }
        this.say(i);
      });
      svg.addEventListener("pointerup", event => {
        if (start === null) return;
        const e = energyAt(event), from = start;
        start = null;
        if (moving) this.set(low + from - e, high + from - e);
        else if (Math.abs(px(e) - px(from)) > 5) this.set(Math.min(e, from), Math.max(e, from));
      });
      svg.addEventListener("pointercancel", () => { start = null; brush.setAttribute("width", 0); });
      svg.addEventListener("pointerleave", () => { hover.removeAttribute("d"); });
      svg.addEventListener("dblclick", () => { this.range = d.range.slice(); this.draw(); });
    }
    say(i) {
      const d = this.data, parts = [];
      parts.push([this.energy[i].toFixed(3) + " keV", number(d.counts[i]) + " " + d.unit]);
      if (d.expected) parts.push(["expected", number(d.expected[i])]);
      if (d.model) parts.push(["fit", number(d.model[i])]);
      if (d.background) parts.push(["background", number(d.background[i])]);
      if (d.residual) parts.push(["residual", d.residual[i].toFixed(1).replace("-", MINUS) + " \u03c3"]);
      for (const f of d.families) {
        const c = f.curve[i - f.first];
        if (c > 0.02 * Math.max(d.model ? d.model[i] : 0, 1e-12)) parts.push([f.name, number(c)]);
      }
      this.readout.replaceChildren();
      for (const [name, value] of parts) {
        const b = document.createElement("b");
        b.textContent = value;
        this.readout.append(name + " ", b, "\u2003");
      }
    }
  }
  for (const box of document.querySelectorAll(".spectrum")) {
    try { new Spectrum(box); } catch (error) { console.error(error); }
  }

  // The pixel under the pointer is outlined in every map of the same grid.
  const images = [...document.querySelectorAll(".image")];
  const clear = () => document.querySelectorAll(".cross, .where").forEach(node => node.remove());
  for (const image of images) {
    image.addEventListener("pointermove", event => {
      const rows = Number(image.dataset.rows), cols = Number(image.dataset.cols), box = image.getBoundingClientRect();
      const col = clamp(Math.floor((event.clientX - box.left) / box.width * cols), 0, cols - 1);
      const row = clamp(Math.floor((event.clientY - box.top) / box.height * rows), 0, rows - 1);
      clear();
      for (const other of images) {
        if (other.dataset.rows !== image.dataset.rows || other.dataset.cols !== image.dataset.cols) continue;
        const cross = other.appendChild(document.createElement("div"));
        cross.className = "cross";
        Object.assign(cross.style, { left: 100 * (col + 0.5) / cols + "%", top: 100 * (row + 0.5) / rows + "%", width: 100 / cols + "%", height: 100 / rows + "%" });
      }
      const where = image.appendChild(document.createElement("div"));
      where.className = "where"; where.textContent = `[${row}, ${col}]`;
    });
    image.addEventListener("pointerleave", clear);
  }
})();
