// Conveniences only: each page is whole without this file.

// A form that only carries something on.
const carrier = document.querySelector("form[data-submit]");

// A second click, while the first is on its way, would only bring the page that says that the form was used.
for (const form of document.forms) {
  let sent = false;
  form.addEventListener("submit", (event) => {
    if (event.submitter?.formMethod === "dialog") return; // Enter in a box, which sends nothing
    if (sent) event.preventDefault();
    sent = true;
  });
  // The way back may show the page as it was left.
  addEventListener("pageshow", () => (sent = false));
}

carrier?.requestSubmit();

// A switch beside a password field that shows what was typed.
for (const label of document.querySelectorAll("[data-show-password]")) {
  const field = document.getElementById(label.htmlFor);
  const button = document.createElement("button");
  button.type = "button";
  button.className = "inline";
  button.id = `show-${field.id}`;
  button.setAttribute("aria-controls", field.id);
  const show = (visible) => {
    field.type = visible ? "text" : "password";
    button.textContent = visible ? "Hide password" : "Show password";
  };
  button.addEventListener("click", () => show(field.type === "password"));
  // Browsers remember the text of visible fields for completion.
  field.form.addEventListener("submit", () => show(false));
  show(false);
  field.after(button); // after the field for the keyboard, beside the label for the eye
}

// A button beside a value that people carry elsewhere.
for (const value of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) break; // absent on plain HTTP off loopback
  const button = document.createElement("button");
  button.type = "button";
  button.className = "inline";
  button.textContent = "Copy";
  const heard = document.createElement("span");
  heard.className = "unseen";
  heard.setAttribute("role", "status");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(value.textContent.trim());
      button.textContent = heard.textContent = "Copied";
    } catch {
      button.textContent = heard.textContent = "Select the text and copy it by keyboard";
    }
  });
  value.after(" ", button, heard);
}
