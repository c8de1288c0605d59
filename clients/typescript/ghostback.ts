/** Typed clients of the services, and what a refused call says. */
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { IngestService } from "./gen/ghostback/ingest/v1/ingest_service_pb.js";
import { PredictService } from "./gen/ghostback/predict/v1/predict_service_pb.js";
import { ErrorReason } from "./gen/ghostback/tracking/v1/error_reason_pb.js";
import { BadRequestSchema, ErrorInfoSchema } from "./gen/google/rpc/error_details_pb.js";

/** Where services listen, such as `http://localhost:8441`. */
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

/** One connection to each service, made at the first call; a call has 30 seconds unless it says otherwise. */
export function connect(addresses: Addresses) {
  const transport = (baseUrl: string) => createGrpcTransport({ baseUrl, defaultTimeoutMs: 30_000 });
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
