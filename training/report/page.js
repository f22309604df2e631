"use strict";
// Tables sort by a click on a column's name. Without scripts they stay as they are, and nothing else is missing.
const keyOf = (row, column) => {
  const cell = row.cells[column];
  const text = (cell.dataset.sort ?? cell.textContent).trim();
  return text !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
};
const compare = (a, b) => {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
};
const sortBy = (table, heads, column) => {
  const descending = heads[column].getAttribute("aria-sort") === "ascending";
  heads.forEach((head) => head.removeAttribute("aria-sort"));
  heads[column].setAttribute("aria-sort", descending ? "descending" : "ascending");
  const rows = [...table.tBodies[0].rows].map((row) => [keyOf(row, column), row]);
  const known = rows.filter(([key]) => key !== "").sort(([a], [b]) => (descending ? compare(b, a) : compare(a, b)));
  const unknown = rows.filter(([key]) => key === ""); // last, whichever way
  table.tBodies[0].append(...[...known, ...unknown].map(([, row]) => row));
};
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent.trim();
    button.addEventListener("click", () => sortBy(table, heads, column));
    head.replaceChildren(button);
  });
}
