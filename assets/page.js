/* What the page does in the browser: the address bar, the keyboard, playing clips, copying links.
 *
 * The server decides what is shown; this file only asks for it (`send.apply`, `send.why`) and follows
 * the link that comes back. Everything listens on the document, so cards may be drawn anew freely.
 */
(() => {
  "use strict";
  const REPLACE_AFTER_MS = 250; // browsers refuse more than about 100 address changes in 30 s
  const ASK_AGAIN_MS = 700; // while the text encoder is loading
  const TYPING = "input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable=true]";
  const QUERY = ":is(#query, #results-filter) :is(textarea, input)"; // whichever the page has
  const PRESSABLE = "a, button, video, audio, summary, input, [role=button], [role=tab], [role=option]";
  let send = null; // set by the bridge component
  let asking = 0; // timer of a query that waits for the text encoder
  let turn = 0; // number of the last link that was asked for
  let settled = 0; // number of the last one that was answered
  let shown = null; // { answer, link } of what the page shows or waits for
  const answered = new Map(); // answer -> link, of the last answers
  const REMEMBERED = 50;
  let replacing = 0; // timer of a pending replaceState
  let askedFrom = null; // what had the focus when "Why?" was asked

  // ---- the address bar ---------------------------------------------------------------------------

  /** Path and search string, with Gradio's own parameters (?__theme=dark) kept. */
  function withOwnParameters(link) {
    const wanted = new URLSearchParams(link);
    for (const [key, value] of new URLSearchParams(location.search)) {
      if (key.startsWith("__")) wanted.set(key, value);
    }
    const text = wanted.toString();
    return location.pathname + (text && "?" + text); // the base of a bare "?" is the first page
  }

  function same(one, other) {
    const sorted = (text) => [...new URLSearchParams(text)].map(String).sort().join("&");
    return sorted(one) === sorted(other);
  }

  /** Ask for a link; one that is asked for again keeps its number. */
  function ask(search, history, number = ++turn) {
    clearTimeout(asking);
    send.apply({ search, history, turn: number, after: shown?.answer });
  }

  /**
   * The link that the page should show after an answer, which is the answer's own if nothing came between.
   *
   * Events are answered side by side. One that was asked for before something else was shown knows nothing
   * of that; what it changed is then carried over. Of two links the one asked for last holds.
   */
  function settle(value, link) {
    const { answer, after } = value;
    let wanted = link;
    if (shown && value.turn < settled) wanted = shown.link;
    else if (shown && after !== shown.answer && answered.has(after)) wanted = carried(answered.get(after), link);
    if (same(wanted, link)) {
      shown = { answer, link };
      settled = Math.max(settled, value.turn || 0);
      wanted = link;
    }
    answered.set(answer, link);
    if (answered.size > REMEMBERED) answered.delete(answered.keys().next().value);
    return wanted;
  }

  /** What is shown, with the changes that lead from one link to another. */
  function carried(from, to) {
    const [before, now, target] = [from, to, shown.link].map((link) => new URLSearchParams(link));
    for (const name of new Set([...before.keys(), ...now.keys()])) {
      if (before.get(name) === now.get(name)) continue;
      if (now.has(name)) target.set(name, now.get(name));
      else target.delete(name);
    }
    return "?" + target;
  }

  /** Put the view that the server answered with into the address bar. */
  function follow(value) {
    clearTimeout(asking);
    if (!value) return;
    if (value.again || value.answer) {
      const wanted = settle(value, value.again || value.link);
      showMenu(wanted);
      if (wanted !== (value.again || value.link)) return ask(wanted, value.history || "replace");
    }
    if (value.again) {
      asking = setTimeout(() => ask(value.again, value.history, turn), ASK_AGAIN_MS);
      return;
    }
    if (!value.link) return;
    if (value.title) document.title = value.title + " · Hublens";
    const link = withOwnParameters(value.link);
    clearTimeout(replacing);
    if (value.history === "push" && !same(link.replace(/^[^?]*/, ""), location.search)) {
      history.pushState({}, "", link);
    } else if (value.history) {
      replacing = setTimeout(() => {
        history.replaceState({}, "", link);
        showLink();
      }, REPLACE_AFTER_MS);
    }
    showWhy(value.why);
    requestAnimationFrame(showLink);
    window.hublens.answers += 1;
  }

  /** Put a view of another page, such as Results, into the address bar. */
  function keep(link) {
    clearTimeout(replacing);
    replacing = setTimeout(() => history.replaceState({}, "", withOwnParameters(link)), REPLACE_AFTER_MS);
  }

  /** Write the page's address into the field beside "Copy link". */
  function showLink() {
    for (const field of document.querySelectorAll(".hl-link")) field.value = location.href;
  }

  /** Open a link of ours without loading the page anew; settings in use are carried along. */
  function openLink(href) {
    clearTimeout(asking);
    const wanted = new URL(href, document.baseURI).searchParams;
    const now = new URLSearchParams(location.search);
    const moved = wanted.has("gallery") && now.has("gallery") && wanted.get("gallery") !== now.get("gallery");
    const target = moved ? new URLSearchParams() : now;
    for (const name of ["q", "query_id", "tab"]) target.delete(name);
    for (const [name, value] of wanted) target.set(name, value);
    ask("?" + target, "push");
  }

  /** Let a visitor's own clip join what the page shows; "" lets it leave. */
  function join(clip) {
    const wanted = new URLSearchParams(location.search);
    if (clip) wanted.set("clip", clip);
    else wanted.delete("clip");
    ask("?" + wanted, "push");
  }

  // ---- the menu of models ------------------------------------------------------------------------

  const menu = () => document.querySelector("[data-menu]");

  /** Let the menu say whose ranking the page shows, or waits for. */
  function showMenu(link) {
    if (!menu()) return;
    menu().disabled = false;
    if (link) menu().value = new URLSearchParams(link).get("gallery") || menu().options[0].value;
  }

  document.addEventListener("change", ({ target }) => {
    if (!target.matches("[data-menu]")) return;
    // Another model answers the same query under the same settings; another gallery has its own.
    const wanted = new URLSearchParams("keeps" in target.dataset ? location.search : "");
    wanted.delete("bank");
    wanted.set("gallery", target.value);
    ask("?" + wanted, "push");
  });

  addEventListener("popstate", () => send && ask(location.search, ""));

  async function copyLink(button) {
    const field = button.parentElement.querySelector(".hl-link");
    field.value = location.href;
    field.select();
    let copied = true;
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      copied = document.execCommand("copy"); // inside a frame the clipboard may be closed
    }
    button.textContent = copied ? "Copied" : "Press Ctrl+C";
    setTimeout(() => (button.textContent = "Copy link"), 2000);
  }

  // ---- clips -------------------------------------------------------------------------------------

  /** Replace the poster by a player: no byte of a clip is fetched before this. */
  function play(button) {
    const still = button.querySelector("img");
    const video = document.createElement("video");
    Object.assign(video, { controls: true, muted: true, playsInline: true, preload: "none" });
    video.setAttribute("muted", "");
    video.setAttribute("playsinline", "");
    video.setAttribute("aria-label", button.getAttribute("aria-label").replace("Play", "Clip"));
    if (still) video.poster = still.src;
    video.src = button.dataset.clip;
    button.replaceWith(video);
    video.focus({ preventScroll: true });
    video.play().catch(() => {}); // a clip that cannot play says so through its error event
  }

  document.addEventListener(
    "play",
    (event) => {
      for (const other of document.querySelectorAll("video, audio")) {
        if (other !== event.target) other.pause();
      }
    },
    true,
  );

  document.addEventListener(
    "error",
    (event) => {
      if (!event.target.matches?.(".hl-still video, .hl-card audio")) return;
      const words = document.createElement("p");
      words.className = "hl-broken";
      words.textContent = `This browser cannot play this ${event.target.matches("audio") ? "sound" : "clip"}.`;
      event.target.replaceWith(words);
    },
    true,
  );

  // ---- cards -------------------------------------------------------------------------------------

  const cards = () => [...document.querySelectorAll("#results .hl-card")].filter((card) => card.offsetParent);

  function move(step) {
    const all = cards();
    if (!all.length) return;
    const now = all.indexOf(document.activeElement?.closest?.(".hl-card"));
    const next = now < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(Math.max(now + step, 0), all.length - 1);
    all[next].focus();
    all[next].scrollIntoView({ block: "nearest" });
  }

  function askWhy(id) {
    document.getElementById("why")?.classList.remove("hl-closed");
    askedFrom = document.activeElement;
    send.why({ id });
  }

  function showWhy(id) {
    for (const button of document.querySelectorAll("[data-why]")) {
      button.setAttribute("aria-expanded", String(Boolean(id) && button.dataset.why === id));
    }
    if (id && askedFrom) {
      // The answer arrives in the same batch of updates as this; it is drawn by the next frame.
      setTimeout(() => document.querySelector("#why .hl-panel")?.focus({ preventScroll: true }), 50);
    }
  }

  function closeWhy() {
    document.getElementById("why")?.classList.add("hl-closed");
    showWhy("");
    if (askedFrom?.isConnected) askedFrom.focus({ preventScroll: true });
    askedFrom = null;
  }

  /** Mark the same video in the other column. */
  function markTwins(card) {
    for (const other of document.querySelectorAll("#results .hl-card")) {
      other.classList.toggle("hl-twin", Boolean(card) && other !== card && other.dataset.id === card.dataset.id);
    }
  }

  for (const kind of ["mouseover", "focusin"]) {
    document.addEventListener(kind, (event) => markTwins(event.target.closest?.("#results .hl-card")));
  }

  // ---- pointer and keyboard ----------------------------------------------------------------------

  document.addEventListener("click", (event) => {
    if (event.target.tagName === "DIALOG") return event.target.close(); // its backdrop
    const target = event.target.closest?.("[data-clip], [data-why], [data-copy], [data-help], [data-close], a[data-open]");
    if (!target) return;
    if (target.matches("a[data-open]")) {
      const plain = !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || event.button);
      if (!plain || !send) return; // a new tab, or no connection yet: an ordinary link
      event.preventDefault();
      openLink(target.getAttribute("href"));
    } else if (target.dataset.clip) play(target);
    else if (target.dataset.why) askWhy(target.dataset.why);
    else if ("copy" in target.dataset) copyLink(target);
    else if ("help" in target.dataset) help();
    else if ("close" in target.dataset) closeWhy();
  });

  const KEYS = [
    ["/", "go to the query box"],
    ["j, k", "next, previous video"],
    ["Enter", "why is this video here?"],
    ["Space", "play or pause this clip"],
    ["[, ]", "previous, next stored query"],
    ["Esc", "close this, or the answer to why"],
    ["?", "this list"],
  ];

  function help() {
    let dialog = document.getElementById("hl-help");
    if (!dialog) {
      dialog = document.createElement("dialog");
      dialog.id = "hl-help";
      dialog.setAttribute("aria-labelledby", "hl-help-title");
      const rows = KEYS.map(([key, words]) => `<dt><kbd>${key}</kbd></dt><dd>${words}</dd>`).join("");
      dialog.innerHTML =
        `<form method="dialog"><h2 id="hl-help-title">Keys</h2><dl>${rows}</dl>` +
        '<p>Keys do nothing while you type.</p><button class="hl-button">Close</button></form>';
      document.body.append(dialog);
    }
    dialog.showModal();
  }

  function step(direction) {
    document.querySelector(`#results [data-step="${direction}"]`)?.click();
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const typing = event.target.closest?.(TYPING);
    if (event.key === "Escape" && !typing) return closeWhy();
    if (typing || document.querySelector("dialog[open]")) return;
    const card = event.target.closest?.(".hl-card");
    const pressable = event.target.closest?.(PRESSABLE);
    const actions = {
      "/": () => document.querySelector(QUERY)?.focus(),
      j: () => move(1),
      k: () => move(-1),
      "[": () => step(-1),
      "]": () => step(1),
      "?": help,
    };
    if (card && !pressable) {
      actions.Enter = () => askWhy(card.dataset.id);
      actions[" "] = () => {
        const player = card.querySelector("video, audio");
        if (player) player.paused ? player.play() : player.pause();
        else card.querySelector("[data-clip]")?.click();
      };
    }
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });

  window.hublens = { connect: (trigger) => (send = trigger), follow, keep, join, open: openLink, answers: 0 };
})();
