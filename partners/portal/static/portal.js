// Photos of a form by tus: each is sent when it is chosen, survives a broken line and a closed page, and is named in the
// form by its hash. Without this script the same form sends the photos along by itself.
"use strict";
(() => {
  const PATH = "/v1/evidence/uploads";
  const FIRST_BYTES = 64 * 1024, LEAST_BYTES = 16 * 1024, MOST_BYTES = 256 * 1024, AIM_MS = 8000;
  const WAIT_MS = [500, 1000, 2000, 4000, 8000, 15000];
  const KEPT = "saxaul-upload:";
  let open = 0;

  const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
  const pause = (ms) => new Promise((go) => {
    const timer = setTimeout(go, ms);
    addEventListener("online", () => { clearTimeout(timer); go(); }, { once: true });
  });
  const store = {
    get: (key) => { try { return localStorage.getItem(key); } catch { return null; } },
    set: (key, value) => { try { localStorage.setItem(key, value); } catch { /* private mode: no resuming after a reload */ } },
    drop: (key) => { try { localStorage.removeItem(key); } catch { /* as above */ } },
  };

  class Refused extends Error {}

  async function call(pass, method, url, headers = {}, body = undefined) {
    const answer = await fetch(url, {
      method, body, cache: "no-store", credentials: "omit",
      headers: { Authorization: `Bearer ${pass}`, "Tus-Resumable": "1.0.0", ...headers },
    });
    const isTemporary = answer.status >= 500 || [409, 423, 429].includes(answer.status);
    if (!answer.ok && !isTemporary) throw new Refused(String(answer.status));
    if (!answer.ok) throw new Error(String(answer.status));
    return answer;
  }

  async function begin(pass, file, key) {
    const known = store.get(key);
    if (known) {
      try {
        const answer = await call(pass, "HEAD", known);
        return { url: known, offset: Number(answer.headers.get("Upload-Offset")) };
      } catch (problem) {
        if (!(problem instanceof Refused)) throw problem;
        store.drop(key);
      }
    }
    const answer = await call(pass, "POST", PATH, {
      "Upload-Length": String(file.size), "Upload-Metadata": `filename ${base64(file.name)}`,
    });
    const url = answer.headers.get("Location");
    store.set(key, url);
    return { url, offset: 0 };
  }

  async function outcome(pass, url, show) {
    for (;;) {
      const told = await (await call(pass, "GET", url)).json();
      if (told.state === "kept") return told.sha256;
      if (told.state === "refused") throw new Refused(told.code);
      show.checking();
      await pause(1500);
    }
  }

  async function upload(pass, file, show, isGone) {
    const key = `${KEPT}${file.name}:${file.size}:${file.lastModified}`;
    let bytes = FIRST_BYTES, tries = 0, place = null;
    for (;;) {
      if (isGone()) return null;
      try {
        place ??= await begin(pass, file, key);
        while (place.offset < file.size) {
          const begun = performance.now();
          show.sending(place.offset / file.size);
          const answer = await call(pass, "PATCH", place.url, {
            "Content-Type": "application/offset+octet-stream", "Upload-Offset": String(place.offset),
          }, file.slice(place.offset, place.offset + bytes));
          place.offset = Number(answer.headers.get("Upload-Offset"));
          tries = 0;
          const took = performance.now() - begun;
          bytes = Math.max(LEAST_BYTES, Math.min(MOST_BYTES, Math.round(bytes * AIM_MS / Math.max(took, 1) / 2)));
        }
        const sha256 = await outcome(pass, place.url, show);
        store.drop(key);
        return sha256;
      } catch (problem) {
        if (problem instanceof Refused) { store.drop(key); throw problem; }
        place = null;  // what has come is asked for again
        bytes = Math.max(LEAST_BYTES, bytes >> 1);
        show.waiting();
        await pause(WAIT_MS[Math.min(tries++, WAIT_MS.length - 1)]);
      }
    }
  }

  function line(list, file, words) {
    const item = document.createElement("li");
    const name = document.createElement("span");
    const said = document.createElement("span"), bar = document.createElement("progress");
    name.textContent = file.name;
    bar.max = 1; bar.value = 0;
    bar.setAttribute("aria-label", file.name);
    item.append(name, said, bar);
    list.append(item);
    list.hidden = false;
    const say = (text) => { if (said.textContent !== text) said.textContent = text; };
    return {
      item,
      sending: (share) => { say(words.sending); bar.value = share; },
      waiting: () => say(words.waiting),
      checking: () => { say(words.checking); bar.value = 1; },
      failed: () => { say(words.failed); said.className = "bad"; bar.remove(); },
      done: (field, sha256) => {
        const hidden = document.createElement("input"), away = document.createElement("button");
        hidden.type = "hidden"; hidden.name = field; hidden.value = `${sha256}:${file.name}`;
        away.type = "button"; away.className = "plain"; away.textContent = words.remove;
        away.setAttribute("aria-label", `${words.remove} ${file.name}`);
        away.addEventListener("click", () => item.remove());
        say(words.done); said.className = "ok"; bar.remove();
        item.append(hidden, away);
      },
    };
  }

  function enhance(box) {
    const form = box.closest("form"), words = form.dataset, list = box.querySelector(".come");
    const input = box.querySelector("input[type=file]");
    box.querySelector(".without-script").hidden = true;
    box.querySelector(".with-script").hidden = false;
    input.removeAttribute("name");  // sent by us, not by the form
    input.addEventListener("change", async () => {
      const files = [...input.files];
      input.value = "";
      for (const file of files) {
        const show = line(list, file, words);
        open += 1;
        upload(box.dataset.pass, file, show, () => !show.item.isConnected)
          .then((sha256) => { if (sha256) show.done(box.dataset.photos, sha256); }, () => show.failed())
          .finally(() => { open -= 1; form.dispatchEvent(new Event("photos")); });
      }
    });
  }

  function wait(form) {
    const button = form.querySelector(".send button"), text = button.textContent;
    let isWaiting = false;
    form.addEventListener("submit", (event) => {
      if (open > 0) {
        event.preventDefault();
        isWaiting = true;
        button.textContent = form.dataset.leave;
      } else if (form.dataset.sent) {
        event.preventDefault();  // pressed twice
      } else {
        form.dataset.sent = "1";
      }
    });
    form.addEventListener("photos", () => {
      if (open > 0 || !isWaiting) return;
      isWaiting = false;
      button.textContent = text;
      form.requestSubmit();
    });
    addEventListener("pageshow", () => { delete form.dataset.sent; });
  }

  function here(button) {
    if (!navigator.geolocation || !isSecureContext) return;
    const form = button.closest("form"), text = button.textContent;
    button.hidden = false;
    button.addEventListener("click", () => {
      navigator.geolocation.getCurrentPosition(({ coords }) => {
        form.elements.lat.value = coords.latitude.toFixed(6);
        form.elements.lon.value = coords.longitude.toFixed(6);
        button.textContent = text;
      }, () => { button.textContent = form.dataset.hereFailed; }, { enableHighAccuracy: true, timeout: 20000 });
    });
  }

  document.querySelectorAll("[data-photos]").forEach(enhance);
  document.querySelectorAll("form[data-form]").forEach(wait);
  document.querySelectorAll("[data-here]").forEach(here);
  addEventListener("beforeunload", (event) => { if (open > 0) event.preventDefault(); });
  (document.getElementById("problems") ?? document.getElementById("done"))?.focus();
})();
