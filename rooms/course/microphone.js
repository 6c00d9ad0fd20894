// Records some seconds from the microphone and hands mono samples to Python, see microphone.py.
const NONE =
  "This page offers no microphone. Record a file with your telephone, copy it here, and read it with lab.read(path).";

async function record(seconds) {
  const plain = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const stream = await navigator.mediaDevices.getUserMedia({ audio: plain });
  const recorder = new MediaRecorder(stream);
  const parts = [];
  recorder.ondataavailable = (event) => parts.push(event.data);
  const ended = new Promise((done) => (recorder.onstop = done));
  recorder.start();
  setTimeout(() => recorder.stop(), 1000 * seconds);
  await ended;
  stream.getTracks().forEach((track) => track.stop());
  const context = new AudioContext();
  const audio = await context.decodeAudioData(await new Blob(parts).arrayBuffer());
  await context.close();
  return { samples: audio.getChannelData(0).slice(), rate: audio.sampleRate };
}

function render({ model, el }) {
  const button = document.createElement("button");
  const words = document.createElement("span");
  const seconds = model.get("seconds");
  button.textContent = `Record ${seconds} s`;
  button.style.marginRight = "1em";
  el.append(button, words);
  if (!navigator.mediaDevices || !window.MediaRecorder) {
    button.disabled = true;
    words.textContent = NONE;
    return;
  }
  button.onclick = async () => {
    button.disabled = true;
    words.textContent = "recording …";
    try {
      const { samples, rate } = await record(seconds);
      model.set("sample_rate", Math.round(rate));
      model.set("samples", new DataView(samples.buffer));
      model.save_changes();
      words.textContent = `${(samples.length / rate).toFixed(1)} s recorded: run the next cell`;
    } catch (problem) {
      words.textContent = `${NONE} (${problem.message})`;
    }
    button.disabled = false;
  };
}

export default { render };
