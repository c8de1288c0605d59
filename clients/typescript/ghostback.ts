/** Typed clients of the services, and what a refused call says. */
import { readFileSync } from "node:fs";
import { Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { IngestService } from "./gen/ghostback/ingest/v1/ingest_service_pb.js";
import { PredictService } from "./gen/ghostback/predict/v1/predict_service_pb.js";
import { ErrorReason } from "./gen/ghostback/tracking/v1/error_reason_pb.js";
import { BadRequestSchema, ErrorInfoSchema } from "./gen/google/rpc/error_details_pb.js";

/** Where services listen, such as `http://localhost:8441`; `https` for TLS. */
export interface Addresses {
  ingest: string;
  predict: string;
}

/** Why a call was refused. */
export interface Refusal {
  /** gRPC status code, such as `NotFound`. */
  code: string;
  /** What to switch on; UNSPECIFIED where the error has none, or one newer than these stubs. */
  reason: ErrorReason;
  /** For people. */
  message: string;
  /** What is wrong with each field of the request, by its path. */
  fields: Record<string, string>;
}

/** How calls are secured; not at all by default, for servers on loopback. Certificates and key in PEM. */
export interface Security {
  /** The authorities that servers' certificates are signed by; Node.js's own list when left out. */
  ca?: Buffer;
  /** The caller's certificate and those between it and its authority, where servers ask for one. */
  certificate?: Buffer;
  /** The private key of `certificate`. */
  key?: Buffer;
  /** The name that servers' certificates must have; the address's when left out. */
  serverName?: string;
  /** Gives the token that goes with a call, so that it may be renewed. */
  token?: () => string;
}

/**
 * Security by the files that GHOSTBACK_CA, GHOSTBACK_CERTIFICATE, GHOSTBACK_KEY and GHOSTBACK_TOKEN_FILE
 * name, and by GHOSTBACK_SERVER_NAME.
 */
export function securityOf(environment: NodeJS.ProcessEnv): Security {
  const { GHOSTBACK_CA: ca, GHOSTBACK_CERTIFICATE: certificate, GHOSTBACK_KEY: key } = environment;
  const { GHOSTBACK_TOKEN_FILE: token, GHOSTBACK_SERVER_NAME: serverName } = environment;
  return {
    ...(ca && { ca: readFileSync(ca) }),
    ...(certificate && { certificate: readFileSync(certificate) }),
    ...(key && { key: readFileSync(key) }),
    ...(serverName && { serverName }),
    ...(token && { token: () => readFileSync(token, "utf8").trim() }),
  };
}

/** One connection to each service, made at the first call; a call has 30 seconds unless it says otherwise. */
export function connect(addresses: Addresses, { ca, certificate: cert, key, serverName, token }: Security = {}) {
  if (token && !Object.values(addresses).every((address) => address.startsWith("https:"))) {
    throw new TypeError("a token is only sent over TLS, or anyone could read it; give https addresses");
  }
  const bearer: Interceptor = (next) => (request) => {
    if (token) request.header.set("authorization", `Bearer ${token()}`);
    return next(request);
  };
  const nodeOptions = { ca, cert, key, servername: serverName };
  const transport = (baseUrl: string) =>
    createGrpcTransport({ baseUrl, defaultTimeoutMs: 30_000, interceptors: [bearer], nodeOptions });
  return {
    ingest: createClient(IngestService, transport(addresses.ingest)),
    predict: createClient(PredictService, transport(addresses.predict)),
  };
}

/** Reads the details of an error that a call threw. */
export function refusal(thrown: unknown): Refusal {
  const error = ConnectError.from(thrown);
  const reason = error.findDetails(ErrorInfoSchema)[0]?.reason;
  const violations = error.findDetails(BadRequestSchema).flatMap((details) => details.fieldViolations);
  return {
    code: Code[error.code],
    reason: ErrorReason[reason as keyof typeof ErrorReason] ?? ErrorReason.UNSPECIFIED,
    message: error.rawMessage,
    fields: Object.fromEntries(violations.map(({ field, description }) => [field, description])),
  };
}
