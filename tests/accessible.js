// What tests/accessible.py runs in the page; returns what is wrong, one line each.
const found = [];
const say = (rule, element) => found.push(`${rule}: ${element.outerHTML.slice(0, 120)}`);
const dialog = document.querySelector("dialog[open]");
const scope = dialog || document.body;
const all = [...scope.querySelectorAll("*")];
const seen = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true });

if (!document.documentElement.lang) say("language", document.documentElement);
if (!document.title.trim()) say("title", document.head);
const headings = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].filter((each) => seen(each) && !each.closest("dialog"));
if (headings.filter((each) => each.tagName === "H1").length !== 1) say("one h1", document.body);
headings.reduce((before, each) => {
  const level = Number(each.tagName[1]);
  if (level > before + 1) say(`heading after h${before}`, each);
  return level;
}, 0);

const ids = [...document.querySelectorAll("[id]")].map((each) => each.id);
for (const id of new Set(ids)) if (ids.indexOf(id) !== ids.lastIndexOf(id)) say("id twice", document.getElementById(id));
for (const name of ["aria-labelledby", "aria-describedby", "aria-controls", "for"])
  for (const each of document.querySelectorAll(`[${name}]`))
    for (const id of each.getAttribute(name).split(/\s+/)) if (!document.getElementById(id)) say(name, each);

for (const each of all) {
  if (each.tagName === "IMG" && seen(each) && !each.hasAttribute("alt")) say("alt", each);
  if (["UL", "OL"].includes(each.tagName) && [...each.children].some((child) => child.tagName !== "LI")) say("list", each);
  if (each.tagName === "DL" && [...each.children].some((child) => !["DT", "DD", "DIV"].includes(child.tagName))) say("list", each);
  if (each.tagName === "TH" && !each.textContent.trim()) say("empty header", each);
  const style = getComputedStyle(each);
  const scrolls = [["overflowX", "scrollWidth", "clientWidth"], ["overflowY", "scrollHeight", "clientHeight"]]
    .some(([way, size, room]) => ["auto", "scroll"].includes(style[way]) && each[size] > each[room] + 1);
  if (scrolls && seen(each) && each.tabIndex < 0 && !each.querySelector("a[href], button, input, select, textarea, summary, [tabindex]"))
    say("scrolls without the keyboard", each);
}

function colour(text) {
  const srgb = text.match(/^color\(srgb ([\d.e-]+) ([\d.e-]+) ([\d.e-]+)(?: \/ ([\d.e-]+))?\)/);
  if (srgb) return [...srgb.slice(1, 4).map((part) => 255 * part), srgb[4] === undefined ? 1 : Number(srgb[4])];
  const parts = text.match(/[\d.]+/g).map(Number);
  return [...parts.slice(0, 3), parts[3] ?? 1];
}
const over = ([r, g, b, a], under) => [r, g, b].map((part, which) => part * a + under[which] * (1 - a));
function ground(element) {
  const layers = [];
  for (let each = element; each; each = each.parentElement) {
    const layer = colour(getComputedStyle(each).backgroundColor);
    if (layer[3]) layers.push(layer);
    if (layer[3] === 1) break;
  }
  return layers.reverse().reduce((under, layer) => over(layer, under), [255, 255, 255]);
}
const light = (parts) => {
  const [r, g, b] = parts.map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const walker = document.createTreeWalker(scope, NodeFilter.SHOW_TEXT);
let texts = 0;
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || !seen(element) || element.closest(":disabled, script, style, option")) continue;
  texts += 1;
  const style = getComputedStyle(element);
  const under = ground(element);
  const ink = element instanceof SVGElement ? style.fill : style.color;
  const [one, other] = [light(over(colour(ink), under)), light(under)].sort((a, b) => b - a);
  const ratio = (one + 0.05) / (other + 0.05);
  if (ratio < 4.5) say(`contrast ${ratio.toFixed(2)}`, element);
  if (!dialog && !element.closest("header, main, nav, aside, footer, dialog, [role=region]")) say("outside a landmark", element);
}
if (!texts) say("no text", document.body);
return found;
