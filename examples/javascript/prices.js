// Prints live prices, and goes on where it was when the connection breaks.
//
//     node examples/javascript/prices.js [URL [SYMBOL…]]
//
// The key comes from TAPEDECK_KEY; left out, it is the one of the stack on this machine.
const WebSocket = require("ws");

const [url = "ws://localhost:3000/stream", ...named] = process.argv.slice(2);
const symbols = named.length ? named : ["BTC/USD", "ETH/USD"];
const key = process.env.TAPEDECK_KEY ?? "chrono_public_dev_key_001";

const cursors = new Map(); // the place of the last update of each source
let failures = 0;

// JSON.parse would round: a price keeps its digits as text.
const exact = (name, value, { source }) => (name === "price" ? source : value);

function remember(cursor) {
  cursors.set(cursor.slice(0, cursor.lastIndexOf(":")), cursor);
}

function connect() {
  const ws = new WebSocket(url, { headers: { Authorization: `Bearer ${key}` } });

  ws.on("open", () => {
    const from = cursors.size ? [...cursors.values()] : undefined;
    ws.send(JSON.stringify({ type: "subscribe", symbols, resume: true, from }));
  });

  ws.on("message", (data) => {
    const message = JSON.parse(data.toString(), exact);
    failures = 0;
    switch (message.type) {
      case "subscribed":
        if (message.recovered === false) console.error("some updates are missing here");
        message.cursors?.forEach(remember);
        break;
      case "price_update":
        if (message.cursor) remember(message.cursor);
        console.log(message.symbol, message.price, message.source);
        break;
      case "error":
        console.error(`${message.message}: ${message.detail}`);
        break;
    }
  });

  ws.on("error", (error) => console.error(error.message));

  // A pause between nothing and a bound that doubles, so that a thousand clients do not come back at once.
  ws.on("close", () => setTimeout(connect, Math.random() * Math.min(30_000, 500 * 2 ** failures++)));
}

connect();
