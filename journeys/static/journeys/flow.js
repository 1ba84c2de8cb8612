/* The order of steps and lanes on the journey page: two kinds of items, in lists inside each other. A step stands in
   the list of the journey or of a lane, a lane in the list of its step. */
(() => {
  "use strict";

  const field = (item, name) => item.querySelector(`[name$="-${name}"]`);
  const isDeleted = (item) => field(item, "DELETE").checked;
  const isStep = (item) => "step" in item.dataset;
  const nameOf = (item) => field(item, "name").value || (isStep(item) ? "New step" : "New lane");
  const indexOf = (item) => field(item, "order").name.match(/-(\d+)-order$/)[1];
  const alive = (list) => [...list.children].filter((item) => !isDeleted(item));
  const laneOf = (step) => step.parentElement.closest("[data-lane]");
  const stepOf = (lane) => lane.parentElement.closest("[data-step]");

  /* Write down where everything stands: an item's number in its list, and what that list belongs to. */
  const number = (list) => {
    const isLanes = "lanes" in list.dataset;
    const owner = list.closest(isLanes ? "[data-step]" : "[data-lane]");
    const there = alive(list);
    [...list.children].forEach((item, at) => {
      field(item, "order").value = at;
      field(item, isLanes ? "step" : "lane").value = owner ? indexOf(owner) : "";
      const shown = item.querySelector("[data-number]");
      if (isStep(item)) shown.textContent = isDeleted(item) ? "" : there.indexOf(item) + 1;
      const up = item.querySelector(isLanes ? "[data-lane-up]" : "[data-up]");
      if (!up) return;
      up.disabled = there[0] === item;
      item.querySelector(isLanes ? "[data-lane-down]" : "[data-down]").disabled = there.at(-1) === item;
    });
  };
  const renumber = (form) => form.querySelectorAll("[data-steps], [data-lanes]").forEach(number);

  /* Change places with the neighbour; whether there was one. */
  const move = (item, by) => {
    const there = alive(item.parentElement);
    const other = there[there.indexOf(item) + by];
    if (!other) return false;
    if (by < 0) other.before(item); else other.after(item);
    return true;
  };

  /* What is inside goes and comes back with it; what was deleted before stays so. */
  const went = new WeakMap();
  const remove = (item, isGone) => {
    if (isGone && isDeleted(item)) return;
    const boxes = [...item.querySelectorAll('[name$="-DELETE"]')];
    if (isGone) went.set(item, boxes.filter((box) => !box.checked));
    for (const box of went.get(item) ?? boxes) {
      box.checked = isGone;
      box.closest("[data-step], [data-lane]").classList.toggle("j-deleted", isGone);
    }
  };

  /* The lists that a step may stand in, in words: all but those inside itself. */
  const places = (form, step) => {
    const lanes = [...form.querySelectorAll("[data-lane]")].filter((lane) => !step.contains(lane) && !isDeleted(lane));
    const open = lanes.filter((lane) => !lane.closest("[data-lanes-of][hidden]"));
    const named = open.map((lane) => [indexOf(lane), `${nameOf(stepOf(lane))} → ${nameOf(lane)}`, lane.querySelector("[data-steps]")]);
    return [["", "The journey itself", form.querySelector("[data-steps]")], ...named];
  };
  const whereIs = (step) => {
    const lane = laneOf(step);
    return lane ? `of lane ${nameOf(lane)}` : "";
  };

  window.journeyFlow = { field, isDeleted, isStep, nameOf, indexOf, alive, laneOf, renumber, move, remove, places, whereIs };
})();
