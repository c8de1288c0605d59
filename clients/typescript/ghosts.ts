/**
 * Streams a play as its tags come in, then asks where its defenders would have gone for every
 * receiver who could have been thrown to, and prints the answer as JSON.
 *
 *   node ghosts.ts --ingest http://localhost:8441 --predict http://localhost:8443 play.json
 *
 * The file has a `game` and a `play` with its samples, as in `protos/` and in Protobuf's JSON.
 */
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { fromJson, toJson } from "@bufbuild/protobuf";
import { PredictGhostsResponseSchema } from "./gen/ghostback/predict/v1/predict_service_pb.js";
import { ErrorReason } from "./gen/ghostback/tracking/v1/error_reason_pb.js";
import { GameSchema, type Play, PlaySchema, PlayState } from "./gen/ghostback/tracking/v1/play_pb.js";
import type { Samples } from "./gen/ghostback/tracking/v1/samples_pb.js";
import { connect, refusal, securityOf } from "./ghostback.ts";

const ELIGIBLE = new Set(["WR", "TE", "RB", "FB", "HB"]);
const ROWS = 512;

/** Rows of samples, from one up to another; a column that the feed does not carry stays empty. */
function rows(samples: Samples, from: number, to: number) {
  const tagId = samples.tagId.slice(from, to);
  return {
    sampleCount: tagId.length,
    tagId,
    frame: samples.frame.slice(from, to),
    x: samples.x.slice(from, to),
    y: samples.y.slice(from, to),
    speed: samples.speed.slice(from, to),
    acceleration: samples.acceleration.slice(from, to),
    distance: samples.distance.slice(from, to),
    orientation: samples.orientation.slice(from, to),
    direction: samples.direction.slice(from, to),
  };
}

/** The samples of a play as requests of `StreamTags`, numbered from 0. */
async function* batches(play: string, samples: Samples) {
  for (let sequence = 0; sequence * ROWS < samples.sampleCount; sequence++) {
    const from = sequence * ROWS;
    yield { play, sequence: BigInt(sequence), samples: rows(samples, from, from + ROWS) };
  }
}

/** Sends a play as a feed does: who takes part, the tags, and how it ended. Returns what was stored of the tags. */
async function send(ingest: ReturnType<typeof connect>["ingest"], play: Play) {
  const { samples, forwardPass, ...metadata } = play;
  await ingest.updatePlay({ play: { ...metadata, state: PlayState.LIVE } });
  const stored = { batches: 0, accepted: 0, quarantined: 0 };
  if (samples) {
    for await (const acknowledgement of ingest.streamTags(batches(play.name, samples), { timeoutMs: 0 })) {
      stored.batches += 1;
      stored.accepted += acknowledgement.acceptedCount;
      for (const { count } of acknowledgement.quarantined) stored.quarantined += Number(count);
    }
  }
  await ingest.updatePlay({ play: { ...metadata, forwardPass } });
  return stored;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ingest: { type: "string", default: "http://localhost:8441" },
    predict: { type: "string", default: "http://localhost:8443" },
  },
});
const { ingest, predict } = connect(values, securityOf(process.env));
const given = JSON.parse(await readFile(positionals[0] ?? "play.json", "utf8"));
const game = fromJson(GameSchema, given.game);
const play = fromJson(PlaySchema, given.play);
try {
  await ingest.updateGame({ game });
  const stored = await send(ingest, play);
  const receivers = play.participants.filter((p) => p.teamId === play.offenseTeam && ELIGIBLE.has(p.position));
  const response = await predict.predictGhosts({
    source: { source: { case: "name", value: play.name } },
    targetIds: receivers.map((receiver) => receiver.participantId),
  });
  console.log(JSON.stringify({ stored, prediction: toJson(PredictGhostsResponseSchema, response) }));
} catch (thrown) {
  const { reason, ...told } = refusal(thrown);
  console.error(JSON.stringify({ ...told, reason: ErrorReason[reason] }));
  process.exitCode = 1;
}
