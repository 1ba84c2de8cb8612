/* The journey page: steps and lanes that are added, dragged, moved by keyboard and deleted; fields that follow a choice.
   Where things stand is flow.js's. */
(() => {
  "use strict";

  const form = document.querySelector("[data-builder]");
  if (!form) return;
  const { build: buildCondition, words } = window.journeyConditions;
  const icons = JSON.parse(document.getElementById("icons").textContent);
  const list = form.querySelector("[data-steps]");
  const said = form.querySelector("[data-said]");
  const kinds = JSON.parse(document.getElementById("lane-kinds").textContent);
  const { field, isDeleted, isStep, nameOf, indexOf, alive, laneOf, move, remove, places, whereIs } = window.journeyFlow;
  const all = (selector) => [...form.querySelectorAll(selector)];

  const grow = (template, index) => {
    const holder = document.createElement("template");
    holder.innerHTML = template.innerHTML.replaceAll("__prefix__", index);
    return holder.content;
  };
  const prepare = (root) => {
    root.querySelectorAll("[data-condition]").forEach(buildCondition);
    root.querySelectorAll("[data-pairs]").forEach(buildPairs);
    root.querySelectorAll("[data-only-when]").forEach(followOther);
  };
  /* A field that is of use only when another one of its group has one of some values. */
  const followOther = (control) => {
    const [name, values] = control.dataset.onlyWhen.split("=");
    const group = control.closest("[data-config]");
    const other = group?.querySelector(`select[name$="-${name}"]`);
    if (!other) return;
    const show = () => { control.closest(".j-field").hidden = !values.split(" ").includes(other.value); };
    other.addEventListener("change", show);
    show();
  };
  const buildPairs = (root) => {
    root.addEventListener("click", (event) => {
      if (event.target.closest("[data-add-pair]")) {
        const fresh = root.querySelector("template").content.cloneNode(true);
        const button = root.querySelector("[data-add-pair]");
        button.before(fresh);
        button.previousElementSibling.querySelector("input, select").focus();
      } else if (event.target.closest("[data-remove-pair]")) {
        event.target.closest("[data-pair]").remove();
        root.querySelector("[data-add-pair]").focus();
      }
    });
  };

  /* Swap in the fields of what was chosen; what was entered for another choice comes back with it. */
  const followChoice = (choice, slot, templateOf, index) => {
    const kept = new Map();
    let shown = choice.value;
    choice.addEventListener("change", () => {
      kept.set(shown, [...slot.childNodes]);
      shown = choice.value;
      const template = templateOf(shown);
      const nodes = kept.get(shown) ?? (template ? [...grow(template, index).childNodes] : []);
      slot.replaceChildren(...nodes);
      if (!kept.has(shown)) prepare(slot);
    });
  };

  /* --- One step */

  const delayInWords = (step) => {
    const number = Number(field(step, "delay_number").value);
    const unit = field(step, "delay_unit").selectedOptions[0].text;
    if (!(number > 0)) return "at once";
    const from = field(step, "delay_from").value === "journey_start" ? " from the start" : "";
    return `after ${number} ${number === 1 ? unit.replace(/s$/, "") : unit}${from}`;
  };
  const hoursInWords = (step) => {
    const hours = step.querySelector(".j-more [data-hours]");
    const boxes = [...hours.querySelectorAll("input[type=checkbox]")];
    const chosen = boxes.map((box, at) => (box.checked ? at : -1)).filter((at) => at >= 0);
    const isRow = chosen.length > 2 && chosen.at(-1) - chosen[0] === chosen.length - 1;
    const days = chosen.map((at) => boxes[at].parentElement.textContent.trim());
    const [from, to] = [...hours.querySelectorAll("input[type=time]")].map((input) => input.value);
    return [isRow ? `${days[0]}–${days.at(-1)}` : days.join(", "), from && to && `${from}–${to}`].filter(Boolean).join(" ");
  };
  const waitInWords = (step) => {
    const event = step.querySelector(":scope > .j-step-body [name$='-config-event']");
    const timeout = step.querySelector(":scope > .j-step-body [name$='-config-timeout_minutes_number']");
    if (!event?.value || !timeout?.value) return "";
    const unit = field(step, "config-timeout_minutes_unit").selectedOptions[0].text;
    return `${event.value}, at most ${timeout.value} ${timeout.value === "1" ? unit.replace(/s$/, "") : unit}`;
  };
  /* What is folded away is shown where it says something. */
  const isSaid = (step) =>
    hoursInWords(step) || field(step, "delay_from").value === "journey_start" ||
    field(step, "expires_after_minutes_number").value;
  const summarise = (step) => {
    const action = field(step, "action_type");
    const condition = words(step.querySelector(".j-when [data-condition]"));
    const parts = [action.value ? action.selectedOptions[0].text : "no action chosen", delayInWords(step)];
    const wait = waitInWords(step);
    if (wait) parts.push(wait);
    const hours = hoursInWords(step);
    if (hours) parts.push(`only ${hours}`);
    if (condition) parts.push(`only if ${condition}`);
    if (field(step, "on_failure").value === "stop") parts.push("ends the journey if it fails");
    const isOn = field(step, "is_active").checked;
    if (!isOn) parts.push("switched off");
    step.classList.toggle("j-off", !isOn);
    step.querySelector("[data-title]").textContent = nameOf(step);
    step.querySelector("[data-summary]").textContent = parts.join(" · ");
    step.querySelector("[data-icon]").textContent = icons[action.value] || "bolt";
    showLanes(step);
  };
  const open = (step, isOpen) => {
    step.classList.toggle("j-open", isOpen);
    step.querySelector("[data-toggle]").setAttribute("aria-expanded", String(isOpen));
  };
  const showPlaces = (step) => {
    const choice = step.querySelector("[data-place]");
    const options = places(form, step);
    choice.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
    choice.value = laneOf(step) ? indexOf(laneOf(step)) : "";
    choice.closest("[data-place-field]").hidden = options.length < 2;
  };
  const buildStep = (step) => {
    const slot = step.querySelector("[data-config]");
    const templateOf = (kind) => document.querySelector(`template[data-action="${kind}"]`);
    const action = field(step, "action_type");
    followChoice(action, slot, templateOf, indexOf(step));
    action.addEventListener("change", () => followKind(step));
    step.addEventListener("input", () => summarise(step));
    step.addEventListener("change", () => summarise(step));
    const place = step.querySelector("[data-place]");
    place.addEventListener("focus", () => showPlaces(step));
    place.addEventListener("change", () => putInto(step, place.value));
    step.classList.toggle("j-deleted", isDeleted(step));
    const more = step.querySelector("[data-more]");
    more.open = Boolean(isSaid(step) || more.querySelector(".j-error"));
    open(step, step.classList.contains("j-open"));
    sortable(lanesOf(step), "lanes");
    summarise(step);
  };

  /* --- The lanes of a step */

  const wentWithAction = new Set();
  const lanesOf = (step) => step.querySelector("[data-lanes]");
  const showLanes = (step) => {
    const kind = kinds[field(step, "action_type").value];
    const section = step.querySelector("[data-lanes-of]");
    section.hidden = !kind;
    if (!kind) return;
    const { has, names } = kind;
    section.classList.toggle("j-named-lanes", names.length > 0);
    const lanes = alive(lanesOf(step));
    const weights = lanes.map((lane) => Number(field(lane, "weight").value || 1));
    const sum = weights.reduce((one, other) => one + other, 0);
    lanes.forEach((lane, at) => {
      field(lane, "name").readOnly = names.length > 0;
      for (const part of ["weight", "condition"]) {
        lane.querySelector(`[data-has="${part}"]`).hidden = part !== has;
      }
      const share = sum ? `${Math.round((weights[at] / sum) * 1000) / 10} % of people` : "";
      const isElse = at === lanes.length - 1 && !words(lane.querySelector("[data-condition]"));
      const note = { weight: share, condition: isElse ? "Everybody else" : "" }[has] ?? "";
      lane.querySelector("[data-share]").textContent = note;
    });
  };
  /* Another action: lanes that it has no use for go, and come back with the action that had them. */
  const followKind = (step) => {
    const kind = kinds[field(step, "action_type").value];
    const list = lanesOf(step);
    if (kind) [...list.children].filter((lane) => wentWithAction.delete(lane)).forEach((lane) => remove(lane, false));
    const names = kind?.names ?? [];
    const useless = kind && !names.length ? [] : alive(list).slice(names.length);
    useless.forEach((lane) => { remove(lane, true); wentWithAction.add(lane); });
    const wanted = names.length ? names : !kind || list.children.length ? [] : kind.has === "weight" ? ["A", "B"] : ["If", "Else"];
    wanted.forEach((name, at) => { field(alive(list)[at] ?? addLane(step, name), "name").value = name; });
    showLanes(step);
    renumber();
  };
  const buildLane = (lane) => {
    lane.classList.toggle("j-deleted", isDeleted(lane));
    sortable(lane.querySelector("[data-steps]"), "steps");
  };
  const addLane = (step, name) => {
    const lane = grown("new-lane", "lanes", lanesOf(step));
    field(lane, "name").value = name;
    buildLane(lane);
    return lane;
  };

  /* --- All of them */

  const renumber = () => {
    window.journeyFlow.renumber(form);
    form.querySelector("[data-no-steps]").hidden = list.children.length > 0;
    all("[data-step]").forEach((step) => { showLanes(step); showPlaces(step); });
  };
  const say = (text) => { said.textContent = text; renumber(); markDirty(); };
  const moveBy = (item, by) => {
    if (!move(item, by)) return;
    renumber();
    const [up, down] = isStep(item) ? ["[data-up]", "[data-down]"] : ["[data-lane-up]", "[data-lane-down]"];
    const button = item.querySelector(by < 0 ? up : down);
    const other = item.querySelector(isStep(item) ? "[data-toggle]" : by < 0 ? down : up);
    (button.disabled ? other : button).focus();
    const place = isStep(item) ? `step ${item.querySelector("[data-number]").textContent} ${whereIs(item)}` : "moved";
    say(`${nameOf(item)} is now ${place}`.trim() + ".");
  };
  const putInto = (step, index) => {
    const [, text, target] = places(form, step).find(([value]) => value === index);
    target.append(step);
    step.querySelector("[data-place]").focus();
    step.scrollIntoView({ block: "nearest" });
    say(`${nameOf(step)} now stands in: ${text}.`);
  };
  const removeOne = (item, isGone) => {
    remove(item, isGone);
    if (isStep(item)) open(item, false);
    const [undo, other] = isStep(item) ? ["[data-undo]", "[data-toggle]"] : ["[data-lane-undo]", "[data-lane-delete]"];
    item.querySelector(isGone ? undo : other).focus();
    say(isGone ? `${nameOf(item)} will be deleted when you save.` : `${nameOf(item)} is back.`);
  };
  const grown = (template, prefix, target) => {
    const total = form.querySelector(`#id_${prefix}-TOTAL_FORMS`);
    target.append(grow(document.getElementById(template), Number(total.value)));
    total.value = Number(total.value) + 1;
    const item = target.lastElementChild;
    prepare(item);
    return item;
  };
  const addStep = (target) => {
    const step = grown("new-step", "steps", target);
    buildStep(step);
    renumber();
    field(step, "name").focus();
    step.scrollIntoView({ block: "nearest" });
    markDirty();
  };
  const sortable = (target, group) => {
    if (!form.querySelector("[data-add-step]")) return;
    window.Sortable.create(target, {
      group, handle: group === "steps" ? "[data-handle]" : "[data-lane-handle]", animation: 150, ghostClass: "j-ghost",
      fallbackOnBody: true, swapThreshold: 0.65, onEnd: () => { renumber(); markDirty(); },
    });
  };

  form.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    const step = event.target.closest("[data-step]");
    const lane = event.target.closest("[data-lane]");
    if (!button) return;
    const has = (name) => name in button.dataset;
    if (has("addStep")) addStep(lane ? lane.querySelector("[data-steps]") : list);
    else if (has("addLane")) {
      const added = addLane(step, "");
      renumber();
      field(added, "name").focus();
      markDirty();
    }
    else if (has("toggle")) open(step, !step.classList.contains("j-open"));
    else if (has("up")) moveBy(step, -1);
    else if (has("down")) moveBy(step, 1);
    else if (has("delete")) removeOne(step, true);
    else if (has("undo")) removeOne(step, false);
    else if (has("laneUp")) moveBy(lane, -1);
    else if (has("laneDown")) moveBy(lane, 1);
    else if (has("laneDelete")) removeOne(lane, true);
    else if (has("laneUndo")) removeOne(lane, false);
  });

  /* --- The trigger */

  const trigger = form.querySelector("[data-trigger]");
  const triggerType = trigger.querySelector("[name=trigger_type]");
  const triggerTemplate = (kind) => document.querySelector(`template[data-trigger-kind="${kind}"]`);
  const explain = () => {
    trigger.querySelector("[data-kind-help]").textContent = triggerTemplate(triggerType.value)?.dataset.help ?? "";
  };
  followChoice(triggerType, trigger.querySelector("[data-config]"), triggerTemplate, "");
  triggerType.addEventListener("change", explain);

  /* --- Nothing that was entered gets lost by leaving */

  let isDirty = false;
  const markDirty = () => { isDirty = true; };
  form.addEventListener("input", markDirty);
  form.addEventListener("change", markDirty);
  form.addEventListener("submit", () => { isDirty = false; });
  window.addEventListener("beforeunload", (event) => { if (isDirty) event.preventDefault(); });

  prepare(form);
  explain();
  sortable(list, "steps");
  all("[data-lane]").forEach(buildLane);
  all("[data-step]").forEach(buildStep);
  renumber();
  document.querySelector("[data-alert]")?.focus();
  form.dataset.ready = "";
})();
