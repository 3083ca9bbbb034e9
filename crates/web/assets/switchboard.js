// The console's script. Every page reads and submits without it; it adds keys, live regions and charts.
// No inline code anywhere: it finds its work by data attributes, so `script-src 'self'` is enough.
"use strict";
(() => {
  const $ = (selector, within = document) => within.querySelector(selector);
  const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
  const byId = (id) => document.getElementById(id);
  const root = document.documentElement;

  // Storage may be forbidden; then a choice lasts for the page.
  const stored = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
  const store = (key, value) => { try { localStorage.setItem(key, value); } catch { /* lasts for the page */ } };

  /* Theme: a cookie, so that the server writes the next page in it. */
  document.addEventListener("change", (event) => {
    if (!event.target.closest("[data-theme-choice]")) return;
    const theme = event.target.value;
    if (theme === "auto") delete root.dataset.theme; else root.dataset.theme = theme;
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `theme=${theme}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
  });

  /* The navigation's groups: a cookie too. The group of the page itself is open by itself, and is kept only by a click. */
  document.addEventListener("click", (event) => {
    const turned = event.target.closest("#nav summary")?.parentElement;
    if (!turned) return;
    const open = $$("#nav details").filter((group) => group === turned ? !group.open : group.open && !$("[aria-current]", group));
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `nav=${open.map((group) => group.dataset.group).join(".")}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
  });

  /* Dialogs: `commandfor` opens them without script where the browser knows it. */
  const knowsCommands = "commandForElement" in HTMLButtonElement.prototype;
  const knowsClosedBy = "closedBy" in HTMLDialogElement.prototype;
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[commandfor]");
    if (button && !knowsCommands) {
      const dialog = byId(button.getAttribute("commandfor"));
      const command = button.getAttribute("command");
      if (command === "show-modal" && !dialog.open) dialog.showModal();
      if (command === "close") dialog.close();
    }
    if (!knowsClosedBy && event.target instanceof HTMLDialogElement && event.target.getAttribute("closedby") === "any") {
      const box = event.target.getBoundingClientRect();
      const inside = event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
      if (!inside) event.target.close();
    }
    for (const menu of $$("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  });

  /* Copy, reveal, dismiss. */
  const say = (text) => {
    const line = document.createElement("p");
    line.className = "visually-hidden";
    line.textContent = text;
    byId("status")?.append(line);
    setTimeout(() => line.remove(), 4000);
  };
  async function copy(text) {
    if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
    // Consoles on a plain-HTTP intranet have no clipboard API.
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "visually-hidden";
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  document.addEventListener("click", async (event) => {
    const copier = event.target.closest("[data-copy]");
    if (copier) {
      await copy(byId(copier.dataset.copy).textContent);
      const label = $("span", copier);
      const before = label.textContent;
      if (before === copier.dataset.copied) return;
      label.textContent = copier.dataset.copied;
      say(copier.dataset.copied);
      setTimeout(() => { label.textContent = before; }, 2000);
    }
    const revealer = event.target.closest("[data-reveal]");
    if (revealer) {
      const input = byId(revealer.dataset.reveal);
      const shown = input.type === "password";
      input.type = shown ? "text" : "password";
      revealer.setAttribute("aria-pressed", String(shown));
    }
  });

  /* Toasts stay while one reads them: ten seconds, longer under the pointer or focus, errors until dismissed. */
  function tendToast(toast) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button quiet small icon-only";
    button.setAttribute("aria-label", byId("status").dataset.dismiss);
    button.textContent = "✕";
    button.addEventListener("click", () => toast.remove());
    toast.append(button);
    if (toast.dataset.tone === "bad") return;
    let timer;
    const wait = () => { timer = setTimeout(() => toast.remove(), 10000); };
    for (const enter of ["pointerenter", "focusin"]) toast.addEventListener(enter, () => clearTimeout(timer));
    for (const leave of ["pointerleave", "focusout"]) toast.addEventListener(leave, wait);
    wait();
  }
  if (byId("status")) {
    new MutationObserver((changes) => {
      for (const { addedNodes } of changes) {
        for (const node of addedNodes) if (node.nodeType === 1 && node.matches(".toast")) tendToast(node);
      }
    }).observe(byId("status"), { childList: true });
  }

  /* Times: "3 minutes ago", kept up to date. */
  const relative = new Intl.RelativeTimeFormat(root.lang || "en", { numeric: "auto", style: "short" });
  const UNITS = [["year", 31557600], ["month", 2629800], ["week", 604800], ["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  function showTimes(within = document) {
    for (const time of $$("time[data-relative]", within)) {
      const seconds = (Date.parse(time.dateTime) - Date.now()) / 1000;
      if (Number.isNaN(seconds)) continue;
      const [unit, length] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
      const text = relative.format(Math.round(seconds / length), unit);
      if (time.textContent !== text) time.textContent = text;
    }
  }
  setInterval(() => { if (!document.hidden) showTimes(); }, 20000);

  /* Live regions; the contract is in ui/live.rs. */
  const QUIET = 1000;
  const POLL = 15000;
  let streamUp = false;
  const hears = (region, topic) =>
    topic === "reload" || region.dataset.live.split(" ").some((wanted) =>
      // Many changes at once come as their plain topic, so one record's region hears that too.
      topic === wanted || topic.startsWith(wanted + ":") || wanted.startsWith(topic + ":"));
  function refresh(region) {
    if (region.pending) return;
    const wait = Math.max(0, (region.refreshed ?? 0) + QUIET - Date.now());
    region.pending = setTimeout(() => {
      region.pending = null;
      region.refreshed = Date.now();
      if (region.isConnected) window.htmx?.trigger(region, "sb:refresh");
    }, wait);
  }
  const refreshAll = (topic) => { for (const region of $$("[data-live]")) if (hears(region, topic)) refresh(region); };
  document.addEventListener("htmx:sse:before:message", (event) => {
    const topic = event.detail.message?.event;
    if (!topic) return;
    event.preventDefault();
    refreshAll(topic);
  });
  // The banner waits: most interruptions end before anyone needs to know.
  let bannerTimer = null;
  function stream(up) {
    streamUp = up;
    const banner = byId("stream-down");
    if (!banner) return;
    if (up) {
      clearTimeout(bannerTimer);
      bannerTimer = null;
      banner.hidden = true;
    } else if (bannerTimer === null) {
      bannerTimer = setTimeout(() => {
        if (document.hidden) { bannerTimer = null; return; }
        banner.hidden = false;
        say(banner.textContent);
      }, 5000);
    }
  }
  document.addEventListener("htmx:sse:after:connection", () => stream(true));
  document.addEventListener("htmx:sse:error", () => stream(false));
  document.addEventListener("htmx:sse:close", () => stream(false));
  // A proxy may cut a stream without an error: before each new attempt the stream counts as down.
  document.addEventListener("htmx:sse:before:connection", () => stream(false));
  setInterval(() => {
    if (streamUp || document.hidden) return;
    refreshAll("reload");
    // A stream that never began does not try again by itself; one that lives ignores this.
    if (byId("stream")) window.htmx?.trigger(byId("stream"), "sb:connect");
  }, POLL);

  /* Keys. */
  const SINGLE_KEYS = "single-key-shortcuts";
  const singleKeys = () => stored(SINGLE_KEYS) !== "off";
  const typing = (target) => target.closest?.("input, textarea, select, [contenteditable], [role=textbox]");
  let prefix = 0;
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "k" && byId("palette")) {
      event.preventDefault();
      if (!byId("palette").open) byId("palette").showModal();
      return;
    }
    if (event.key === "Escape") {
      for (const menu of $$("details.menu[open]")) { menu.open = false; $("summary", menu).focus(); }
    }
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || $("dialog[open]") || !singleKeys()) return;
    if (event.key === "?" && byId("keys")) { event.preventDefault(); byId("keys").showModal(); return; }
    if (event.key === "/") {
      const search = $("main input[type=search]") ?? $("main input[type=text]");
      if (search) { event.preventDefault(); search.focus(); search.select(); }
      return;
    }
    if (event.key === "g") { prefix = Date.now(); return; }
    if (Date.now() - prefix < 1500) {
      prefix = 0;
      const link = $$("#nav a[data-key]").find((item) => item.dataset.key.toLowerCase() === event.key.toLowerCase());
      if (link) { event.preventDefault(); link.click(); }
    }
  });

  /* Command palette: the navigation's links and whatever has `data-command`. */
  function palette(dialog) {
    const input = $("input", dialog);
    const list = $("ul", dialog);
    const none = $(".palette-none", dialog);
    let at = 0;
    let targets = [];
    const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
    const select = (index) => {
      at = (index + targets.length) % Math.max(1, targets.length);
      [...list.children].forEach((option, n) => {
        option.setAttribute("aria-selected", String(n === at));
        if (n === at) option.scrollIntoView({ block: "nearest" });
      });
      if (targets.length) input.setAttribute("aria-activedescendant", `command-${at}`); else input.removeAttribute("aria-activedescendant");
    };
    const fill = () => {
      const words = plain(input.value).split(/\s+/).filter(Boolean);
      targets = $$("#nav a, main .tabs a, main .page-head .toolbar :is(a, button), [data-command]").filter((target) => {
        const text = plain(target.dataset.command ?? target.textContent);
        return words.every((word) => text.includes(word));
      });
      list.replaceChildren(...targets.map((target, n) => {
        const option = document.createElement("li");
        option.id = `command-${n}`;
        option.role = "option";
        option.textContent = target.dataset.command ?? $("span:not(.count)", target)?.textContent ?? target.textContent.trim();
        const group = target.closest(".nav-group")?.querySelector("summary")?.textContent;
        if (group) {
          const note = document.createElement("small");
          note.textContent = group;
          option.append(note);
        }
        option.addEventListener("click", () => go(n));
        return option;
      }));
      list.hidden = targets.length === 0;
      none.hidden = targets.length > 0;
      input.setAttribute("aria-expanded", String(targets.length > 0));
      select(0);
    };
    const go = (n) => { dialog.close(); targets[n]?.click(); };
    input.addEventListener("input", fill);
    dialog.addEventListener("toggle", () => { if (dialog.open) { input.value = ""; fill(); } });
    dialog.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      const steps = { ArrowDown: 1, ArrowUp: -1 };
      if (event.key in steps) { event.preventDefault(); select(at + steps[event.key]); }
      if (event.key === "Enter") { event.preventDefault(); go(at); }
    });
  }

  /* Tags: a comma-separated text becomes removable pills around the same text field. */
  function tagInput(input) {
    if (input.tagged) return;
    input.tagged = true;
    const box = document.createElement("div");
    box.className = "tag-input";
    const real = document.createElement("input");
    real.type = "hidden";
    real.name = input.name;
    input.removeAttribute("name");
    const tags = new Set();
    const show = () => {
      real.value = [...tags].join(",");
      $$(".chip", box).forEach((chip) => chip.remove());
      for (const tag of tags) {
        const chip = document.createElement("button");
        chip.type = "button";
        chip.className = "chip";
        chip.textContent = `${tag} ✕`;
        chip.setAttribute("aria-label", `${input.dataset.tags}: ${tag}`);
        chip.addEventListener("click", () => { tags.delete(tag); show(); input.focus(); });
        input.before(chip);
      }
    };
    const take = () => {
      for (const tag of input.value.split(",").map((text) => text.trim()).filter(Boolean)) tags.add(tag);
      input.value = "";
      show();
    };
    input.before(box);
    box.append(input, real);
    input.addEventListener("keydown", (event) => {
      if ((event.key === "Enter" && input.value.trim()) || event.key === ",") { event.preventDefault(); take(); }
      if (event.key === "Backspace" && !input.value && tags.size) { tags.delete([...tags].pop()); show(); }
    });
    input.addEventListener("change", take);
    take();
  }

  /* Filters of what the page holds already: `data-filter` names the list, `data-filter-item` its items by their words. */
  document.addEventListener("input", (event) => {
    const list = event.target.dataset?.filter && byId(event.target.dataset.filter);
    if (!list) return;
    const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    const items = $$("[data-filter-item]", list);
    for (const item of items) item.hidden = !words.every((word) => item.dataset.filterItem.includes(word));
    for (const group of $$("[data-filter-group]", list)) group.hidden = !$("[data-filter-item]:not([hidden])", group);
    for (const none of $$("[data-filter-none]", list)) none.hidden = items.some((item) => !item.hidden);
  });

  /* Bulk selection. */
  function countSelection() {
    for (const bar of $$("[data-bulk]")) {
      const boxes = $$(".select input[name]", bar.closest("form") ?? document);
      const chosen = boxes.filter((box) => box.checked).length;
      bar.hidden = chosen === 0;
      $("[data-bulk-count]", bar).textContent = chosen;
      const all = $("[data-select-all]", bar.closest("form") ?? document);
      if (all) { all.checked = chosen > 0 && chosen === boxes.length; all.indeterminate = chosen > 0 && chosen < boxes.length; }
    }
  }
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-select-all]")) {
      for (const box of $$(".select input[name]", event.target.closest("table"))) box.checked = event.target.checked;
    }
    if (event.target.closest(".select")) countSelection();
  });

  /* Charts: drawn in a shadow root, so that a morph of the page leaves them alone. */
  const STYLE = new CSSStyleSheet();
  STYLE.replaceSync(":host{display:block}svg{inline-size:100%;block-size:100%;display:block;overflow:visible}" +
    ".line{fill:none;stroke:currentcolor;stroke-width:2;vector-effect:non-scaling-stroke;stroke-linejoin:round;stroke-linecap:round}" +
    ".area{fill:currentcolor;opacity:.12}.bar{fill:currentcolor}.bar:hover{opacity:.7}.base{stroke:currentcolor;opacity:.3;vector-effect:non-scaling-stroke}" +
    "@media (forced-colors:active){.line,.base{stroke:CanvasText}.bar{fill:CanvasText}}");
  const SVG = "http://www.w3.org/2000/svg";
  const shape = (name, attributes) => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  class Chart extends HTMLElement {
    static observedAttributes = ["data-values"];
    connectedCallback() {
      if (!this.shadowRoot) {
        this.attachShadow({ mode: "open" }).adoptedStyleSheets = [STYLE];
        this.svg = shape("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true" });
        this.shadowRoot.append(this.svg, document.createElement("slot"));
      }
      this.draw();
    }
    attributeChangedCallback() { if (this.svg) this.draw(); }
    draw() {
      const values = (this.dataset.values ?? "").split(",").filter(Boolean).map(Number).filter(Number.isFinite);
      this.svg.replaceChildren(...(values.length ? this.shapes(values) : []));
    }
    labels() { return $$("tbody th", this).map((cell) => cell.textContent); }
  }
  customElements.define("sb-sparkline", class extends Chart {
    shapes(values) {
      const most = Math.max(...values);
      const least = Math.min(0, ...values);
      const span = most - least || 1;
      const step = 100 / Math.max(1, values.length - 1);
      const points = values.map((value, n) => `${(n * step).toFixed(2)},${(96 - ((value - least) / span) * 90).toFixed(2)}`);
      return [
        shape("polygon", { class: "area", points: `0,100 ${points.join(" ")} 100,100` }),
        shape("polyline", { class: "line", points: points.join(" ") }),
      ];
    }
  });
  customElements.define("sb-bars", class extends Chart {
    shapes(values) {
      const most = Math.max(0, ...values) || 1;
      const slot = 100 / values.length;
      const labels = this.labels();
      const bars = values.map((value, n) => {
        const height = Math.max(0, (value / most) * 96);
        const bar = shape("rect", { class: "bar", x: n * slot + slot * 0.14, y: 99 - height, width: slot * 0.72, height });
        const title = document.createElementNS(SVG, "title");
        title.textContent = `${labels[n] ?? n + 1}: ${value}`;
        bar.append(title);
        return bar;
      });
      return [shape("line", { class: "base", x1: 0, x2: 100, y1: 99.5, y2: 99.5 }), ...bars];
    }
  });

  /* What is wider than its box can be scrolled by keys. */
  const scrollers = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (target.scrollWidth > target.clientWidth) {
        target.tabIndex = 0;
        target.role = "region";
        target.ariaLabel = $("caption", target)?.textContent ?? "";
      } else {
        for (const name of ["tabindex", "role", "aria-label"]) target.removeAttribute(name);
      }
    }
  });

  /* New content, at the start and after each swap. */
  function tend(within = document) {
    showTimes(within);
    $$("[data-scroll-end]", within).forEach((screen) => { screen.scrollTop = screen.scrollHeight; });
    $$("input[data-tags]", within).forEach(tagInput);
    $$(".table-scroll", within).forEach((box) => scrollers.observe(box));
    countSelection();
  }
  function start() {
    tend();
    // On a phone the view that is open may lie behind the edge.
    for (const tab of $$(".tabs [aria-current]")) tab.scrollIntoView({ block: "nearest", inline: "nearest" });
    if (byId("palette")) palette(byId("palette"));
    const single = byId("keys-on");
    if (single) {
      single.checked = singleKeys();
      single.addEventListener("change", () => store(SINGLE_KEYS, single.checked ? "on" : "off"));
    }
    $("[data-focus]")?.focus();
  }
  document.addEventListener("htmx:after:swap", (event) => {
    tend();
    // A phone's screen that was refreshed shows its newest message.
    event.target.closest?.("[data-scroll-end]")?.scrollTo(0, 1e9);
    // A form that came back with errors: read them.
    if (event.target !== document) $("[data-focus]", event.target)?.focus();
  });
  // Tells a driving test that nothing is under way.
  for (const [name, change] of [["htmx:before:request", 1], ["htmx:finally:request", -1]]) {
    document.addEventListener(name, (event) => {
      if (event.target.id === "stream") return;
      root.dataset.requests = String(Math.max(0, Number(root.dataset.requests ?? 0) + change));
    });
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start); else start();
})();
