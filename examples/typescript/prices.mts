// Prints live prices, and goes on where it was when the connection breaks.
//
//     node examples/typescript/prices.mts [URL [SYMBOL…]]        (Node 22.18 or newer runs TypeScript)
//
// The key comes from TAPEDECK_KEY; left out, it is the one of the stack on this machine.
import WebSocket from "ws";

type ServerMessage =
  | { type: "subscribed"; symbols: string[]; timestamp: string; cursors?: string[]; recovered?: boolean }
  | {
      type: "price_update";
      symbol: string;
      price: string;
      volume: number | null;
      timestamp: string;
      source: string;
      cursor?: string;
    }
  | { type: "pong"; timestamp: string }
  | { type: "error"; message: string; code: string; timestamp: string; detail?: string };

type Price = Extract<ServerMessage, { type: "price_update" }>;

class Prices {
  private readonly cursors = new Map<string, string>(); // the place of the last update of each source
  private failures = 0;
  private readonly url: string;
  private readonly key: string;
  private readonly symbols: string[];
  private readonly onPrice: (price: Price) => void;

  constructor(url: string, key: string, symbols: string[], onPrice: (price: Price) => void) {
    this.url = url;
    this.key = key;
    this.symbols = symbols;
    this.onPrice = onPrice;
  }

  connect(): void {
    const ws = new WebSocket(this.url, { headers: { Authorization: `Bearer ${this.key}` } });
    ws.on("open", () => ws.send(this.request()));
    ws.on("message", (data: WebSocket.RawData) => this.take(data.toString()));
    ws.on("error", (error: Error) => console.error(error.message));
    // A pause between nothing and a bound that doubles, so that not all clients come back at once.
    ws.on("close", () => setTimeout(() => this.connect(), Math.random() * this.bound()));
  }

  private bound(): number {
    return Math.min(30_000, 500 * 2 ** this.failures++);
  }

  private request(): string {
    const from = this.cursors.size ? [...this.cursors.values()] : undefined;
    return JSON.stringify({ type: "subscribe", symbols: this.symbols, resume: true, from });
  }

  private take(text: string): void {
    const message = parse(text);
    this.failures = 0;
    switch (message.type) {
      case "subscribed":
        if (message.recovered === false) console.error("some updates are missing here");
        message.cursors?.forEach((cursor) => this.remember(cursor));
        break;
      case "price_update":
        if (message.cursor) this.remember(message.cursor);
        this.onPrice(message);
        break;
      case "error":
        console.error(`${message.message}: ${message.detail ?? message.code}`);
        break;
    }
  }

  private remember(cursor: string): void {
    this.cursors.set(cursor.slice(0, cursor.lastIndexOf(":")), cursor);
  }
}

// JSON.parse would round: a price keeps its digits as text.
function parse(text: string): ServerMessage {
  const exact = (name: string, value: unknown, context: { source: string }) =>
    name === "price" ? context.source : value;
  return JSON.parse(text, exact as (this: unknown, key: string, value: unknown) => unknown);
}

const [url = "ws://localhost:3000/stream", ...named] = process.argv.slice(2);
const key = process.env.TAPEDECK_KEY ?? "chrono_public_dev_key_001";
const symbols = named.length ? named : ["BTC/USD", "ETH/USD"];
const prices = new Prices(url, key, symbols, (one) => console.log(one.symbol, one.price, one.source));
prices.connect();
