// The gallery: one feature for all clips, and two clips side by side. Every drawing stands in its clip's list of all
// features, in the page itself; this only shows copies of them elsewhere.
const gallery = document.getElementById("gallery");
if (gallery) {
  const clips = [...gallery.querySelectorAll(".gallery-clip")];
  const entry = (clip, feature) => clip.querySelector(`[data-feature="${feature}"]`);
  const copied = (clip, feature) => entry(clip, feature).querySelector(".drawn").cloneNode(true);

  const shown = document.getElementById("gallery-feature");
  document.getElementById("gallery-tools").hidden = false;
  shown.addEventListener("change", () => {
    for (const clip of clips) clip.querySelector("[data-shown]")?.replaceChildren(copied(clip, shown.value));
  });

  const pair = document.getElementById("gallery-pair");
  if (pair) {
    const sides = [...pair.querySelectorAll("select")], players = [...pair.querySelectorAll(".pair-player")];
    const rows = pair.querySelector(".pair-rows");
    pair.hidden = false;
    const drawPair = () => {
      const chosen = sides.map((side) => clips[+side.value]);
      players.forEach((box, place) => box.replaceChildren(chosen[place].querySelector("audio, .no-audio").cloneNode(true)));
      rows.replaceChildren(...[...chosen[0].querySelectorAll("[data-feature]")].map((one) => {
        const row = document.createElement("li"), name = one.querySelector(":scope > span:last-child").cloneNode(true);
        row.append(name, ...chosen.map((clip) => copied(clip, one.dataset.feature)));
        return row;
      }));
    };
    sides.forEach((side) => side.addEventListener("change", drawPair));
    // The drawings are copied when they come near the window: a reader who never looks pays nothing.
    new IntersectionObserver((seen, watch) => {
      if (seen.some((one) => one.isIntersecting)) { watch.disconnect(); drawPair(); }
    }, { rootMargin: "600px" }).observe(pair);
  }
}
