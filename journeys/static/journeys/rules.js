/* The journey page: who enters, and when they leave. Fields that only go with something else come with it. */
(() => {
  "use strict";

  const section = document.querySelector("[data-rules]");
  if (!section) return;
  const reentry = section.querySelector("[name=reentry]");
  const goal = section.querySelector("[name=goal_event]");
  const exits = section.querySelector("[data-exits]");
  const total = document.getElementById("id_exits-TOTAL_FORMS");

  const show = () => {
    section.querySelector("[data-reentry-days]").hidden = reentry.value !== "after_days";
    section.querySelectorAll("[data-of-goal]").forEach((part) => { part.hidden = !goal.value.trim(); });
  };
  const isGone = (exit) => exit.querySelector("[name$=-DELETE]").checked;
  const add = () => {
    const holder = document.createElement("template");
    holder.innerHTML = document.getElementById("new-exit").innerHTML.replaceAll("__prefix__", total.value);
    total.value = Number(total.value) + 1;
    exits.append(holder.content);
    const exit = exits.lastElementChild;
    exit.querySelectorAll("[data-condition]").forEach(window.journeyConditions.build);
    exit.querySelector("input").focus();
  };
  const remove = (exit) => {
    exit.querySelector("[name$=-DELETE]").checked = true;
    exit.hidden = true;
    exit.dispatchEvent(new Event("change", { bubbles: true }));
    section.querySelector("[data-add-exit]").focus();
  };

  reentry.addEventListener("change", show);
  goal.addEventListener("input", show);
  section.addEventListener("click", (event) => {
    if (event.target.closest("[data-add-exit]")) add();
    const button = event.target.closest("[data-remove-exit]");
    if (button) remove(button.closest("[data-exit]"));
  });
  section.querySelectorAll("[data-exit]").forEach((exit) => { exit.hidden = isGone(exit); });
  show();
})();
