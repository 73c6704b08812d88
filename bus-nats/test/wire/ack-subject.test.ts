import { describe, expect, it } from "vitest";
import { nakAfter, parseAckSubject } from "../../src/wire/ack-subject.ts";

describe("parseAckSubject", () => {
  const expected = {
    deliveries: 2,
    streamSequence: 30,
    consumerSequence: 4,
    storedAtMs: 1_795_253_675_157,
    pending: 5,
  };

  it("reads both forms", () => {
    const tail = "2.30.4.1795253675157933213.5";
    expect(parseAckSubject(`$JS.ACK.STREAM.consumer.${tail}`)).toEqual(expected);
    expect(parseAckSubject(`$JS.ACK.domain.hash.STREAM.consumer.${tail}.token`)).toEqual(expected);
  });
});

describe("nakAfter", () => {
  it("gives the delay in nanoseconds, and none for at once", () => {
    expect(nakAfter(0)).toBe("-NAK");
    expect(nakAfter(1.5)).toBe('-NAK {"delay": 1500000}');
  });
});
