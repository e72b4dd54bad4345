// Filters, sorting and the episode viewer. The page is whole without this file. Nothing here makes markup of a text:
// what others wrote is in the page already, and is hidden, shown, moved or copied as nodes.
"use strict";

(() => {
  const form = document.getElementById("filters");
  if (!form) return; // an empty leaderboard

  const $ = (id) => document.getElementById(id);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const FILTERS = ["task", "algorithm", "size"];
  const KEYS = [...FILTERS, "sort", "show"];
  const state = Object.fromEntries(KEYS.map((key) => [key, ""]));
  // Rows in the order of their ranks, which every sort starts from.
  const bodies = all("tbody").map((body) => ({ body, rows: [...body.rows] }));

  // --- the address: whatever is chosen can be shared as a link

  function readAddress() {
    const stated = new URLSearchParams(location.hash.slice(1));
    if (location.hash.length > 1 && !KEYS.some((key) => stated.has(key))) return; // a link to a heading
    for (const key of KEYS) state[key] = stated.get(key) ?? "";
    for (const key of FILTERS) {
      form.elements[key].value = state[key];
      if (form.elements[key].selectedIndex < 0) form.elements[key].value = state[key] = "";
    }
  }

  function writeAddress() {
    const chosen = new URLSearchParams(KEYS.filter((key) => state[key]).map((key) => [key, state[key]]));
    history.replaceState(null, "", `${location.pathname}${location.search}${chosen.size ? `#${chosen}` : ""}`);
  }

  // --- filters

  function filter() {
    const entries = all("[data-entry]");
    for (const entry of entries) {
      const { algorithm, size } = entry.dataset;
      const values = { task: entry.closest("[data-task]").dataset.task, algorithm, size };
      entry.hidden = FILTERS.some((key) => state[key] && state[key] !== values[key]);
    }
    // A heading with nothing below it goes, too.
    for (const box of all(".scroll, .unranked, [data-table], [data-task]")) {
      box.hidden = !box.querySelector("[data-entry]:not([hidden])");
    }
    const shown = entries.filter((entry) => !entry.hidden).length;
    $("nothing").hidden = shown > 0;
    $("count").textContent = `${shown} of ${entries.length} score${entries.length === 1 ? "" : "s"}`;
  }

  // --- sorting: one order for all tables; "-success" is the highest first

  function sort() {
    const descending = state.sort.startsWith("-");
    const key = state.sort.replace(/^-/, "") || "rank";
    const value = (row) => all("[data-key]", row).find((cell) => cell.dataset.key === key)?.dataset.value ?? "";
    const compare = (a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === "" || y === "") return (x === "") - (y === ""); // what is not stated comes last
      const numbers = !["model", "algorithm", "status"].includes(key);
      const order = numbers ? Number(x) - Number(y) : x.localeCompare(y, "en");
      return descending ? -order : order;
    };
    for (const { body, rows } of bodies) body.append(...[...rows].sort(compare));
    for (const header of all("th[data-key]")) {
      if (header.dataset.key === key) header.ariaSort = descending ? "descending" : "ascending";
      else header.removeAttribute("aria-sort");
    }
    form.elements.sort.value = state.sort;
  }

  function makeSortable() {
    for (const header of all("thead th[data-key]")) {
      const label = header.querySelector(".sort");
      const button = document.createElement("button");
      button.type = "button";
      button.className = label.className;
      button.title = `Sort by ${label.title}`;
      button.textContent = label.textContent;
      button.addEventListener("click", () => {
        const other = { ascending: "descending", descending: "ascending" }[header.ariaSort];
        choose({ sort: `${(other ?? header.dataset.first) === "descending" ? "-" : ""}${header.dataset.key}` });
      });
      label.replaceWith(button);
    }
    const first = document.querySelector("thead");
    for (const header of first ? all("th[data-key]", first) : []) {
      const { key } = header.dataset;
      const option = new Option(key, key === "rank" ? "" : `${header.dataset.first === "descending" ? "-" : ""}${key}`);
      form.elements.sort.append(option);
    }
  }

  function choose(values) {
    Object.assign(state, values);
    if (state.sort === "rank") state.sort = "";
    writeAddress();
    filter();
    sort();
  }

  // --- the viewer

  const viewer = $("viewer");
  let episodes = [];
  let turns = [];
  let dots = [];
  let at = 0;

  function show() {
    const [id, episode, turn] = state.show.split(".");
    const heading = id && $(`show=${id}`);
    if (!heading) {
      state.show = "";
      if (viewer.open) viewer.close();
      return;
    }
    $("viewer-title").textContent = heading.textContent;
    const source = heading.closest("details");
    episodes = all(".episode", source);
    const buttons = episodes.map((_, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = `Episode ${index + 1}`;
      button.addEventListener("click", () => pick(id, index, 0));
      return button;
    });
    $("viewer-episodes").replaceChildren(...buttons);
    const link = source.querySelector("a.all");
    if (link) $("viewer-episodes").append(link.cloneNode(true));
    if (!viewer.open) viewer.showModal();
    $("viewer-next").focus();
    pick(id, Math.min((Number.parseInt(episode) || 1) - 1, episodes.length - 1), (Number.parseInt(turn) || 1) - 1);
  }

  function pick(id, index, turn) {
    const copy = episodes[Math.max(index, 0)].cloneNode(true);
    $("viewer-body").replaceChildren(copy);
    turns = all(".turn", copy);
    dots = all("circle", copy);
    all("button", $("viewer-episodes")).forEach((button, i) => { button.ariaPressed = String(i === index); });
    state.show = `${id}.${index + 1}`;
    step(turn);
  }

  function step(to) {
    at = Math.max(0, Math.min(to, turns.length - 1));
    turns.forEach((turn, index) => {
      turn.hidden = index > at;
      turn.classList.toggle("now", index === at);
      dots[index].classList.toggle("now", index === at);
    });
    const { reward, return: total } = turns[at].dataset;
    const paid = reward ? `reward ${reward}, ` : "";
    $("viewer-position").textContent = `Turn ${at + 1} of ${turns.length}: ${paid}return ${total}`;
    // Not `disabled`: a button that is would lose the focus and with it the arrow keys.
    $("viewer-previous").ariaDisabled = String(at === 0);
    $("viewer-next").ariaDisabled = String(at === turns.length - 1);
    turns[at].scrollIntoView({ block: "nearest" });
    state.show = [...state.show.split(".").slice(0, 2), at + 1].join(".");
    writeAddress();
  }

  const moves = { ArrowLeft: () => at - 1, ArrowRight: () => at + 1, Home: () => 0, End: () => turns.length - 1 };
  viewer.addEventListener("keydown", (event) => {
    if (event.key in moves && !event.altKey && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      step(moves[event.key]());
    }
  });
  viewer.addEventListener("click", (event) => { if (event.target === viewer) viewer.close(); });
  viewer.addEventListener("close", () => {
    const address = `#show=${state.show.split(".")[0]}`;
    state.show = "";
    writeAddress();
    all("a.watch").find((link) => link.getAttribute("href") === address)?.focus();
  });
  $("viewer-close").addEventListener("click", () => viewer.close());
  $("viewer-previous").addEventListener("click", () => step(at - 1));
  $("viewer-next").addEventListener("click", () => step(at + 1));
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a.watch");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    state.show = link.getAttribute("href").slice("#show=".length);
    show();
  });

  // --- start

  document.documentElement.classList.add("js");
  makeSortable();
  form.hidden = false;
  form.addEventListener("change", () => choose(Object.fromEntries(new FormData(form))));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    for (const key of FILTERS) form.elements[key].value = "";
    choose({ task: "", algorithm: "", size: "", sort: "" });
  });
  function follow() {
    readAddress();
    filter();
    sort();
    show();
  }
  addEventListener("hashchange", follow);
  follow();
})();
