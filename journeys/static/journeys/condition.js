/* Conditions as rows of field, operator and value. Rows write JSON into a hidden input, and only when somebody
   changes them: a condition that is merely shown is sent back as it was stored. */
(() => {
  "use strict";

  const OPERATORS = JSON.parse(document.getElementById("operators")?.textContent || "[]");
  const TAKES = Object.fromEntries(OPERATORS.map((each) => [each.op, each.takes]));
  const TYPES = {
    scalar: ["text", "number", "yes/no", "date", "date and time"],
    comparable: ["number", "date", "date and time"],
    list: ["text", "number"],
    text: ["text"],
    flag: ["yes/no"],
    days: ["days"],
  };

  const el = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
    }
    made.append(...children);
    return made;
  };
  const symbol = (name) => el("span", { class: "material-symbols-outlined", "aria-hidden": "true" }, name);
  const select = (label, choices, chosen) => {
    const made = el("select", { class: "j-input", "aria-label": label });
    for (const [value, text] of choices) made.add(new Option(text, value, false, value === chosen));
    return made;
  };

  const typeOf = (value) => {
    const one = Array.isArray(value) ? value[0] : value;
    if (typeof one === "boolean") return "yes/no";
    if (typeof one === "number") return "number";
    if (Array.isArray(value) || typeof one !== "string") return "text";
    if (/^\d{4}-\d\d-\d\d$/.test(one)) return "date";
    return /^\d{4}-\d\d-\d\d[T ]\d\d:/.test(one) ? "date and time" : "text";
  };

  /* A control for one value; `read` gives undefined where nothing usable was entered. */
  const control = (type, value) => {
    if (type === "yes/no") {
      const made = select("Value", [["true", "yes"], ["false", "no"]], String(value ?? true));
      return { node: made, read: () => made.value === "true" };
    }
    const kinds = { number: "number", days: "number", date: "date" };
    const made = el("input", {
      type: kinds[type] || "text", class: "j-input", "aria-label": "Value", step: "any",
      placeholder: type === "date and time" ? "2026-03-01T09:00:00Z" : type === "days" ? "days" : "value",
    });
    made.value = value ?? "";
    const isNumber = type === "number" || type === "days";
    const read = () => (isNumber ? (made.value === "" ? undefined : Number(made.value)) : made.value || (type === "text" ? "" : undefined));
    return { node: made, read };
  };

  /* Several values as chips: Enter or a comma adds one, Backspace takes the last away. */
  const chips = (type, values, changed) => {
    const kept = [...values];
    const input = el("input", { class: "j-input", "aria-label": "Add a value", placeholder: "value, value…", type: "text" });
    const node = el("span", { class: "j-chips" });
    const parsed = (text) => (type === "number" && text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text);
    const add = () => {
      const texts = input.value.split(",").map((text) => text.trim()).filter(Boolean);
      kept.push(...texts.map(parsed));
      input.value = "";
      if (texts.length) draw();
    };
    const draw = () => {
      node.replaceChildren(...kept.map((value, at) => {
        const remove = el("button", { type: "button", "aria-label": `Remove ${value}` }, "×");
        remove.addEventListener("click", () => { kept.splice(at, 1); draw(); input.focus(); changed(); });
        return el("span", { class: "j-chip" }, String(value), remove);
      }), input);
    };
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === ",") {
        event.preventDefault(); add(); input.focus(); changed();
      } else if (event.key === "Backspace" && !input.value && kept.length) {
        kept.pop(); draw(); input.focus(); changed();
      }
    });
    input.addEventListener("blur", () => { add(); changed(); });
    draw();
    return { node, read: () => (kept.length ? [...kept] : undefined) };
  };

  const row = (leaf, changed, removed) => {
    const field = el("input", { class: "j-input", list: "known-fields", placeholder: "field, e.g. plan", "aria-label": "Field", autocomplete: "off" });
    field.value = leaf.field ?? "";
    const operator = select("Operator", OPERATORS.map((each) => [each.op, each.label]), leaf.op ?? "eq");
    const kind = el("span", { class: "j-kind" });
    const slot = el("span", { class: "j-value" });
    let type;
    let current;
    const build = (value) => {
      const takes = TAKES[operator.value];
      const types = TYPES[takes];
      if (!types.includes(type)) type = types[0];
      const picker = select("Type of value", types.map((each) => [each, each]), type);
      picker.addEventListener("change", () => { type = picker.value; build(undefined); changed(); });
      kind.replaceChildren(...(types.length > 1 ? [picker] : []));
      current = takes === "list" ? chips(type, Array.isArray(value) ? value : [], changed) : control(type, Array.isArray(value) ? undefined : value);
      slot.replaceChildren(current.node);
    };
    type = TAKES[leaf.op] === "days" ? "days" : typeOf(leaf.value);
    build(leaf.value);
    operator.addEventListener("change", () => { build(current.read()); changed(); });
    const remove = el("button", { type: "button", class: "j-icon", "aria-label": "Remove this condition" }, symbol("close"));
    const node = el("div", { class: "j-row", "data-row": true }, field, operator, kind, slot, remove);
    const made = { node, field, read: () => ({ field: field.value.trim(), op: operator.value, value: current.read() }) };
    remove.addEventListener("click", () => removed(made));
    return made;
  };

  const COMPARISONS = JSON.parse(document.getElementById("comparisons")?.textContent || "[]");

  /* What somebody did, and how often: of segments only. */
  const countRow = (leaf, changed, removed) => {
    const name = el("input", { class: "j-input", list: "known-events", placeholder: "event, e.g. purchase", "aria-label": "Event", autocomplete: "off" });
    name.value = leaf.did ?? "";
    const operator = select("How often", COMPARISONS, leaf.op ?? "gte");
    const number = (label, value) => {
      const made = el("input", { class: "j-input j-small", type: "number", min: 0, "aria-label": label });
      made.value = value;
      return made;
    };
    const times = number("Times", leaf.value ?? 1);
    const period = select("When", [["ever", "ever"], ["lately", "in the last"]], "within_days" in leaf ? "lately" : "ever");
    const days = number("Days", leaf.within_days ?? 30);
    days.step = "any";
    const lately = el("span", { class: "j-lately" }, days, "days");
    const show = () => { lately.hidden = period.value === "ever"; };
    period.addEventListener("change", show);
    show();
    const remove = el("button", { type: "button", class: "j-icon", "aria-label": "Remove this condition" }, symbol("close"));
    const node = el("div", { class: "j-row j-count", "data-row": true }, "has done", name, operator, times, "times", period, lately, remove);
    const read = () => ({
      did: name.value.trim(), op: operator.value, value: times.value === "" ? undefined : Number(times.value),
      ...(period.value === "ever" ? {} : { within_days: days.value === "" ? null : Number(days.value) }),
    });
    const made = { node, field: name, read };
    remove.addEventListener("click", () => removed(made));
    return made;
  };
  const rowOf = (leaf, ...handlers) => ("did" in leaf ? countRow : row)(leaf, ...handlers);

  const build = (root) => {
    const json = root.querySelector("[data-json]");
    const mode = root.querySelector("[data-mode]");
    const text = root.querySelector("[data-text]");
    const fault = root.querySelector("[data-fault]");
    const rowsView = root.querySelector("[data-rows-view]");
    const textView = root.querySelector("[data-text-view]");
    let rows = [];
    let join;

    const changed = () => {
      const leaves = rows.map((each) => each.read());
      const condition = leaves.length > 1 ? { [join.value]: leaves } : leaves[0];
      json.value = condition ? JSON.stringify(condition) : "";
      root.dispatchEvent(new Event("change", { bubbles: true }));
    };
    const draw = () => {
      const list = el("div", { class: "j-rows" }, ...rows.map((each) => each.node));
      const head = el("div", { class: "j-join", hidden: rows.length < 2 }, join, " of these hold");
      rowsView.replaceChildren(head, list, tools);
      always.hidden = rows.length > 0;
    };
    const removed = (which) => {
      rows = rows.filter((each) => each !== which);
      draw(); changed(); add.focus();
    };
    const load = () => {
      const stored = json.value ? JSON.parse(json.value) : null;
      const group = stored?.any ? "any" : "all";
      const leaves = stored ? stored[group] ?? [stored] : [];
      join = select("How the rows are joined", [["all", "All"], ["any", "Any"]], group);
      rows = leaves.map((leaf) => rowOf(leaf, changed, removed));
      draw();
    };
    const add = el("button", { type: "button", class: "j-button j-quiet", "data-add-row": true }, symbol("add"), "Add a condition");
    const swap = el("button", { type: "button", class: "j-button j-quiet", "data-swap": true });
    const always = el("span", { class: "j-help" }, "Always.");
    const addCount = el("button", { type: "button", class: "j-button j-quiet", "data-add-count": true }, symbol("add"), "Add what they did");
    const counts = "counts" in root.dataset;
    if (counts) always.textContent = "Everybody.";
    if (root.dataset.none) always.textContent = root.dataset.none;
    const tools = el("div", { class: "j-condition-tools" }, always, add, ...(counts ? [addCount] : []));
    const show = () => {
      const isText = mode.value === "text";
      rowsView.hidden = isText;
      textView.hidden = !isText;
      swap.textContent = isText ? "Edit as rows" : "Edit as text";
      (isText ? textView : tools).append(swap);
    };
    const complain = (said) => { fault.textContent = said || ""; fault.hidden = !said; };

    const addRow = (leaf) => {
      const fresh = rowOf(leaf, changed, removed);
      rows.push(fresh);
      draw(); changed(); show(); fresh.field.focus();
    };
    add.addEventListener("click", () => addRow({}));
    addCount.addEventListener("click", () => addRow({ did: "" }));
    rowsView.addEventListener("input", changed);
    rowsView.addEventListener("change", (event) => { if (event.target !== root) changed(); });
    swap.addEventListener("click", async () => {
      const form = root.closest("form");
      const body = new FormData();
      body.set("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
      for (const [name, value] of [["mode", mode.value], ["rows", json.value], ["text", text.value]]) body.set(name, value);
      const answer = await fetch(form.dataset.conditionUrl, { method: "POST", body });
      if (!answer.ok) return complain("The server did not answer. Try again.");
      const other = await answer.json();
      if (other.error) return complain(other.error);
      if (mode.value === "text" && other.mode === "text") return complain("Rows can't show this condition: it is nested.");
      complain("");
      json.value = other.rows;
      text.value = other.text;
      mode.value = mode.value === "text" ? "rows" : "text";
      load(); show();
      (mode.value === "text" ? text : add).focus();
      root.dispatchEvent(new Event("change", { bubbles: true }));
    });
    if (mode.value === "rows") { try { load(); } catch { json.value = ""; load(); } } else { join = select("", [["all", "All"]], "all"); }
    show();
  };

  const words = (root) => {
    if (root.querySelector("[data-mode]").value === "text") return root.querySelector("[data-text]").value.trim();
    const stored = root.querySelector("[data-json]").value;
    if (!stored) return "";
    const condition = JSON.parse(stored);
    const leaves = condition.all ?? condition.any ?? [condition];
    const label = (op) => OPERATORS.find((each) => each.op === op)?.label ?? op;
    const value = (leaf) => (leaf.op === "exists" && leaf.value === true ? "" : ` ${[].concat(leaf.value ?? "…").join(", ")}`);
    return leaves.map((leaf) => `${leaf.field || "…"} ${label(leaf.op)}${value(leaf)}`).join(condition.any ? " or " : " and ");
  };

  window.journeyConditions = { build, words };
})();
