// Runs before anything is drawn, so that a chosen theme does not flash.
try {
  const kept = localStorage.getItem("kbqa-theme");
  if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
} catch {
  // A browser that keeps nothing shows the system's theme.
}
