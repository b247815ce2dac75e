"use strict";
for (const form of document.querySelectorAll("form.filter")) {
  form.hidden = false;
  const rows = [...document.querySelectorAll("table.matrix tbody tr")];
  const [text, only] = form.querySelectorAll("input");
  const status = form.querySelector("[role=status]");
  const apply = () => {
    const wanted = text.value.toLowerCase();
    for (const row of rows) {
      const matches = row.cells[0].textContent.toLowerCase().includes(wanted);
      row.hidden = !matches || (only.checked && !row.querySelector(".allowed, .through"));
    }
    status.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows shown`;
  };
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  apply();
}
