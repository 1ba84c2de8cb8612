/* The journey page: steps that are added, dragged, moved by keyboard and deleted; fields that follow a choice. */
(() => {
  "use strict";

  const form = document.querySelector("[data-builder]");
  if (!form) return;
  const { build: buildCondition, words } = window.journeyConditions;
  const icons = JSON.parse(document.getElementById("icons").textContent);
  const list = form.querySelector("[data-steps]");
  const total = form.querySelector("#id_steps-TOTAL_FORMS");
  const said = form.querySelector("[data-said]");
  const steps = () => [...list.children];
  const field = (step, name) => step.querySelector(`[name$="-${name}"]`);
  const isDeleted = (step) => field(step, "DELETE").checked;
  const nameOf = (step) => field(step, "name").value || "New step";

  const grow = (template, index) => {
    const holder = document.createElement("template");
    holder.innerHTML = template.innerHTML.replaceAll("__prefix__", index);
    return holder.content;
  };
  const prepare = (root) => {
    root.querySelectorAll("[data-condition]").forEach(buildCondition);
    root.querySelectorAll("[data-pairs]").forEach(buildPairs);
  };
  const buildPairs = (root) => {
    root.addEventListener("click", (event) => {
      if (event.target.closest("[data-add-pair]")) {
        const fresh = root.querySelector("template").content.cloneNode(true);
        const button = root.querySelector("[data-add-pair]");
        button.before(fresh);
        button.previousElementSibling.querySelector("input").focus();
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
    return number > 0 ? `after ${number} ${number === 1 ? unit.replace(/s$/, "") : unit}` : "at once";
  };
  const summarise = (step) => {
    const action = field(step, "action_type");
    const condition = words(step.querySelector("[data-condition]"));
    const parts = [action.value ? action.selectedOptions[0].text : "no action chosen", delayInWords(step)];
    if (condition) parts.push(`only if ${condition}`);
    if (field(step, "on_failure").value === "stop") parts.push("ends the journey if it fails");
    const isOn = field(step, "is_active").checked;
    if (!isOn) parts.push("switched off");
    step.classList.toggle("j-off", !isOn);
    step.querySelector("[data-title]").textContent = nameOf(step);
    step.querySelector("[data-summary]").textContent = parts.join(" · ");
    step.querySelector("[data-icon]").textContent = icons[action.value] || "bolt";
  };
  const open = (step, isOpen) => {
    step.classList.toggle("j-open", isOpen);
    step.querySelector("[data-toggle]").setAttribute("aria-expanded", String(isOpen));
  };
  const indexOf = (step) => field(step, "order").name.match(/-(\d+)-order$/)[1];
  const buildStep = (step) => {
    const slot = step.querySelector("[data-config]");
    const templateOf = (kind) => document.querySelector(`template[data-action="${kind}"]`);
    followChoice(field(step, "action_type"), slot, templateOf, indexOf(step));
    prepare(step);
    step.addEventListener("input", () => summarise(step));
    step.addEventListener("change", () => summarise(step));
    step.classList.toggle("j-deleted", isDeleted(step));
    open(step, step.classList.contains("j-open"));
    summarise(step);
  };

  /* --- All steps */

  const renumber = () => {
    let number = 0;
    const alive = steps().filter((step) => !isDeleted(step));
    steps().forEach((step, at) => {
      field(step, "order").value = at;
      step.querySelector("[data-number]").textContent = isDeleted(step) ? "" : ++number;
    });
    alive.forEach((step, at) => {
      const up = step.querySelector("[data-up]");
      if (!up) return;
      up.disabled = at === 0;
      step.querySelector("[data-down]").disabled = at === alive.length - 1;
    });
    form.querySelector("[data-no-steps]").hidden = steps().length > 0;
  };
  const move = (step, by) => {
    const alive = steps().filter((each) => !isDeleted(each));
    const other = alive[alive.indexOf(step) + by];
    if (!other) return;
    if (by < 0) other.before(step); else other.after(step);
    renumber();
    const button = step.querySelector(by < 0 ? "[data-up]" : "[data-down]");
    (button.disabled ? step.querySelector("[data-toggle]") : button).focus();
    said.textContent = `${nameOf(step)} is now step ${step.querySelector("[data-number]").textContent}.`;
    markDirty();
  };
  const remove = (step, isGone) => {
    field(step, "DELETE").checked = isGone;
    step.classList.toggle("j-deleted", isGone);
    open(step, false);
    renumber();
    step.querySelector(isGone ? "[data-undo]" : "[data-toggle]").focus();
    said.textContent = isGone ? `${nameOf(step)} will be deleted when you save.` : `${nameOf(step)} is back.`;
    markDirty();
  };
  const add = () => {
    const index = Number(total.value);
    list.append(grow(document.getElementById("new-step"), index));
    total.value = index + 1;
    const step = list.lastElementChild;
    buildStep(step);
    renumber();
    field(step, "name").focus();
    step.scrollIntoView({ block: "nearest" });
    markDirty();
  };

  list.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    const step = event.target.closest("[data-step]");
    if (!button || !step) return;
    if ("toggle" in button.dataset) open(step, !step.classList.contains("j-open"));
    else if ("up" in button.dataset) move(step, -1);
    else if ("down" in button.dataset) move(step, 1);
    else if ("delete" in button.dataset) remove(step, true);
    else if ("undo" in button.dataset) remove(step, false);
  });
  form.querySelector("[data-add-step]")?.addEventListener("click", add);
  if (list.querySelector("[data-handle]") || form.querySelector("[data-add-step]")) {
    window.Sortable.create(list, {
      handle: "[data-handle]", animation: 150, ghostClass: "j-ghost",
      onEnd: () => { renumber(); markDirty(); },
    });
  }

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

  prepare(trigger);
  explain();
  steps().forEach(buildStep);
  renumber();
  document.querySelector("[data-alert]")?.focus();
  form.dataset.ready = "";
})();
