// The settings dialog; what is chosen is kept in localStorage.

const KEY = 'votive.chat.settings';
const DEFAULTS = {
  device: 'auto', // of the next model that is loaded
  system: '', // the template's own, which small models were trained with
  temperature: 0.2, // small models ramble above
  topP: 0.95,
  topK: 40,
  repetitionPenalty: 1.1,
  maxTokens: 512,
  seed: '',
};

function stored() {
  try {
    return { ...DEFAULTS, ...JSON.parse(localStorage.getItem(KEY) ?? '{}') };
  } catch {
    return { ...DEFAULTS }; // storage is blocked or holds something else
  }
}

/** Connects the dialog and returns a function that gives the settings as they are. */
export function connectSettings(dialog) {
  const form = dialog.querySelector('form');
  let values = stored();
  const show = () => {
    for (const [name, value] of Object.entries(values)) form.elements[name].value = value;
  };
  const keep = () => {
    for (const name of Object.keys(DEFAULTS)) {
      const field = form.elements[name];
      if (!field.checkValidity()) continue;
      values[name] = field.type === 'number' && field.value !== '' ? Number(field.value) : field.value;
    }
    try {
      localStorage.setItem(KEY, JSON.stringify(values));
    } catch {
      // Kept for this visit only.
    }
  };
  form.addEventListener('input', keep);
  form.querySelector('#reset-settings').addEventListener('click', () => {
    values = { ...DEFAULTS };
    show();
    keep();
  });
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) dialog.close(); // the backdrop
  });
  show();
  return () => {
    const { system, seed, device, ...options } = values;
    return { system: system.trim(), device, options: seed === '' ? options : { ...options, seed } };
  };
}
