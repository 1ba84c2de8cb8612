/* The journey page: who enters, and when they leave. Fields that only go with a choice come with it. */
(() => {
  "use strict";

  const section = document.querySelector("[data-rules]");
  if (!section) return;
  const reentry = section.querySelector("[name=reentry]");
  const show = () => {
    section.querySelector("[data-reentry-days]").hidden = reentry.value !== "after_days";
  };
  reentry.addEventListener("change", show);
  show();
})();
