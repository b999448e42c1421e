// SeriesCell: what the requests of one kind did within one minute; and the endpoint's gauges.
//
// Everything is a whole number, so that cells merge exactly, in any order: a minute that is made
// again from the ledger equals the one that was kept.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/quantile_sketch.h"
#include "base/result.h"
#include "meter/bytes.h"
#include "meter/usage_record.h"

namespace penstock::meter {

// Minutes since 1970.
using Minute = std::int64_t;
Minute MinuteOf(WallTime time);
WallTime TimeOf(Minute minute);

// What tells the cells of an endpoint's minute from each other.
struct SeriesKey {
  std::string model;
  std::int64_t model_version = 0;
  Operation operation = Operation::kUnknown;
  bool stream = false;
  bool spilled = false;  // Came from another endpoint that had no room.
  std::uint16_t status = 0;

  auto operator<=>(const SeriesKey&) const = default;
};

// Values with their count, sum, minimum, maximum, and quantiles.
struct Distribution {
  GaugeStat stat;
  QuantileSketch sketch;

  void Add(std::uint64_t value) {
    stat.Add(value);
    sketch.Add(value);
  }
  void Merge(const Distribution& other) {
    stat.Merge(other.stat);
    sketch.Merge(other.sketch);
  }
  bool operator==(const Distribution&) const = default;
};

struct SeriesCell {
  std::uint64_t requests = 0;
  std::uint64_t disconnected = 0;  // Of requests: the client left.
  std::uint64_t failed = 0;        // Of requests: 5xx, or cut by the replica.
  GaugeStat input;                 // Tokens a request; those that used none do not count.
  GaugeStat cached;
  GaugeStat output;
  GaugeStat total;
  GaugeStat ttft_per_token_ns;  // TTFT ÷ input tokens.
  std::uint64_t cost_milli = 0;
  std::uint64_t reserved_milli = 0;
  Distribution ttft_us;
  Distribution tpot_us;
  Distribution duration_us;
  Distribution queue_us;

  void Add(const UsageRecord& record);
  void Merge(const SeriesCell& other);
  bool operator==(const SeriesCell&) const = default;
};

struct GaugeCell {
  GaugeStat replicas_ready;
  GaugeStat replicas_total;
  GaugeStat queued;
  GaugeStat running;
  GaugeStat utilisation_milli;
  GaugeStat provisioned_milli;

  void Merge(const GaugeCell& other);
  bool operator==(const GaugeCell&) const = default;
};

// One endpoint's minute. Cells are in order of their keys.
struct EndpointMinute {
  struct Entry {
    SeriesKey key;
    SeriesCell cell;
    bool operator==(const Entry&) const = default;
  };
  GaugeCell gauges;
  std::vector<Entry> cells;

  void Merge(const EndpointMinute& other);
  // The key's cell, made where there is none. Valid until the next call.
  SeriesCell& CellOf(const SeriesKey& key);
  bool operator==(const EndpointMinute&) const = default;
};

// Whether quantile sketches are written, or read.
enum class Sketches : bool { kWithout, kWith };

// Bytes of an endpoint's minute, without the endpoint and the minute.
void Encode(const EndpointMinute& minute, Sketches sketches, std::string& out);
// Reads into `minute`, replacing it, and reusing its memory. Errors: kCorrupt.
Status Decode(std::string_view bytes, Sketches sketches, EndpointMinute& minute);

// A sketch alone.
void Encode(const QuantileSketch& sketch, ByteWriter& out);
void DecodeInto(ByteReader& in, QuantileSketch& sketch);  // Adds to `sketch`.

}  // namespace penstock::meter
