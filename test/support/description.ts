// The relay's own description of its HTTP half, and answers held against it. Always true: an answer passes only if its
// status, content type and every field of its body are described for that very route.
import { OPERATOR_PATHS } from "@lethe/protocol";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import type { Answer, At } from "./person.ts";

interface Response {
  readonly description: string;
  readonly content?: Readonly<Record<string, { readonly schema: object }>>;
}

export interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly security?: readonly Readonly<Record<string, unknown>>[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: object }>> };
  readonly responses: Readonly<Record<string, Response>>;
}

export interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly securitySchemes: Readonly<Record<string, object>> };
}

/** A route as the specification writes it: `PUT /v1/prekeys`. */
export type RouteText = string;

export class Description {
  readonly document: Document;
  readonly operations: ReadonlyMap<RouteText, Operation>;
  readonly #ajv = new Ajv2020({ strict: false });
  readonly #compiled = new Map<object, ValidateFunction>();

  constructor(document: Document) {
    this.document = document;
    this.operations = new Map(
      Object.entries(document.paths).flatMap(([path, methods]) =>
        Object.entries(methods).map(([method, operation]) => [`${method.toUpperCase()} ${path}`, operation]),
      ),
    );
  }

  static async of(relay: At): Promise<Description> {
    return new Description(
      (await (await fetch(`${relay.url}${OPERATOR_PATHS.document}`)).json()) as Document,
    );
  }

  operation(route: RouteText): Operation {
    const operation = this.operations.get(route);
    if (operation === undefined) throw new Error(`${route} is not described`);
    return operation;
  }

  /** Every code that the route is said to answer with. */
  codes(route: RouteText): string[] {
    return Object.values(this.operation(route).responses).flatMap(({ content }) => {
      const schema = content?.["application/json"]?.schema as
        | { properties?: { code?: { enum?: string[] } } }
        | undefined;
      return schema?.properties?.code?.enum ?? [];
    });
  }

  /** What is wrong with the answer, in words; empty where it is as described. */
  faults(route: RouteText, { status, headers, body }: Answer): string[] {
    const response = this.operation(route).responses[status];
    if (response === undefined) return [`status ${status} is not described`];
    const type = headers.get("content-type")?.split(";")[0];
    if (response.content === undefined) return type === undefined ? [] : [`a body of ${type}`];
    const schema = response.content[type ?? ""]?.schema;
    if (schema === undefined) return [`content type ${type} is not described`];
    return type === "application/json" ? this.#faultsOf(schema, body) : [];
  }

  /** Whether a request's body has the described shape. */
  takes(route: RouteText, body: unknown): boolean {
    const schema = this.operation(route).requestBody?.content["application/json"]?.schema;
    return schema !== undefined && this.#faultsOf(schema, body).length === 0;
  }

  #faultsOf(schema: object, body: unknown): string[] {
    const check = this.#compiled.get(schema) ?? this.#ajv.compile(schema);
    this.#compiled.set(schema, check);
    return check(body) ? [] : (check.errors ?? []).map((e) => `${e.instancePath} ${e.message ?? ""}`);
  }
}
