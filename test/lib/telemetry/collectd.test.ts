// collectd's value lists, as collectd 5.12's write_http sends them (captured), become metrics named as its own
// write_prometheus names them.
import { describe, expect, it } from "vitest";
import { decodeNativeBody } from "../../../lib/telemetry/native.ts";

const valueList = {
  values: [12, 3.5],
  dstypes: ["derive", "derive"],
  dsnames: ["rx", "tx"],
  time: 1_795_279_906.123,
  interval: 10,
  host: "web-1",
  plugin: "interface",
  plugin_instance: "eth0",
  type: "if_octets",
  type_instance: "",
};

function decode(body: unknown): unknown[] {
  const decoded = decodeNativeBody("metrics", new Headers(), new TextEncoder().encode(JSON.stringify(body)));
  if (!decoded.ok) throw new Error(decoded.error.message);
  return decoded.value.records.map((one) => (one.ok ? one.value : one.error));
}

describe("collectd", () => {
  it("has one metric for each value of a list", () => {
    const labels = { host: "web-1", plugin_instance: "eth0" };
    const timestamp = 1_795_279_906.123;
    expect(decode([valueList])).toEqual([
      { name: "collectd_interface_if_octets_rx_total", value: 12, labels, timestamp },
      { name: "collectd_interface_if_octets_tx_total", value: 3.5, labels, timestamp },
    ]);
  });

  it("does not repeat a plugin that is the type, nor the name `value`", () => {
    const list = {
      ...valueList,
      plugin: "load",
      type: "load",
      values: [1],
      dsnames: ["value"],
      dstypes: ["gauge"],
    };
    expect(decode([list])).toMatchObject([{ name: "collectd_load", value: 1 }]);
  });

  it("leaves a value that is unknown to be refused by itself", () => {
    expect(decode([{ ...valueList, values: [null, 1] }])).toMatchObject([{ value: null }, { value: 1 }]);
  });

  it.each([
    ["lists of unequal length", { ...valueList, values: [1] }],
    ["a name that is no text", { ...valueList, dsnames: [{ toString: 1 }, "tx"] }],
    ["no plugin", { ...valueList, plugin: 5 }],
    ["Weir's own form", { name: "cpu", value: 1 }],
  ])("takes %s for what it is", (_, item) => {
    expect(decode([item])).toEqual([item]);
  });
});
