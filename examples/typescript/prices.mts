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
  | { type: "error"; message: string; code: string; timestamp: string; detail?: string; retry_after?: number };

const SILENCE_MS = 90_000; // the server sends a pong every 30 s

type Price = Extract<ServerMessage, { type: "price_update" }>;

class Prices {
  private readonly cursors = new Map<string, string>(); // the last of each topic and partition
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
    const silence = setTimeout(() => ws.terminate(), SILENCE_MS);
    let pauseMs = 0; // what the server asks for
    ws.on("open", () => ws.send(this.request()));
    ws.on("message", (data: WebSocket.RawData) => {
      silence.refresh();
      const message = parse(data.toString());
      this.take(message);
      if (message.type === "error") {
        pauseMs = 1000 * (message.retry_after ?? 0);
        ws.close(); // nothing is subscribed: try again
      }
    });
    ws.on("error", (error: Error) => console.error(error.message));
    ws.on("close", () => {
      clearTimeout(silence);
      setTimeout(() => this.connect(), pauseMs + Math.random() * this.bound());
    });
  }

  // Doubles, so that not all clients come back at once.
  private bound(): number {
    return Math.min(30_000, 500 * 2 ** this.failures++);
  }

  private request(): string {
    const from = this.cursors.size ? [...this.cursors.values()] : undefined;
    return JSON.stringify({ type: "subscribe", symbols: this.symbols, resume: true, from });
  }

  private take(message: ServerMessage): void {
    switch (message.type) {
      case "subscribed":
        this.failures = 0;
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
    const [topic, , partition] = cursor.split(":");
    this.cursors.set(`${topic}:${partition}`, cursor);
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
