/* The template's preview follows what is typed: the form is posted into a sandboxed frame after a short pause. */
(() => {
  "use strict";

  const preview = document.querySelector("[data-preview]");
  if (!preview) return;
  const button = preview.querySelector("[data-render]");
  const form = button.form;
  let timer;
  const render = () => form.requestSubmit(button);
  const soon = () => { clearTimeout(timer); timer = setTimeout(render, 400); };
  form.addEventListener("input", soon);
  form.addEventListener("change", soon);
  render();
})();
