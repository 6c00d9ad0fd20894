// The first screen: cells that open the error browser, a command to copy.
document.getElementById("small-matrix")?.addEventListener("click", (event) => {
  const cell = event.target.closest("td[data-open]");
  if (!cell) return;
  document.dispatchEvent(new CustomEvent("open-errors", { detail: cell.dataset.open.split(" ").map(Number) }));
  document.getElementById("errors").scrollIntoView();
});

const copy = document.getElementById("copy"), command = document.getElementById("next-command");
if (copy) {
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    getSelection().selectAllChildren(command); // where a page may not copy, the keyboard copies the selection
    try { await navigator.clipboard.writeText(command.textContent); } catch { return; }
    copy.textContent = "Copied";
  });
}

// If the page was passed on without the clips' files, it says where it looks for them.
document.addEventListener("error", (event) => {
  const player = event.target, source = player.tagName === "AUDIO" && player.getAttribute("src");
  if (!source || source.startsWith("data:") || player.nextElementSibling?.className === "no-audio") return;
  const note = document.createElement("small");
  note.className = "no-audio";
  note.setAttribute("role", "status");
  note.textContent = `no file ${decodeURI(source)}: relative to this page, it existed where the page was made`;
  player.after(note);
}, true);
