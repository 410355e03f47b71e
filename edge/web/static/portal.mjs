// On every page; each works without it. The server writes times on the clock of this browser, once it is told.

import { forgetAll } from "./unsent.mjs";

const root = document.documentElement;
const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
if (timeZone && root.dataset.zoneCookie) {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${root.dataset.zoneCookie}=${timeZone}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
}

document.querySelector("form.who")?.addEventListener("submit", forgetAll);
