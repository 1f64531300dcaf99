// The load's own MQTT 3.1.1 client (OASIS standard), as lean as the one that speaks to the relay: QoS 1 both ways, what
// one turn wants to send goes out in one write. Always true: any answer but the one that is due is a fault.
import { connect, type Socket } from "node:net";
import { atEndOfTurn } from "./turn.ts";

// Section 2.2.1, packet types, with the flags that they must have.
const CONNECT = 0x10;
const CONNACK = 0x20;
const PUBLISH_QOS1 = 0x32;
const PUBACK = 0x40;
const SUBSCRIBE = 0x82;
const SUBACK = 0x90;
const PINGREQ = 0xc0;
const PINGRESP = 0xd0;
const DISCONNECT = 0xe0;
const KEEP_ALIVE_S = 600;

export interface MqttEvents {
  /** A message came; it is acknowledged already. */
  message(payload: Uint8Array): void;
  /** The broker has acknowledged a message of ours. */
  acknowledged(): void;
  pong(): void;
  failed(error: Error): void;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 0xff), bytes]);
}

/** Section 2.2.3: seven bits a byte, the lowest first. */
function lengthOf(length: number): Buffer {
  const bytes: number[] = [];
  for (let rest = length; ; rest >>>= 7) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest & 127) | 128);
  }
}

function packet(type: number, ...body: Buffer[]): Buffer {
  const whole = Buffer.concat(body);
  return Buffer.concat([Buffer.of(type), lengthOf(whole.length), whole]);
}

export class MqttClient {
  readonly #tcp: Socket;
  readonly #events: MqttEvents;
  readonly #ready = Promise.withResolvers<void>();
  readonly #subscribed = Promise.withResolvers<void>();
  #rest: Buffer = Buffer.alloc(0);
  #out: Buffer[] = [];
  #nextId = 1;
  #closing = false;

  private constructor(tcp: Socket, events: MqttEvents) {
    this.#tcp = tcp;
    this.#events = events;
    tcp.on("data", (chunk: Buffer) => this.#data(chunk));
    tcp.on("error", (error) => this.#failed(error));
    tcp.on("close", () => this.#failed(new Error("the broker closed the connection")));
  }

  /** Connects; `clean: false` keeps the session of this name at the broker (section 3.1.2.4). */
  static async open(url: URL, name: string, clean: boolean, events: MqttEvents): Promise<MqttClient> {
    const tcp = connect({ host: url.hostname, port: Number(url.port), noDelay: true });
    const client = new MqttClient(tcp, events);
    const flags = Buffer.of(4, clean ? 2 : 0, KEEP_ALIVE_S >> 8, KEEP_ALIVE_S & 0xff);
    client.#send(packet(CONNECT, text("MQTT"), flags, text(name)));
    await client.#ready.promise;
    return client;
  }

  async subscribe(topic: string): Promise<void> {
    this.#send(packet(SUBSCRIBE, this.#id(), text(topic), Buffer.of(1)));
    await this.#subscribed.promise;
  }

  publish(topic: Buffer, payload: Uint8Array): void {
    const length = topic.length + 2 + payload.length;
    const head = lengthOf(length);
    const out = Buffer.allocUnsafe(1 + head.length + length);
    out[0] = PUBLISH_QOS1;
    head.copy(out, 1);
    let at = 1 + head.length;
    topic.copy(out, at);
    at += topic.length;
    const id = this.#nextId;
    this.#nextId = id === 65_535 ? 1 : id + 1;
    out[at++] = id >> 8;
    out[at++] = id & 0xff;
    out.set(payload, at);
    this.#send(out);
  }

  ping(): void {
    this.#send(packet(PINGREQ));
  }

  close(): void {
    this.#closing = true;
    this.#send(packet(DISCONNECT));
    this.flush();
    this.#tcp.end();
  }

  flush(): void {
    if (this.#out.length === 0) return;
    this.#tcp.write(this.#out.length === 1 ? (this.#out[0] as Buffer) : Buffer.concat(this.#out));
    this.#out = [];
  }

  #id(): Buffer {
    const id = this.#nextId++;
    return Buffer.of(id >> 8, id & 0xff);
  }

  #send(bytes: Buffer): void {
    if (this.#out.length === 0) atEndOfTurn(this);
    this.#out.push(bytes);
  }

  #data(chunk: Buffer): void {
    let input = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const used = this.#packet(input);
      if (used === 0) break;
      input = input.subarray(used);
    }
    this.#rest = input;
  }

  /** Takes one packet off the front; returns its length, 0 where it is not all there yet. */
  #packet(input: Buffer): number {
    let length = 0;
    let at = 1;
    for (let shift = 0; ; shift += 7) {
      const byte = input[at++];
      if (byte === undefined) return 0;
      length |= (byte & 127) << shift;
      if ((byte & 128) === 0) break;
    }
    if (input.length < at + length) return 0;
    this.#took(input[0] as number, input.subarray(at, at + length));
    return at + length;
  }

  #took(type: number, body: Buffer): void {
    switch (type & 0xf0) {
      case CONNACK:
        return body[1] === 0 ? this.#ready.resolve() : this.#failed(new Error(`CONNACK ${body[1] ?? ""}`));
      case SUBACK & 0xf0:
        return this.#subscribed.resolve();
      case PUBACK:
        return this.#events.acknowledged();
      case PUBLISH_QOS1 & 0xf0: {
        const topic = 2 + body.readUInt16BE(0);
        this.#send(Buffer.of(PUBACK, 2, body[topic] as number, body[topic + 1] as number));
        return this.#events.message(body.subarray(topic + 2));
      }
      case PINGRESP:
        return this.#events.pong();
      default:
        return this.#failed(new Error(`a packet of type ${type >> 4} came`));
    }
  }

  #failed(error: Error): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#tcp.destroy();
    this.#ready.reject(error);
    this.#subscribed.reject(error);
    this.#events.failed(error);
  }
}

/** A topic's name as it stands in a packet. */
export function topicNamed(name: string): Buffer {
  return text(name);
}
