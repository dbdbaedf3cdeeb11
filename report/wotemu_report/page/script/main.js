// Marks the section in sight in the navigation, and starts the drawing.

let watch = null;
function follow() {
  watch?.disconnect();
  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
  watch = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        links.get(target.id)?.classList.toggle("here", isIntersecting);
      }
    },
    { rootMargin: "-64px 0px -70% 0px" },
  );
  for (const section of document.querySelectorAll("section")) watch.observe(section);
}

// On a narrow screen the sections are behind a button.
document.addEventListener("click", (event) => {
  const menu = document.getElementById("menu");
  if (!menu) return;
  const opens = event.target === menu && menu.getAttribute("aria-expanded") === "false";
  menu.setAttribute("aria-expanded", String(opens));
});

window.addEventListener("beforeprint", () => {
  for (const log of document.querySelectorAll("#logs details")) log.open = true;
});
for (const end of document.querySelectorAll("details[open] pre")) end.scrollTop = end.scrollHeight;
follow();
openTarget();
const drawn = drawAll();
