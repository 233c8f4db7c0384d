// Prints live prices, and goes on where it was when the connection breaks.
//
//     node examples/javascript/prices.js [URL [SYMBOL…]]
//
// The key comes from TAPEDECK_KEY; left out, it is the one of the stack on this machine.
const WebSocket = require("ws");

const [url = "ws://localhost:3000/stream", ...named] = process.argv.slice(2);
const symbols = named.length ? named : ["BTC/USD", "ETH/USD"];
const key = process.env.TAPEDECK_KEY ?? "chrono_public_dev_key_001";

const SILENCE_MS = 90_000; // the server sends a pong every 30 s

const cursors = new Map(); // the place of the last update of each topic and partition
let failures = 0;

// JSON.parse would round: a price keeps its digits as text.
const exact = (name, value, { source }) => (name === "price" ? source : value);

function remember(cursor) {
  const [topic, , partition] = cursor.split(":");
  cursors.set(`${topic}:${partition}`, cursor);
}

function connect() {
  const ws = new WebSocket(url, { headers: { Authorization: `Bearer ${key}` } });
  const silence = setTimeout(() => ws.terminate(), SILENCE_MS);
  let pauseMs = 0; // what the server asks for

  ws.on("open", () => {
    const from = cursors.size ? [...cursors.values()] : undefined;
    ws.send(JSON.stringify({ type: "subscribe", symbols, resume: true, from }));
  });

  ws.on("message", (data) => {
    silence.refresh();
    const message = JSON.parse(data.toString(), exact);
    switch (message.type) {
      case "subscribed":
        failures = 0;
        if (message.recovered === false) console.error("some updates are missing here");
        message.cursors?.forEach(remember);
        break;
      case "price_update":
        if (message.cursor) remember(message.cursor);
        console.log(message.symbol, message.price, message.source);
        break;
      case "error": // nothing is subscribed: try again
        console.error(`${message.message}: ${message.detail}`);
        pauseMs = 1000 * (message.retry_after ?? 0);
        ws.close();
        break;
    }
  });

  ws.on("error", (error) => console.error(error.message));

  ws.on("close", () => {
    clearTimeout(silence);
    // Up to a bound that doubles, so that a thousand clients do not come back at once.
    setTimeout(connect, pauseMs + Math.random() * Math.min(30_000, 500 * 2 ** failures++));
  });
}

connect();
