/* The segment page: how many people are meant follows what is entered, after a short pause. */
(() => {
  "use strict";

  const form = document.querySelector("[data-segment]");
  if (!form) return;
  const shown = form.querySelector("[data-size]");
  const condition = form.querySelector("[data-condition]");
  let timer;
  let asked;
  let isDirty = false;

  const say = (text, isFault = false) => {
    shown.textContent = text;
    shown.classList.toggle("j-error", isFault);
  };
  const count = async () => {
    asked?.abort();
    asked = new AbortController();
    const mine = asked;
    const body = new FormData();
    body.set("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
    for (const [name, part] of [["mode", "mode"], ["rows", "json"], ["text", "text"]]) {
      body.set(name, condition.querySelector(`[data-${part}]`).value);
    }
    say("Counting…");
    try {
      const answer = await fetch(form.dataset.sizeUrl, { method: "POST", body, signal: mine.signal });
      if (!answer.ok) return say("The server did not answer. Change something to try again.", true);
      const found = await answer.json();
      say(found.error ?? found.words, "error" in found);
    } catch {
      if (mine === asked) say("The server did not answer. Change something to try again.", true);
    }
  };
  const soon = () => { clearTimeout(timer); timer = setTimeout(count, 500); };

  window.journeyConditions.build(condition);
  condition.addEventListener("input", soon);
  condition.addEventListener("change", soon);
  form.addEventListener("input", () => { isDirty = true; });
  form.addEventListener("change", () => { isDirty = true; });
  form.addEventListener("submit", () => { isDirty = false; });
  window.addEventListener("beforeunload", (event) => { if (isDirty) event.preventDefault(); });
  count();
  form.dataset.ready = "";
})();
